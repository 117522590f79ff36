/**
 * `siginfo_t` and `struct sigevent` of x86-64.
 *
 * Counterpart: `include/uapi/asm-generic/siginfo.h`; which fields are printed: strace `printsiginfo.c`, `print_sigevent.c`.
 */
import type { Expr } from "../ast.ts";
import { hex, struct as structExpr } from "../build.ts";
import { decodeFields, encodeFields, type Field, fieldAt, struct } from "./blocks.ts";
import type { BlockType, Decoder } from "./context.ts";
import { readWord } from "./image.ts";
import { cldCodes, siCodes, sigevNotify } from "./symbols.ts";
import { address, enumeration, int, long, pid, printSignal, signal, uid, uint, word } from "./words.ts";

const SIGINFO_BYTES = 128;
const SIGCHLD = 17;
const SI_TIMER = -2;
const SI_SIGIO = -5;
const FAULTS: ReadonlySet<number> = new Set([4, 5, 7, 8, 11]);

const At = { signo: 0, errno: 4, code: 8, pid: 16, uid: 20, value: 24, utime: 32, stime: 40 } as const;

function number(bytes: Uint8Array, at: number): number {
  return Number(readWord(bytes, at, 4, true));
}

/** Only SIGCHLD has names of its own for positive codes here; other numbers are printed in hexadecimal. */
const code = (ofChild: boolean): Field =>
  fieldAt(
    At.code,
    "si_code",
    word(4, true, (value) => {
      const bits = BigInt.asUintN(32, value);
      return siCodes.nameOf(bits) === null && ofChild ? cldCodes.printEnum(bits) : siCodes.printEnum(bits);
    }),
  );

const signo = fieldAt(At.signo, "si_signo", signal);
const errno = fieldAt(At.errno, "si_errno", int);
const source = [fieldAt(At.pid, "si_pid", pid), fieldAt(At.uid, "si_uid", uid)];
const value = [fieldAt(At.value, "si_int", int), fieldAt(At.value, "si_ptr", address)];
const timer = [fieldAt(At.pid, "si_timerid", word(4, true, hex)), fieldAt(At.uid, "si_overrun", int)];
const band = [fieldAt(At.pid, "si_band", long), fieldAt(At.value, "si_fd", int)];
const fault = fieldAt(At.pid, "si_addr", address);
const exitStatus = fieldAt(At.value, "si_status", int);
const signalStatus = fieldAt(At.value, "si_status", word(4, true, printSignal));
const times = [fieldAt(At.utime, "si_utime", long), fieldAt(At.stime, "si_stime", long)];
const CLD_EXITED = 1;

/** The fields that a record has, by its code and signal. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const from = number(bytes, At.code);
  const which = number(bytes, At.signo);
  const head = [signo, code(which === SIGCHLD), ...(number(bytes, At.errno) === 0 ? [] : [errno])];
  const withValue = readWord(bytes, At.value, 8, false) === 0n ? [] : value;
  if (from === SI_TIMER) return [...head, ...timer, ...withValue];
  if (from === SI_SIGIO) return [...head, ...band];
  if (from <= 0) return [...head, ...source, ...withValue];
  if (which === SIGCHLD) return [...head, ...source, from === CLD_EXITED ? exitStatus : signalStatus, ...times];
  return FAULTS.has(which) ? [...head, fault] : head;
}

const everyField = [signo, code(true), errno, ...source, ...value, ...timer, ...band, fault, exitStatus, ...times];

/** `siginfo_t`: `{si_signo=SIGUSR1, si_code=SI_USER, si_pid=7, si_uid=0}`. */
export const siginfo: BlockType = {
  kind: "block",
  room: () => SIGINFO_BYTES,
  encode: (expr, image, offset, enc) => encodeFields(everyField, expr, image, offset, enc),
  extent: () => SIGINFO_BYTES,
  decode: (bytes: Uint8Array, dec: Decoder): Expr => structExpr(decodeFields(fieldsOf(bytes), bytes, dec)),
};

const SIGEV_NONE = 1;
const SIGEV_THREAD_ID = 4;
const notify = (bytes: Uint8Array): number => number(bytes, 12);
const isSignal = (bytes: Uint8Array): boolean => notify(bytes) !== SIGEV_NONE && notify(bytes) <= SIGEV_THREAD_ID;

const sigval = struct(8, [fieldAt(0, "sival_int", int), fieldAt(0, "sival_ptr", address)]);

/** `struct sigevent`: `{sigev_signo=SIGALRM, sigev_notify=SIGEV_SIGNAL}`. */
export const sigevent: BlockType = struct(64, [
  fieldAt(0, "sigev_value", sigval, (bytes) => readWord(bytes, 0, 8, false) !== 0n),
  fieldAt(8, "sigev_signo", signal, isSignal),
  fieldAt(8, "sigev_signo", uint, (bytes) => !isSignal(bytes)),
  fieldAt(12, "sigev_notify", enumeration(sigevNotify)),
  fieldAt(16, "sigev_notify_thread_id", pid, (bytes) => notify(bytes) === SIGEV_THREAD_ID),
]);
