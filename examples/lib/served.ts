/** What a server has seen of its clients. */
import { Errno } from "epollsim/runtime";

export interface Served {
  accepted: number;
  /** The client had shut its side. */
  ended: number;
  /** A reset came. */
  reset: number;
  /** Closed because nothing had come or gone for too long. */
  idle: number;
  /** Closed because it did not read. */
  dropped: number;
  /** How often an answer had to wait for room. */
  waits: number;
}

export function newServed(): Served {
  return { accepted: 0, ended: 0, reset: 0, idle: 0, dropped: 0, waits: 0 };
}

/** Counts how a connection ended. @param errno - positive; 0 for an orderly end. */
export function noteEnd(served: Served, errno: number): void {
  if (errno === 0) served.ended += 1;
  else if (errno === Errno.EAGAIN) served.idle += 1;
  else served.reset += 1;
}
