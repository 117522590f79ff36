/**
 * Device nodes and files of /proc that can be polled, or cannot.
 */
import fc from "fast-check";
import type { Draft } from "../command.ts";
import type { Kind, KnownState } from "../known-state.ts";
import { everyFile } from "./every-file.ts";
import { data, type Family, install, on, opens } from "./family.ts";

/** Read in full: their content is the same everywhere. */
const DEVICES = ["/dev/null", "/dev/zero", "/dev/full"];
/** Asked for their masks, and read for nothing: their content is the machine's. */
const OTHERS = [
  "/dev/urandom",
  "/dev/random",
  "/proc/self/mounts",
  "/proc/self/mountinfo",
  "/proc/swaps",
  "/proc/version",
  "/proc/net/tcp",
  "/proc/self/maps",
  "/proc/self/stat",
  "/",
];
const DEVICE: readonly Kind[] = ["dev"];
const OTHER: readonly Kind[] = ["dev other"];

function open(known: KnownState, draft: Draft, path: string, access: string, kind: Kind): void {
  const { name } = install(known, "n", kind);
  draft.add(`open("${path}", ${access}|O_NONBLOCK) = $${name}`);
}

/** Device nodes and files of /proc. */
export const dev: Family = {
  name: "dev",
  open: (known, draft, variant) => {
    open(known, draft, DEVICES[variant % DEVICES.length]!, "O_RDWR", "dev");
    open(known, draft, OTHERS[variant % OTHERS.length]!, "O_RDONLY", "dev other");
  },
  commands: [
    ...everyFile,
    [
      3,
      opens(
        "open a device",
        fc.tuple(fc.constantFrom(...DEVICES), fc.constantFrom("O_RDWR", "O_RDONLY", "O_WRONLY")),
        ([path, access], draft, known) => open(known, draft, path, access, "dev"),
      ),
    ],
    [
      3,
      opens("open a file", fc.constantFrom(...OTHERS), (path, draft, known) =>
        open(known, draft, path, "O_RDONLY", "dev other"),
      ),
    ],
    [
      4,
      on(DEVICE, "write", fc.constantFrom(0, 1, 100, 4097), ({ name }, size, draft, known) =>
        draft.add(`write($${name}, ${data(size, known.token())}, ${size}) = ?`),
      ),
    ],
    [
      4,
      on(DEVICE, "read", fc.constantFrom(0, 1, 100, 4097), ({ name }, size, draft) =>
        draft.add(`read($${name}, ?, ${size}) = ?`),
      ),
    ],
    [
      2,
      on(DEVICE, "lseek", fc.constantFrom("0, SEEK_SET", "5, SEEK_CUR", "0, SEEK_END"), ({ name }, to, draft) =>
        draft.add(`lseek($${name}, ${to}) = ?`),
      ),
    ],
    [
      1,
      on(DEVICE, "pread64", fc.constantFrom(0, 5), ({ name }, at, draft) =>
        draft.add(`pread64($${name}, ?, 10, ${at}) = ?`),
      ),
    ],
    [
      1,
      on(OTHER, "read to nowhere", fc.constant("@bad"), ({ name }, to, draft) =>
        draft.add(`write($${name}, ${to}, 8) = ?`),
      ),
    ],
    [
      2,
      on(DEVICE, "splice", fc.constantFrom(1, 100), ({ name }, size, draft) =>
        draft.add(`sendfile($${name}, $${name}, NULL, ${size}) = ?`),
      ),
    ],
  ],
};
