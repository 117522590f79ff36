/**
 * What can be done with every descriptor, whatever is behind it.
 */
import fc from "fast-check";
import { Act, ARENA, choose, pick } from "../command.ts";
import { close, duplicate, duplicateOnto } from "../file-commands.ts";
import { KINDS, type Kind } from "../known-state.ts";
import { none, on, room, sizesAround, type Weighted } from "./family.ts";

const POLL_EVENTS = ["POLLIN", "POLLOUT", "POLLIN|POLLOUT", "POLLPRI", "POLLIN|POLLRDHUP", "POLLRDNORM", "0"];

const duplicateFrom = fc.tuple(pick, fc.constantFrom("F_DUPFD", "F_DUPFD_CLOEXEC")).map(
  ([which, how]) =>
    new Act(
      "F_DUPFD",
      (known) => known.open.size > 0 && known.open.size < 10,
      (known, draft) => {
        const { name: from, file } = choose(known.descriptors(), which);
        const { name } = known.install(known.name("d"), file);
        draft.add(`fcntl($${from}, ${how}, 0) = $${name}`);
      },
    ),
);

const poll = fc.array(fc.tuple(pick, fc.constantFrom(...POLL_EVENTS)), { minLength: 1, maxLength: 3 }).map(
  (asked) =>
    new Act(
      "poll",
      (known) => known.open.size > 0,
      (known, draft) => {
        const list = asked.map(
          ([which, events]) => `{fd=$${choose(known.descriptors(), which).name}, events=${events}}`,
        );
        draft.add(`poll([${list.join(", ")}], ${list.length}, 0) = ?`);
      },
    ),
);

/** What nodes and files of /proc contain is the machine's, so they are not read. */
const CONTENT = ["read($_, ?, 0)", "pread64($_, ?, 0, 0)", "read($_, @bad, 8)"];
const READABLE: readonly Kind[] = KINDS.filter((kind) => kind !== "dev other");

/** Calls that change nothing, each with its own order of checks. */
const LOOKS = [
  'write($_, "", 0)',
  "ioctl($_, FIONREAD, ?)",
  "fcntl($_, F_GETFL)",
  "fcntl($_, F_GETFD)",
  "fcntl($_, F_GETPIPE_SZ)",
  "fcntl($_, F_GET_SEALS)",
  "lseek($_, 0, SEEK_CUR)",
  "fsync($_)",
  "getsockopt($_, SOL_SOCKET, SO_TYPE, ?, [4])",
  "accept4($_, NULL, NULL, 0x1)",
  "epoll_wait($_, ?, 0, 0)",
  "timerfd_gettime($_, @bad)",
  "inotify_rm_watch($_, 77)",
];

/** The flags stay as they are: nothing here may sleep. */
const HARMLESS = [
  "fcntl($_, F_SETFD, FD_CLOEXEC)",
  "fcntl($_, F_SETFD, 0)",
  "fcntl($_, F_SETFL, O_RDWR|O_NONBLOCK)",
  "fcntl($_, F_SETFL, O_RDWR|O_NONBLOCK|O_APPEND)",
  "ioctl($_, FIONBIO, [1])",
  "ioctl($_, FIOCLEX)",
];

function line(forms: readonly string[], only?: readonly Kind[]): ReturnType<typeof pick.map<Act>> {
  return fc.tuple(pick, fc.constantFrom(...forms)).map(
    ([which, form]) =>
      new Act(
        form,
        (known) => (only === undefined ? known.open.size : known.ofKind(...only).length) > 0,
        (known, draft) => {
          const among = only === undefined ? known.descriptors() : known.ofKind(...only);
          draft.add(`${form.replace("$_", `$${choose(among, which).name}`)} = ?`);
        },
      ),
  );
}

/** Commands on any descriptor. */
export const everyFile: readonly Weighted[] = [
  [2, duplicate],
  [1, duplicateFrom],
  [1, duplicateOnto],
  [3, close],
  [2, poll],
  [1, line(CONTENT, READABLE)],
  [3, line(LOOKS)],
  [1, line(HARMLESS)],
];

/** Reads of some sizes. */
export function readCommand(kinds: readonly Kind[], sizes: readonly number[]): Weighted[1] {
  return on(kinds, "read", sizesAround(sizes), ({ name }, size, draft) =>
    draft.add(`read($${name}, ${room(size)}, ${size}) = ?`),
  );
}

/** Reads until nothing is left, or nearly. */
export function drainCommand(kinds: readonly Kind[]): Weighted[1] {
  return on(kinds, "drain", none, ({ name }, _none, draft) => draft.add(`read($${name}, ${ARENA}, 1048576) = ?`));
}
