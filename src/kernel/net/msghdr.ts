/**
 * Everything about a message but its bytes.
 *
 * Counterpart: `include/linux/socket.h` (`struct msghdr`). read, write and a recvfrom without an address have none: the
 * protocols take null for it, so plain traffic builds no object.
 */
import type { Task } from "../sched/task.ts";

const NO_BYTES = new Uint8Array(0);

export class MsgHdr {
  /** Sending: the destination, empty for none. Receiving: the source, empty until the protocol knows one. */
  name: Uint8Array = NO_BYTES;
  /** Sending: there is a destination, be it an empty one (`msg_name` with `msg_namelen` 0, which only sendto can make). */
  named = false;
  /** Receiving: whether anybody wants the source address. */
  wantsName = false;
  /** Sending: the control data, already copied in. */
  control: Uint8Array = NO_BYTES;
  /** Receiving: where the next control message goes, and the room left there. Address 0 for nowhere. */
  controlAddr = 0;
  controlRoom = 0;
  /** Receiving: flags for the caller (TRUNC, CTRUNC, OOB ...), on top of CMSG_CLOEXEC as asked. */
  flags = 0;

  /** What the system call does with the protocol's answer; runs once, also when the call has slept. */
  finish(_task: Task, result: number): number {
    return result;
  }
}
