/**
 * Timers that send signals.
 *
 * Counterpart: `kernel/time/itimer.c`, `kernel/time/posix-timers.c`.
 */
import { boxed, fieldAt, pointer, struct } from "./blocks.ts";
import type { BlockType } from "./context.ts";
import { sigevent } from "./siginfo.ts";
import { declare, param, type Signature } from "./signature.ts";
import { clocks, itimers, timerFlags } from "./symbols.ts";
import { itimerspec, timeval } from "./time.ts";
import { enumeration, flags, int } from "./words.ts";

const itimerval: BlockType = struct(32, [fieldAt(0, "it_interval", timeval), fieldAt(16, "it_value", timeval)]);

const which = param("which", enumeration(itimers));
const timerid = param("timerid", int);

/** Declarations. */
export const timerCalls: readonly Signature[] = [
  declare("getitimer", [which, param("value", pointer(itimerval, "out"))]),
  declare("setitimer", [which, param("value", pointer(itimerval, "in")), param("ovalue", pointer(itimerval, "out"))]),
  declare("timer_create", [
    param("clockid", enumeration(clocks)),
    param("sevp", pointer(sigevent, "in")),
    param("timerid", pointer(boxed(int), "out")),
  ]),
  declare("timer_settime", [
    timerid,
    param("flags", flags(timerFlags)),
    param("new_value", pointer(itimerspec, "in")),
    param("old_value", pointer(itimerspec, "out")),
  ]),
  declare("timer_gettime", [timerid, param("curr_value", pointer(itimerspec, "out"))]),
  declare("timer_getoverrun", [timerid]),
  declare("timer_delete", [timerid]),
];
