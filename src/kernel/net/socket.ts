/**
 * Sockets as open file descriptions.
 *
 * Counterpart: `net/socket.c` (`struct socket`, `socket_file_ops`).
 * The kernel's socket, its inode and its file are one object here, as they live and die together; the protocol's state
 * is the `Sock`.
 */
import { File, Inode, type PollTable } from "../fs/file.ts";
import { Elsewhere } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import type { Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Mode, Open } from "../uapi/fcntl.ts";
import { Msg, Sock as SockType } from "../uapi/socket.ts";
import type { Sock } from "./sock.ts";

/** Where every socket inode lives: sockfs. */
const SOCKFS_DEV = 0x9;
/** The first request about a network device, and the first one behind those. */
const SIOCGIFNAME = 0x8910;
const SIOCOUTQNSD = 0x894b;
/** Requests of sockets, in the second byte of a request. */
const SOCK_IOC_TYPE = 0x89;
const ifreq = new Uint8Array(40);
const { DONTWAIT: MSG_DONTWAIT, EOR: MSG_EOR } = Msg;

export class SocketFile extends File {
  readonly sk: Sock;
  /** `i_ino`. */
  readonly #ino: number;

  /** `sock_alloc_file`. @param flags - O_NONBLOCK or 0. */
  constructor(sk: Sock, flags: number) {
    const { kernel } = sk.net;
    super(kernel, null, Open.RDWR | (flags & Open.NONBLOCK));
    this.#ino = kernel.allocIno();
    this.sk = sk;
    sk.file = this;
  }

  protected override makeInode(): Inode {
    return new Inode(this.#ino, Mode.IFSOCK | 0o777, SOCKFS_DEV);
  }

  override get link(): string {
    return `socket:[${this.#ino}]`;
  }

  /** `sock_poll`. */
  override poll(task: Task, pt: PollTable | null): number {
    const { sk } = this;
    if (pt !== null) pt.queue(this, sk.wq);
    return sk.poll(task);
  }

  /** `sock_fasync`. */
  override get hasFasync(): boolean {
    return true;
  }

  override fasyncChanged(on: boolean): void {
    this.sk.fasync = on;
  }

  /** `sock_read_iter`. A read of 0 bytes does not reach the protocol (F-18, U-43). */
  override read(task: Task, to: IovIter, nonblock: boolean): number {
    if (to.count === 0) return 0;
    return this.sk.recvmsg(task, to, nonblock ? MSG_DONTWAIT : 0, null);
  }

  /** `sock_write_iter`. */
  override write(task: Task, from: IovIter, nonblock: boolean): number {
    const { sk } = this;
    const flags = nonblock ? MSG_DONTWAIT : 0;
    return sk.sendmsg(task, from, sk.type === SockType.SEQPACKET ? flags | MSG_EOR : flags, null);
  }

  /**
   * `sock_ioctl`. What the protocol does not know goes on to the network devices.
   *
   * @errno EFAULT - no `struct ifreq` there, for a request of sockets.
   * @throws Elsewhere for what network devices answer.
   */
  override ioctl(task: Task, request: number, arg: number): number {
    if (request >= SIOCGIFNAME && request < SIOCOUTQNSD) throw new Elsewhere(`ioctl(0x${request.toString(16)})`);
    const result = this.sk.ioctl(task, request, arg);
    if (result !== -Errno.ENOTTY || request >> 8 !== SOCK_IOC_TYPE) return result;
    return task.process.mm.copyFromUser(ifreq, 0, arg, ifreq.length) < ifreq.length ? -Errno.EFAULT : result;
  }

  /** `sock_close`. */
  override release(): void {
    this.sk.release();
    this.sk.net.runDelayed();
  }

  override fdinfo(): string {
    return this.sk.fdinfo();
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#ino];
  }
}
