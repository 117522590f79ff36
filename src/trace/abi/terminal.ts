/**
 * What a terminal is set to.
 *
 * Counterpart: `include/uapi/asm-generic/termbits.h` (`struct termios` of the kernel, 19 control characters).
 */
import { hex } from "../build.ts";
import { buffer, fieldAt, struct } from "./blocks.ts";
import type { BlockType } from "./context.ts";
import { SymbolTable } from "./symbol-table.ts";
import { byte, flags, word } from "./words.ts";

const NCCS = 19;

/** `tcflag_t`. */
const modes = word(4, false, hex);

/** Local modes: the bits of `c_lflag`. */
const localModes: SymbolTable = new SymbolTable({
  ISIG: 0o1,
  ICANON: 0o2,
  XCASE: 0o4,
  ECHO: 0o10,
  ECHOE: 0o20,
  ECHOK: 0o40,
  ECHONL: 0o100,
  NOFLSH: 0o200,
  TOSTOP: 0o400,
  ECHOCTL: 0o1000,
  ECHOPRT: 0o2000,
  ECHOKE: 0o4000,
  FLUSHO: 0o10000,
  PENDIN: 0o40000,
  IEXTEN: 0o100000,
  EXTPROC: 0o200000,
});

/** `struct termios`. */
export const termios: BlockType = struct(17 + NCCS, [
  fieldAt(0, "c_iflag", modes),
  fieldAt(4, "c_oflag", modes),
  fieldAt(8, "c_cflag", modes),
  fieldAt(12, "c_lflag", flags(localModes)),
  fieldAt(16, "c_line", byte),
  fieldAt(17, "c_cc", buffer(NCCS)),
]);
