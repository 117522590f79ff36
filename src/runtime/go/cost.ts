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
  /** A look at all P's for something to steal. */
  readonly search: number;
  /** From a P's release to the look behind it. */
  readonly release: number;
  /** The way in and out of a system call. */
  readonly syscall: number;
  /** What a call does beyond that, by name. */
  readonly calls: { readonly [name: string]: number };
  /** Each byte that a read or write moves. */
  readonly byte: number;
  /** From the wake-up of a sleeping thread to its first instruction. */
  readonly wakeup: number;
  /** What a sleep that ends by its time-out overruns by: the timer slack of an ordinary thread. */
  readonly slack: number;
  /** A stop of the world by the garbage collector. */
  readonly gcPause: number;
}

export const defaultCosts: CostModel = {
  step: 200,
  schedule: 200,
  search: 100,
  release: 100,
  syscall: 300,
  byte: 0.25,
  calls: {
    accept4: 20_000,
    bind: 2_000,
    clone: 15_000,
    close: 25_000,
    connect: 60_000,
    epoll_ctl: 2_000,
    epoll_pwait: 700,
    futex: 1_500,
    listen: 2_000,
    read: 700,
    socket: 15_000,
    write: 5_000,
  },
  wakeup: 5_000,
  slack: 50_000,
  gcPause: 30_000,
};
