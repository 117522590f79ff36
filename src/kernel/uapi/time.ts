/**
 * Clocks and timerfd flags.
 *
 * Counterpart: `include/uapi/linux/time.h`, `include/uapi/linux/timerfd.h`.
 */
export const ClockId = {
  REALTIME: 0,
  MONOTONIC: 1,
  PROCESS_CPUTIME_ID: 2,
  THREAD_CPUTIME_ID: 3,
  MONOTONIC_RAW: 4,
  REALTIME_COARSE: 5,
  MONOTONIC_COARSE: 6,
  BOOTTIME: 7,
  REALTIME_ALARM: 8,
  BOOTTIME_ALARM: 9,
  TAI: 11,
} as const;

/** `clock_nanosleep`: the time is a point, not a span. */
export const TIMER_ABSTIME = 1;

export const Tfd = {
  TIMER_ABSTIME: 1,
  TIMER_CANCEL_ON_SET: 2,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
  /** `ioctl`: `_IOW('T', 0, __u64)`. */
  IOC_SET_TICKS: 0x40085400,
} as const;
