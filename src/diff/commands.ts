/**
 * What a generated script may do next: fast-check commands over `KnownState`, each of which writes lines of script.
 *
 * Parameters are plain numbers that pick among what is there, so the same command makes sense in any state; `check` refuses
 * it where nothing fits. Everything is non-blocking, save that up to two tasks may sleep in epoll_wait until something, and
 * in the end the script itself, wakes them.
 */
import fc from "fast-check";
import { UserLayout } from "../syscalls/port.ts";
import type { Description, Descriptor, KnownState, Waiter } from "./known-state.ts";

/** Lines of a script in the making. */
export class Draft {
  readonly lines: string[] = [];

  add(line: string): void {
    this.lines.push(line);
  }
}

/** One thing that a script does. */
export type ScriptCommand = fc.Command<KnownState, Draft>;

type Doing = (known: KnownState, draft: Draft) => void;

/** A command that applies where `subjects` finds something. */
class Act implements ScriptCommand {
  readonly #name: string;
  readonly #applies: (known: Readonly<KnownState>) => boolean;
  readonly #act: Doing;

  constructor(name: string, applies: (known: Readonly<KnownState>) => boolean, act: Doing) {
    this.#name = name;
    this.#applies = applies;
    this.#act = act;
  }

  check(known: Readonly<KnownState>): boolean {
    return this.#applies(known);
  }

  run(known: KnownState, draft: Draft): void {
    this.#act(known, draft);
  }

  toString(): string {
    return this.#name;
  }
}

/** Descriptors that a script keeps open at most: with more, events seldom meet. */
const OPEN_MAX = 14;
const EPOLLS_MAX = 4;
/** Tasks that may go to sleep. */
const SLEEPERS = ["B", "C"];
/** A number that nothing ever has. */
const NEVER_OPEN = 999;
/** Memory for more bytes than anybody wants to read in a script: its content does not matter. */
const ARENA = `0x${UserLayout.arena.toString(16)}`;

const pick = fc.nat({ max: 1000 });
const roomLeft = (known: Readonly<KnownState>): boolean => known.open.size < OPEN_MAX;
const hasEpoll = (known: Readonly<KnownState>): boolean => known.ofKind("epoll").length > 0;

function choose<T>(items: readonly T[], index: number): T {
  return items[index % items.length] as T;
}

/** Every kind of file that has state worth watching. */
function sources(known: Readonly<KnownState>): Descriptor[] {
  return known.ofKind("eventfd", "pipe read", "pipe write", "socket");
}

// files

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

