/**
 * Timespecs and the clocks that are read in them.
 *
 * Counterpart: `include/linux/ktime.h`, `kernel/time/posix-timers.c`, `kernel/time/timekeeping.c`.
 * Bigints throughout: a ktime reaches to 2^63 ns, and what a program sets must come back to the nanosecond. The model's own
 * clock counts in numbers (`Clock.nowNs`).
 */
import { ClockId } from "../uapi/time.ts";
import type { Clock } from "./hrtimer.ts";

export const NSEC_PER_SEC = 1_000_000_000n;
/** `KTIME_MAX`: where times saturate. */
export const KTIME_MAX: bigint = 2n ** 63n - 1n;

/** `struct itimerspec64` in ktimes. */
export interface Itimerspec {
  readonly value: bigint;
  readonly interval: bigint;
}

/** `timespec64_valid`. */
export function timespecValid(seconds: bigint, nanoseconds: bigint): boolean {
  return seconds >= 0n && nanoseconds >= 0n && nanoseconds < NSEC_PER_SEC;
}

/** `timespec64_to_ktime` of a valid timespec. */
export function toKtime(seconds: bigint, nanoseconds: bigint): bigint {
  const ktime = seconds * NSEC_PER_SEC + nanoseconds;
  return ktime > KTIME_MAX ? KTIME_MAX : ktime;
}

/** `ktime_add_safe`. */
export function addSafe(a: bigint, b: bigint): bigint {
  return a + b > KTIME_MAX ? KTIME_MAX : a + b;
}

/** By the time of day; atomic time as long as nobody has told the kernel its distance. */
const REAL_CLOCKS: ReadonlySet<number> = new Set<number>([ClockId.REALTIME, ClockId.REALTIME_ALARM, ClockId.TAI]);

/** What a clock counts ahead of the time since boot: the machine never sleeps, so boot time is monotonic time. */
export function clockOffset(clock: Clock, clockId: number): bigint {
  return REAL_CLOCKS.has(clockId) ? clock.bootEpochNs : 0n;
}

/** Now, by one of the clocks that can be waited for. */
export function clockNow(clock: Clock, clockId: number): bigint {
  return BigInt(clock.nowNs) + clockOffset(clock, clockId);
}
