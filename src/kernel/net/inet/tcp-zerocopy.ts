/**
 * Completion notices of MSG_ZEROCOPY sends.
 *
 * Counterpart: `net/core/skbuff.c` (`msg_zerocopy_realloc`, `__msg_zerocopy_callback`), `net/ipv4/ip_sockglue.c`
 * (`ip_recv_error`).
 * On loopback the bytes are copied all the same, and the notice says so. It comes with the acknowledgment, and sits in the
 * error queue, which alone makes ERR (C-42); notices of consecutive sends are joined. The bytes are charged like those of
 * other sends: Linux charges the pages that they lie in, by where these lie.
 */
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Msg, SOL_IP, SOL_IPV6 } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import { putCmsg } from "../scm.ts";
import type { TcpSock } from "./tcp-sock.ts";

const IP_RECVERR = 11;
const IPV6_RECVERR = 25;
/** `struct sock_extended_err`, followed by a sockaddr of the offender, of which there is none. */
const EXTENDED_ERR_BYTES = 16;
const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;
const ORIGIN_ZEROCOPY = 5;
const CODE_COPIED = 1;
/** `byte_limit`: what a lot may hold. */
const LOT_BYTES = 524_288;

/** `ubuf_info_msgzc`: consecutive sends, counted from 0, that share buffers and so are told of at once. */
export class ZeroCopyLot {
  readonly first: number;
  last: number;
  bytes: number;
  /** Sends that are still in their system call. */
  users = 1;
  startSeq = -1;
  endSeq = -1;

  constructor(first: number, bytes: number) {
    this.first = first;
    this.last = first;
    this.bytes = bytes;
  }
}

/** What the error queue says of the sends `first` to `last`. */
interface Notice {
  readonly first: number;
  last: number;
  readonly code: number;
}

/** The sends of one socket. */
export class ZeroCopy {
  readonly #sk: TcpSock;
  #next = 0;
  /** Lots that are not acknowledged yet, oldest first. */
  #pending: ZeroCopyLot[] = [];
  /** The lot of the write queue's last buffer; means nothing while that has been sent. */
  tail: ZeroCopyLot | null = null;
  /** `sk_error_queue`. */
  readonly errors: Notice[] = [];

  constructor(sk: TcpSock) {
    this.#sk = sk;
  }

  /** `msg_zerocopy_realloc`: the lot of a send that begins. */
  begin(bytes: number): ZeroCopyLot {
    const id = this.#next;
    this.#next += 1;
    const { tail } = this;
    if (tail !== null && this.#sk.sendHead !== null && tail.last + 1 === id && tail.bytes + bytes <= LOT_BYTES) {
      tail.last = id;
      tail.bytes += bytes;
      tail.users += 1;
      return tail;
    }
    const lot = new ZeroCopyLot(id, bytes);
    this.#pending.push(lot);
    return lot;
  }

  /** `net_zcopy_put`, or `net_zcopy_put_abort` for a send that took nothing: such a one is not counted. */
  end(lot: ZeroCopyLot, aborted: boolean): void {
    lot.users -= 1;
    if (aborted) {
      this.#next -= 1;
      lot.last -= 1;
    }
    if (lot.users === 0 && lot.endSeq <= this.#sk.sndUna) this.#complete([lot]);
  }

  /** Whether the write queue's last buffer can take bytes of this lot: a buffer belongs to one. */
  fits(lot: ZeroCopyLot): boolean {
    return this.tail === null || this.tail === lot;
  }

  /** Bytes of a lot, or of a plain send, went to the last buffer. */
  appended(lot: ZeroCopyLot | null, size: number, fresh: boolean): void {
    if (fresh || lot !== null) this.tail = lot;
    if (lot === null) return;
    lot.endSeq = this.#sk.writeSeq;
    if (lot.startSeq < 0) lot.startSeq = lot.endSeq - size;
  }

  /** Everything before `upTo` has arrived. */
  acknowledged(upTo: number): void {
    const [head] = this.#pending;
    if (head === undefined || head.endSeq > upTo) return;
    this.#complete(this.#pending.filter(({ users, endSeq }) => users === 0 && endSeq <= upTo));
  }

  /** The write queue is thrown away: first what was not sent at all, then what waited for its acknowledgment. */
  purged(): void {
    this.tail = null;
    const { sndNxt } = this.#sk;
    const idle = this.#pending.filter(({ users }) => users === 0);
    this.#complete([
      ...idle.filter(({ startSeq }) => startSeq >= sndNxt),
      ...idle.filter(({ startSeq }) => startSeq < sndNxt),
    ]);
  }

  /** `__msg_zerocopy_callback` for each, with one wake each. */
  #complete(lots: readonly ZeroCopyLot[]): void {
    if (lots.length === 0) return;
    this.#pending = this.#pending.filter((lot) => !lots.includes(lot));
    for (const { first, last, startSeq } of lots) {
      if (last < first || this.#sk.dead) continue;
      const before = this.errors.at(-1);
      if (before !== undefined && before.last + 1 === first) before.last = last;
      else this.errors.push({ first, last, code: startSeq < this.#sk.sndNxt ? CODE_COPIED : 0 });
      this.#sk.errorReport();
    }
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#sk, this.#next, this.#pending];
  }
}

/**
 * recvmsg with MSG_ERRQUEUE: never waits.
 *
 * @returns 0: a notice has no bytes.
 * @errno EAGAIN - no notice.
 */
export function tcpRecvError(sk: TcpSock, task: Task, msg: MsgHdr | null): number {
  const errors = sk.zeroCopy?.errors;
  const notice = errors?.shift();
  if (errors === undefined || notice === undefined) return -Errno.EAGAIN;
  if (errors.length > 0) sk.errorReport();
  if (msg === null) return 0;
  const v4 = sk.daddr.isV4;
  const view = new DataView(new ArrayBuffer(EXTENDED_ERR_BYTES + (v4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES)));
  view.setUint8(4, ORIGIN_ZEROCOPY);
  view.setUint8(6, notice.code);
  view.setUint32(8, notice.first, true);
  view.setUint32(12, notice.last, true);
  const data = new Uint8Array(view.buffer);
  msg.flags |= Msg.ERRQUEUE;
  if (v4) putCmsg(task, msg, SOL_IP, IP_RECVERR, data);
  else putCmsg(task, msg, SOL_IPV6, IPV6_RECVERR, data);
  return 0;
}
