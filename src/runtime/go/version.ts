/**
 * Releases of Go whose runtimes differ where a program can see it.
 *
 * Counterpart: none; each switch names the rows of the reference that tell the two ends apart.
 */

export interface GoVersion {
  readonly name: string;
  /** The interrupt descriptor is an eventfd instead of a pipe. */
  readonly netpollEventfd: boolean;
  /** epoll data carries a sequence number of the descriptor's use. */
  readonly taggedPollDesc: boolean;
  /** Goroutines taken from a netpoll list leave the count of waiters. */
  readonly netpollAdjustWaiters: boolean;
  /** A thread about to drop its P may be asked to spin instead. */
  readonly needspinning: boolean;
  /** The global queue is looked at once more after the P was given up. */
  readonly recheckGlobal: boolean;
  /** lastpoll becomes the time after the blocking poll, not the one before it. */
  readonly lastpollAfter: boolean;
  /** `injectglist` with a P ends with `wakep`. */
  readonly injectWakes: boolean;
  /** `Gosched` wakes a P. */
  readonly goschedWakes: boolean;
  /** Whom a stop of the world preempts stays with its P, in runnext. */
  readonly preemptedForStopIsNext: boolean;
  /** One thread at a time makes the non-blocking poll. */
  readonly onePollAtOnce: boolean;
  /** The P stays running while its goroutine is in a system call. */
  readonly syscallKeepsRunning: boolean;
  /** A new timer wakes the poller only when it is the earliest of its heap. */
  readonly wakeForEarliestOnly: boolean;
  /** Timer channels are unbuffered in effect: Stop and Reset leave no stale value. */
  readonly syncTimerChan: boolean;
  /** Connections also get a keep-alive probe count. */
  readonly keepaliveCount: boolean;
  /** The most that a splice, and a sendfile, moves. */
  readonly maxSplice: number;
  readonly maxSendfile: number;
  /** Pipes for splices are made as big as a splice. */
  readonly sizesPipes: boolean;
  /** A sendfile that finds nothing has done its work; else it is done again by read and write. */
  readonly emptySendfileHandles: boolean;
  /** Connections and files have WriteTo: copies to unix sockets need no memory of the program either. */
  readonly writeTo: boolean;
  /** Listeners speak MPTCP where the kernel does. */
  readonly listensByMptcp: boolean;
  /** A file becomes non-blocking before it is registered. */
  readonly nonblockBeforeOpen: boolean;
}

const GO_1_19: GoVersion = {
  name: "1.19",
  netpollEventfd: false,
  taggedPollDesc: false,
  netpollAdjustWaiters: false,
  needspinning: false,
  recheckGlobal: false,
  lastpollAfter: false,
  injectWakes: false,
  goschedWakes: false,
  preemptedForStopIsNext: false,
  onePollAtOnce: false,
  syscallKeepsRunning: false,
  wakeForEarliestOnly: false,
  syncTimerChan: false,
  keepaliveCount: false,
  maxSplice: 4 << 20,
  maxSendfile: 4 << 20,
  sizesPipes: false,
  emptySendfileHandles: false,
  writeTo: false,
  listensByMptcp: false,
  nonblockBeforeOpen: false,
};

const NEWEST: GoVersion = {
  name: "newest",
  netpollEventfd: true,
  taggedPollDesc: true,
  netpollAdjustWaiters: true,
  needspinning: true,
  recheckGlobal: true,
  lastpollAfter: true,
  injectWakes: true,
  goschedWakes: true,
  preemptedForStopIsNext: true,
  onePollAtOnce: true,
  syscallKeepsRunning: true,
  wakeForEarliestOnly: true,
  syncTimerChan: true,
  keepaliveCount: true,
  maxSplice: 1 << 20,
  maxSendfile: 2 ** 31 - 1,
  sizesPipes: true,
  emptySendfileHandles: true,
  writeTo: true,
  listensByMptcp: true,
  nonblockBeforeOpen: true,
};

/** Profiles by name: `1.19`, the release the recordings were made with, and `newest`. */
export const goVersions: { readonly [name: string]: GoVersion } = { "1.19": GO_1_19, newest: NEWEST };
