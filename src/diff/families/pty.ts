/**
 * Pseudo-terminals: both sides, modes, packet mode, hang-ups.
 *
 * Data crosses a worker of the kernel, so each command that sets it off sleeps for as long as the worker usually needs.
 */
import fc from "fast-check";
import type { Draft } from "../command.ts";
import type { Descriptor, Kind, KnownState } from "../known-state.ts";
import { everyFile } from "./every-file.ts";
import { type Family, install, on, opens } from "./family.ts";

const MASTER: readonly Kind[] = ["pty master"];
const SLAVE: readonly Kind[] = ["pty slave"];
const BOTH: readonly Kind[] = ["pty master", "pty slave"];
const TEXTS = [
  "a",
  "ab",
  "abcde",
  "x\\n",
  "\\n",
  "one\\ntwo\\n",
  "\\4",
  "q\\4",
  "\\3",
  "\\177",
  "ab\\177c\\n",
  "\\25",
  "\\r",
  "\\21",
  "\\23",
];
/** c_iflag, c_oflag, c_lflag, and VTIME and VMIN. */
const MODES = [
  'c_iflag=0, c_oflag=0, c_cflag=0xbf, c_lflag=0, c_line=0, c_cc="\\3\\34\\177\\25\\4\\0\\1"',
  'c_iflag=0, c_oflag=0, c_cflag=0xbf, c_lflag=0, c_line=0, c_cc="\\3\\34\\177\\25\\4\\0\\5"',
  'c_iflag=0, c_oflag=0, c_cflag=0xbf, c_lflag=0, c_line=0, c_cc="\\3\\34\\177\\25\\4\\0\\0"',
  'c_iflag=0, c_oflag=0, c_cflag=0xbf, c_lflag=0x2, c_line=0, c_cc="\\3\\34\\177\\25\\4\\0\\1"',
  'c_iflag=0x500, c_oflag=0x5, c_cflag=0xbf, c_lflag=0x8a3b, c_line=0, c_cc="\\3\\34\\177\\25\\4\\0\\1"',
];
const SETTLE = "nanosleep({tv_sec=0, tv_nsec=3000000}, NULL) = ?";

function openSlave(known: KnownState, draft: Draft): void {
  const { name } = install(known, "sl", "pty slave");
  draft.add(`open("/dev/pts/0", O_RDWR|O_NOCTTY|O_NONBLOCK) = $${name}`);
}

/** A line, and the time that its effect takes. */
function settled({ name }: Descriptor, call: (name: string) => string, draft: Draft): void {
  draft.add(`${call(`$${name}`)} = ?`);
  draft.add(SETTLE);
}

/** Pseudo-terminals. */
export const pty: Family = {
  name: "pty",
  apart: true,
  open: (known, draft, variant) => {
    const { name } = install(known, "m", "pty master");
    draft.add(`open("/dev/ptmx", O_RDWR|O_NOCTTY|O_NONBLOCK) = $${name}`);
    draft.add(`ioctl($${name}, TIOCSPTLCK, [0]) = ?`);
    openSlave(known, draft);
    const slave = known.ofKind("pty slave")[0]!;
    draft.add(`ioctl($${slave.name}, TCSETS, {${MODES[variant % MODES.length]}}) = ?`);
  },
  commands: [
    ...everyFile,
    [2, opens("open the slave", fc.constant(null), (_none, draft, known) => openSlave(known, draft))],
    [
      6,
      on(BOTH, "write", fc.constantFrom(...TEXTS), (target, text, draft) =>
        settled(target, (name) => `write(${name}, "${text}", ${text.replaceAll(/\\(?:\d+|\w)/gu, "_").length})`, draft),
      ),
    ],
    [
      6,
      on(BOTH, "read", fc.constantFrom(1, 2, 8, 100, 100), (target, size, draft) =>
        settled(target, (name) => `read(${name}, ?, ${size})`, draft),
      ),
    ],
    [
      2,
      on(BOTH, "FIONREAD", fc.constant(null), ({ name }, _none, draft) =>
        draft.add(`ioctl($${name}, FIONREAD, ?) = ?`),
      ),
    ],
    [
      1,
      on(BOTH, "TIOCOUTQ", fc.constant(null), ({ name }, _none, draft) =>
        draft.add(`ioctl($${name}, TIOCOUTQ, ?) = ?`),
      ),
    ],
    [
      2,
      on(SLAVE, "TCSETS", fc.constantFrom(...MODES), (target, mode, draft) =>
        settled(target, (name) => `ioctl(${name}, TCSETS, {${mode}})`, draft),
      ),
    ],
    [
      1,
      on(MASTER, "TIOCPKT", fc.constantFrom(0, 1, 1), ({ name }, mode, draft) =>
        draft.add(`ioctl($${name}, TIOCPKT, [${mode}]) = ?`),
      ),
    ],
  ],
};