const duplicate = pick.map(
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

const duplicateOnto = fc.tuple(pick, pick).map(
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

const close = pick.map(
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

// data

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

// epoll_ctl

const bits = fc.constantFrom(
  "EPOLLIN",
  "EPOLLIN",
  "EPOLLOUT",
  "EPOLLIN|EPOLLOUT",
  "EPOLLIN|EPOLLRDHUP",
  "EPOLLIN|EPOLLPRI",
  "EPOLLRDNORM",
  "EPOLLWRNORM",
  "EPOLLRDBAND",
  "EPOLLRDHUP",
  "EPOLLPRI",
);
const flags = fc.constantFrom("", "", "|EPOLLET", "|EPOLLET", "|EPOLLONESHOT", "|EPOLLET|EPOLLONESHOT", "|EPOLLWAKEUP");
const mask = fc.oneof(
  { arbitrary: fc.tuple(bits, flags).map(([b, f]) => b + f), weight: 12 },
  { arbitrary: fc.constantFrom("0", "EPOLLET", "EPOLLONESHOT"), weight: 1 },
);
const exclusiveMask = fc.constantFrom(
  "EPOLLIN|EPOLLEXCLUSIVE",
  "EPOLLIN|EPOLLOUT|EPOLLEXCLUSIVE",
  "EPOLLIN|EPOLLEXCLUSIVE|EPOLLET",
  "EPOLLOUT|EPOLLEXCLUSIVE|EPOLLET",
  "EPOLLIN|EPOLLEXCLUSIVE|EPOLLONESHOT",
  "EPOLLIN|EPOLLRDHUP|EPOLLEXCLUSIVE",
);
const addMask = fc.oneof({ arbitrary: mask, weight: 8 }, { arbitrary: exclusiveMask, weight: 2 });

function eventText(events: string, token: number): string {
  return `{events=${events}, data={u32=${token}, u64=${token}}}`;
}

const add = fc.tuple(pick, pick, addMask).map(
  ([which, what, events]) =>
    new Act(
      "EPOLL_CTL_ADD",
      (known) => hasEpoll(known) && sources(known).length > 0,
      (known, draft) => {
        const epoll = choose(known.ofKind("epoll"), which);
        const fresh = sources(known).filter((candidate) => !known.isWatched(epoll, candidate));
        const target = choose(fresh.length > 0 ? fresh : sources(known), what);
        draft.add(`epoll_ctl($${epoll.name}, EPOLL_CTL_ADD, $${target.name}, ${eventText(events, known.token())}) = ?`);
        if (!forbiddenExclusive(events)) known.watch(epoll, target);
      },
    ),
);

function forbiddenExclusive(events: string): boolean {
  return events.includes("EPOLLEXCLUSIVE") && /EPOLLONESHOT|EPOLLRDHUP/.test(events);
}

const nest = fc.tuple(pick, pick, mask).map(
  ([which, what, events]) =>
    new Act(
      "nest",
      (known) => known.ofKind("epoll").length > 1,
      (known, draft) => {
        const outer = choose(known.ofKind("epoll"), which);
        const inner = choose(known.ofKind("epoll"), what);
        draft.add(`epoll_ctl($${outer.name}, EPOLL_CTL_ADD, $${inner.name}, ${eventText(events, known.token())}) = ?`);
        if (outer.file !== inner.file) known.watch(outer, inner);
      },
    ),
);

const modify = fc.tuple(pick, pick, mask).map(
  ([which, what, events]) =>
    new Act("EPOLL_CTL_MOD", hasWatch, (known, draft) => {
      const [epoll, target] = chooseWatch(known, which, what);
      draft.add(`epoll_ctl($${epoll.name}, EPOLL_CTL_MOD, $${target.name}, ${eventText(events, known.token())}) = ?`);
    }),
);

const remove = fc.tuple(pick, pick).map(
  ([which, what]) =>
    new Act("EPOLL_CTL_DEL", hasWatch, (known, draft) => {
      const [epoll, target] = chooseWatch(known, which, what);
      draft.add(`epoll_ctl($${epoll.name}, EPOLL_CTL_DEL, $${target.name}, NULL) = ?`);
      known.unwatch(epoll, target);
    }),
);

function hasWatch(known: Readonly<KnownState>): boolean {
  return known.ofKind("epoll").some((epoll) => known.watchedBy(epoll).length > 0);
}

function chooseWatch(known: KnownState, which: number, what: number): [Descriptor, Descriptor] {
  const epoll = choose(
    known.ofKind("epoll").filter((candidate) => known.watchedBy(candidate).length > 0),
    which,
  );
  return [epoll, choose(known.watchedBy(epoll), what)];
}

/** Arguments that some check refuses. The model must refuse them for the same reason. */
const badCtl = fc.tuple(pick, pick, fc.nat({ max: 8 })).map(
  ([which, what, how]) =>
    new Act("bad epoll_ctl", hasEpoll, (known, draft) => {
      const { name: ep } = choose(known.ofKind("epoll"), which);
      const { name: any } = choose(known.descriptors(), what);
      const stale = known.closed.length > 0 ? `$${choose(known.closed, what)}` : String(NEVER_OPEN);
      const event = eventText("EPOLLIN", 0);
      const forms = [
        `$${ep}, EPOLL_CTL_ADD, ${NEVER_OPEN}, ${event}`,
        `${NEVER_OPEN}, EPOLL_CTL_ADD, $${any}, ${event}`,
        `$${any}, EPOLL_CTL_ADD, $${ep}, NULL`,
        `$${ep}, 77, $${any}, ${event}`,
        `$${ep}, EPOLL_CTL_ADD, $${ep}, ${event}`,
        `$${ep}, EPOLL_CTL_DEL, $${any}, @bad`,
        `$${ep}, EPOLL_CTL_MOD, $${any}, @bad`,
        `$${ep}, EPOLL_CTL_MOD, $${any}, ${eventText("EPOLLIN|EPOLLEXCLUSIVE", 0)}`,
        `$${ep}, EPOLL_CTL_DEL, ${stale}, NULL`,
      ];
      // whether DEL meets a watched pair is known only for an open descriptor
      if (how === 5) known.unwatch(choose(known.ofKind("epoll"), which), choose(known.descriptors(), what));
      draft.add(`epoll_ctl(${choose(forms, how)}) = ?`);
    }),
);

// waiting and looking

const wait = fc.tuple(pick, fc.integer({ min: 1, max: 8 }), fc.constantFrom("wait", "wait", "pwait", "pwait2")).map(
  ([which, maxevents, form]) =>
    new Act("epoll_wait", hasEpoll, (known, draft) => {
      draft.add(waitText(choose(known.ofKind("epoll"), which).name, maxevents, form));
    }),
);

/** A wait that does not sleep. */
export function waitText(name: string, maxevents: number, form: string): string {
  switch (form) {
    case "pwait":
      return `epoll_pwait($${name}, ?, ${maxevents}, 0, NULL, 8) = ?`;
    case "pwait2":
      return `epoll_pwait2($${name}, ?, ${maxevents}, {tv_sec=0, tv_nsec=0}, NULL, 8) = ?`;
    default:
      return `epoll_wait($${name}, ?, ${maxevents}, 0) = ?`;
  }
}

/** A task goes to sleep in an epoll, unless something is ready there. */
const sleep = fc.tuple(pick, fc.integer({ min: 1, max: 4 })).map(
  ([which, maxevents]) =>
    new Act(
      "sleep in epoll_wait",
      (known) => roomLeft(known) && hasEpoll(known) && known.waiters.length < SLEEPERS.length,
      (known, draft) => {
        const { name, file } = choose(known.ofKind("epoll"), which);
        const epoll = known.name("k");
        const task = SLEEPERS[known.waiters.length] as string;
        known.hide(epoll, file);
        known.waiters.push({ task, epoll, maxevents });
        draft.add(`dup($${name}) = $${epoll}`);
        draft.add(`${task} epoll_wait($${epoll},  <unfinished ...>`);
      },
    ),
);

/** Whatever happened to a sleeper, this wakes it: a ready file that nobody else watches. */
export function wakeSleeper({ task, epoll, maxevents }: Waiter, known: KnownState, draft: Draft): void {
  const ready = known.name("ev");
  draft.add(`eventfd2(1, EFD_NONBLOCK) = $${ready}`);
  draft.add(`epoll_ctl($${epoll}, EPOLL_CTL_ADD, $${ready}, ${eventText("EPOLLIN", known.token())}) = ?`);
  draft.add(`${task} <... epoll_wait resumed>?, ${maxevents}, -1) = ?`);
}

const badWait = fc.tuple(pick, pick, fc.nat({ max: 6 })).map(
  ([which, what, how]) =>
    new Act("bad epoll_wait", hasEpoll, (known, draft) => {
      const { name: ep } = choose(known.ofKind("epoll"), which);
      const { name: any } = choose(known.descriptors(), what);
      const forms = [
        `epoll_wait($${ep}, ?, 0, 0)`,
        `epoll_wait($${ep}, ?, -1, 0)`,
        `epoll_wait($${ep}, NULL, 4, 0)`,
        `epoll_wait($${ep}, @edge-24, 4, 0)`,
        `epoll_wait($${ep}, @edge-12, 3, 0)`,
        `epoll_wait($${any}, ?, 0, 0)`,
        `epoll_wait($${any}, ?, 4, 0)`,
      ];
      draft.add(`${choose(forms, how)} = ?`);
    }),
);

const pollMask = pick.map(
  (which) =>
    new Act(
      "poll_mask",
      (known) => known.open.size > 0,
      (known, draft) => draft.add(`poll_mask($${choose(known.descriptors(), which).name}) = ?`),
    ),
);

const weighted: readonly (readonly [number, fc.Arbitrary<ScriptCommand>])[] = [
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
  [5, add],
  [3, nest],
  [3, modify],
  [1, remove],
  [1, badCtl],
  [6, wait],
  [1, sleep],
  [1, badWait],
  [1, pollMask],
];

/** Any command, the useful ones more often. */
export const anyCommand: fc.Arbitrary<ScriptCommand> = fc.oneof(
  ...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })),
);
