/**
 * Commands on files: open, duplicate, close, and what goes through them.
 */
import fc from "fast-check";
import { Act, ARENA, choose, type Draft, pick, roomLeft, type ScriptCommand } from "./command.ts";
import type { Description, KnownState } from "./known-state.ts";

const EPOLLS_MAX = 4;

const newEpoll = fc
  .constant(null)
  .map(
    () => new Act("epoll_create1", (known) => roomLeft(known) && known.ofKind("epoll").length < EPOLLS_MAX, openEpoll),
  );

/** Writes the creation of an epoll. */
export function openEpoll(known: KnownState, draft: Draft): void {
  const { name } = known.install(known.name("ep"), { kind: "epoll", peer: null });
  draft.add(`epoll_create1(0) = $${name}`);
}

const newEventfd = fc
  .tuple(fc.nat({ max: 2 }), fc.boolean())
  .map(
    ([count, semaphore]) =>
      new Act("eventfd2", roomLeft, (known, draft) =>
        openEventfd(known, draft, count, semaphore ? "EFD_SEMAPHORE|" : ""),
      ),
  );

/** Writes the creation of an eventfd. */
export function openEventfd(known: KnownState, draft: Draft, count = 0, flags = ""): void {
  const { name } = known.install(known.name("ev"), { kind: "eventfd", peer: null });
  draft.add(`eventfd2(${count}, ${flags}EFD_NONBLOCK) = $${name}`);
}

const newPipe = fc.constant(null).map(() => new Act("pipe2", roomLeft, openPipe));

/** Writes the creation of a pipe. */
export function openPipe(known: KnownState, draft: Draft): void {
  const [read, write] = installPair(known, ["r", "w"], ["pipe read", "pipe write"]);
  draft.add(`pipe2([$${read}, $${write}], O_NONBLOCK) = ?`);
}

const newSocketpair = fc.constant(null).map(() => new Act("socketpair", roomLeft, openSocketpair));

/** Writes the creation of a pair of connected unix stream sockets. */
export function openSocketpair(known: KnownState, draft: Draft): void {
  const [a, b] = installPair(known, ["s", "s"], ["socket", "socket"]);
  draft.add(`socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0, [$${a}, $${b}]) = ?`);
}

function installPair(
  known: KnownState,
  [first, second]: readonly [string, string],
  [kindA, kindB]: readonly [Description["kind"], Description["kind"]],
): [string, string] {
  const a: Description = { kind: kindA, peer: null };
  const b: Description = { kind: kindB, peer: a };
  a.peer = b;
  return [known.install(known.name(first), a).name, known.install(known.name(second), b).name];
}

/** Another number for an open file. */
export const duplicate: fc.Arbitrary<ScriptCommand> = pick.map(
  (which) =>
    new Act(
      "dup",
      (known) => roomLeft(known) && known.open.size > 0,
      (known, draft) => {
        const from = choose(known.descriptors(), which);
        const { name } = known.install(known.name("d"), from.file);
        draft.add(`dup($${from.name}) = $${name}`);
      },
    ),
);

/** Another file for an open number. */
export const duplicateOnto: fc.Arbitrary<ScriptCommand> = fc.tuple(pick, pick).map(
  ([which, onto]) =>
    new Act(
      "dup2",
      (known) => known.open.size > 1,
      (known, draft) => {
        const from = choose(known.descriptors(), which);
        const to = choose(known.descriptors(), onto);
        const name = known.name("d");
        draft.add(`dup2($${from.name}, $${to.name}) = $${name}`);
        if (from.fd === to.fd) known.open.set(from.fd, { ...from, name });
        else known.place(name, to.fd, from.file);
      },
    ),
);

/** Frees a number. */
export const close: fc.Arbitrary<ScriptCommand> = pick.map(
  (which) =>
    new Act(
      "close",
      (known) => known.open.size > 3,
      (known, draft) => {
        const { name, fd } = choose(known.descriptors(), which);
        draft.add(`close($${name}) = ?`);
        known.close(fd);
      },
    ),
);

const eventfdWrite = fc.tuple(pick, fc.constantFrom(1, 1, 2, 3, 0)).map(
  ([which, value]) =>
    new Act(
      "write eventfd",
      (known) => known.ofKind("eventfd").length > 0,
      (known, draft) => {
        const { name } = choose(known.ofKind("eventfd"), which);
        draft.add(`write($${name}, "\\${value}\\0\\0\\0\\0\\0\\0\\0", 8) = ?`);
      },
    ),
);

const eventfdFill = pick.map(
  (which) =>
    new Act(
      "fill eventfd",
      (known) => known.ofKind("eventfd").length > 0,
      (known, draft) => {
        const { name } = choose(known.ofKind("eventfd"), which);
        draft.add(`write($${name}, "\\376\\377\\377\\377\\377\\377\\377\\377", 8) = ?`);
      },
    ),
);

/** The last sizes are a whole pipe, and more than a unix socket takes. */
const streamSizes = [1, 2, 3, 5, 100, 4095, 4096, 4097, 65536, 300_000];

const streamWrite = fc.tuple(pick, fc.constantFrom(...streamSizes, 1, 2, 3, 1, 2, 3)).map(
  ([which, size]) =>
    new Act(
      "write",
      (known) => known.ofKind("pipe write", "socket").length > 0,
      (known, draft) => {
        const { name } = choose(known.ofKind("pipe write", "socket"), which);
        draft.add(`write($${name}, ${size <= 5 ? `"${"abcde".slice(0, size)}"` : ARENA}, ${size}) = ?`);
      },
    ),
);

const read = fc.tuple(pick, fc.constantFrom(1, 2, 3, 8, 8, 100, 4096, 65536)).map(
  ([which, size]) =>
    new Act(
      "read",
      (known) => known.ofKind("eventfd", "pipe read", "socket").length > 0,
      (known, draft) => {
        const { name, file } = choose(known.ofKind("eventfd", "pipe read", "socket"), which);
        const count = file.kind === "eventfd" ? 8 : size;
        draft.add(`read($${name}, ${count > 8 ? ARENA : "?"}, ${count}) = ?`);
      },
    ),
);

const drain = pick.map(
  (which) =>
    new Act(
      "drain",
      (known) => known.ofKind("pipe read", "socket").length > 0,
      (known, draft) => {
        const { name } = choose(known.ofKind("pipe read", "socket"), which);
        draft.add(`read($${name}, ${ARENA}, 1048576) = ?`);
      },
    ),
);

const shutdown = fc.tuple(pick, fc.constantFrom("SHUT_RD", "SHUT_WR", "SHUT_RDWR")).map(
  ([which, how]) =>
    new Act(
      "shutdown",
      (known) => known.ofKind("socket").length > 0,
      (known, draft) => draft.add(`shutdown($${choose(known.ofKind("socket"), which).name}, ${how}) = ?`),
    ),
);

/** The commands with their weights. */
export const fileCommands: readonly (readonly [number, fc.Arbitrary<ScriptCommand>])[] = [
  [2, newEpoll],
  [2, newEventfd],
  [1, newPipe],
  [1, newSocketpair],
  [1, duplicate],
  [1, duplicateOnto],
  [1, close],
  [3, eventfdWrite],
  [1, eventfdFill],
  [3, streamWrite],
  [3, read],
  [1, drain],
  [1, shutdown],
];
