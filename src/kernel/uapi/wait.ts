/**
 * Options of wait4 and waitid.
 *
 * Counterpart: `include/uapi/linux/wait.h`.
 */
export const Wait = {
  NOHANG: 1,
  /** wait4 calls it WUNTRACED. */
  STOPPED: 2,
  EXITED: 4,
  CONTINUED: 8,
  NOWAIT: 0x0100_0000,
  NOTHREAD: 0x2000_0000,
  ALL: 0x4000_0000,
  CLONE: -0x8000_0000,
} as const;

/** `P_ALL` and so on: what the number given to waitid means. */
export const WaitFor = { ALL: 0, PID: 1, PGID: 2, PIDFD: 3 } as const;
