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
  step: 150,
  schedule: 150,
  syscall: 200,
  calls: {
    accept4: 2_500,
    bind: 1_000,
    clone: 15_000,
    close: 2_500,
    connect: 18_000,
    epoll_ctl: 800,
    epoll_pwait: 600,
    futex: 1_500,
    listen: 1_500,
    read: 500,
    socket: 3_000,
    write: 5_000,
  },
  wakeup: 5_000,
  slack: 50_000,
  gcPause: 30_000,
};
