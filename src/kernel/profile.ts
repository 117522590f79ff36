/**
 * Kernel versions: what a program could tell apart.
 *
 * Each switch names the first release with the newer behaviour and the row that proves it. `kernel-versions.md` of the
 * reference tells what was measured and what is history; stable releases carry backports, so a profile stands for the
 * release as it was published.
 */

export interface KernelProfile {
  /** `major * 1000 + minor`: 6.18 is 6018. */
  readonly version: number;
  /** epoll_wait looks at the descriptor before maxevents and the buffer: 6.15, E-100. */
  readonly waitChecksFdFirst: boolean;
  /** Adding an epoll measures the chain above too: 6.17, E-187. */
  readonly loopCheckUpwards: boolean;
  /** epoll has an ioctl method: 6.9, E-013, E-200. */
  readonly epollIoctl: boolean;
  /** Arrivals during a scan go in front of re-queued LT items, in order: 5.1, E-070, E-168. */
  readonly ovflistInOrder: boolean;
  /** The end of a scan that leaves items also wakes outer epolls and pollers: until 5.4, E-183. */
  readonly scanEndWakesOuter: boolean;
  /** epoll_pwait2 exists: 5.11, E-116. */
  readonly epollPwait2: boolean;
  /** eventfd writes must be exactly 8 bytes: 6.9, V-04. */
  readonly eventfdStrictWrite: boolean;
  /** When a pipe write wakes readers: every slot until 5.4, only an empty pipe 5.5 to 5.13, each write since, P-18. */
  readonly pipeWriteWakes: "slot" | "empty" | "write";
  /**
   * When a pipe read wakes writers: it freed a slot (until 5.4), the ring was full before it (5.5 to 6.14), it freed a
   * slot of a full ring (since), P-21.
   */
  readonly pipeReadWakes: "slot" | "full" | "freed";
  /** A pipe write that faults leaves an empty slot, which polls as data: 5.5 to 6.14, P-31. */
  readonly pipeFaultLeavesSlot: boolean;
  /** FIONREAD of a unix stream is a counter, from which an urgent byte that a read skips is not taken: 6.17, U-47. */
  readonly unixInqCounter: boolean;
  /** Sockets of IPPROTO_MPTCP: 5.6; before, the number is none. */
  readonly mptcp: boolean;
}

export const NEWEST = "6.18";
const OLDEST_VERSION = 4004;
const NEWEST_VERSION = 6018;

/**
 * @param text - `6.18`, `5.10`.
 * @throws RangeError for a text that is no version, or one outside 4.4 to 6.18.
 */
export function kernelProfile(text: string): KernelProfile {
  const version = parseVersion(text);
  if (version < OLDEST_VERSION || version > NEWEST_VERSION) {
    throw new RangeError(`kernel ${text}: profiles reach from 4.4 to ${NEWEST}`);
  }
  return {
    version,
    waitChecksFdFirst: version >= 6015,
    loopCheckUpwards: version >= 6017,
    epollIoctl: version >= 6009,
    ovflistInOrder: version >= 5001,
    scanEndWakesOuter: version < 5005,
    epollPwait2: version >= 5011,
    eventfdStrictWrite: version >= 6009,
    pipeWriteWakes: version < 5005 ? "slot" : version < 5014 ? "empty" : "write",
    unixInqCounter: version >= 6017,
    mptcp: version >= 5006,
    pipeReadWakes: version < 5005 ? "slot" : version < 6015 ? "full" : "freed",
    pipeFaultLeavesSlot: version >= 5005 && version < 6015,
  };
}

/** @returns `major * 1000 + minor` of a release such as `6.18` or `6.18.44-cloud`. @throws RangeError otherwise. */
export function parseVersion(text: string): number {
  const match = /^(\d{1,2})\.(\d{1,3})(?:\D.*)?$/.exec(text);
  if (match === null) throw new RangeError(`kernel ${text}: expected a version such as ${NEWEST}`);
  return Number(match[1]) * 1000 + Number(match[2]);
}
