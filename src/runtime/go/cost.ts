/**
 * How long things take: virtual time for what the model does in none.
 *
 * Counterpart: none. The figures are round numbers of the order of a current machine; what they decide (which of two threads is
 * first, how many rounds sysmon makes) is as arbitrary on a real one. Same figures, same run.
 */

/** All in ns. */
export interface CostModel {
  /** Go code between two operations of a goroutine. */
  readonly step: number;
  /** One pass of the scheduler. */
  readonly schedule: number;
  /** The way in and out of a system call. */
  readonly syscall: number;
  /** What a call does beyond that, by name. */
  readonly calls: { readonly [name: string]: number };
  /** From the wake-up of a sleeping thread to its first instruction. */
  readonly wakeup: number;
  /** What a timed sleep overruns by: the timer slack of an ordinary thread. */
  readonly slack: number;
  /** A stop of the world by the garbage collector. */
  readonly gcPause: number;
}

export const defaultCosts: CostModel = {
  step: 200,
  schedule: 200,
  syscall: 400,
  calls: {
    accept4: 6_000,
    bind: 2_000,
    clone: 15_000,
    close: 8_000,
    connect: 35_000,
    epoll_ctl: 1_200,
    epoll_pwait: 1_000,
    futex: 1_500,
    listen: 2_000,
    read: 2_000,
    socket: 6_000,
    write: 12_000,
  },
  wakeup: 5_000,
  slack: 50_000,
  gcPause: 30_000,
};
