/**
 * What all AF_UNIX sockets share: peer, name, charge, shutdown, release, connections.
 *
 * Counterpart: `net/unix/af_unix.c` (`struct unix_sock`).
 * A message is charged to its sender until the receiver has consumed it, so a reader's progress is what makes a writer
 * writable (U-10). The last byte of the arithmetic matters: `sk_wmem_alloc` counts 1 for the socket itself, and 1 more
 * during the callback that announces space.
 * Invariants: while connected, a stream's peer names it back; a listening socket queues embryos, each the sender of one
 * empty buffer.
 */
import { Band } from "../../fs/fasync.ts";
import type { Inode } from "../../fs/file.ts";
import { doMknod, doUnlink, inodePermission, kernPath } from "../../fs/namei.ts";
import type { Task } from "../../sched/task.ts";
import { WaitQueueHead } from "../../sched/wait.ts";
import { Errno } from "../../uapi/errno.ts";
import { Mode } from "../../uapi/fcntl.ts";
import { Af, Ioctl, Shut, Sock as SockType } from "../../uapi/socket.ts";
import type { Net } from "../net.ts";
import { currentGid, Scm } from "../scm.ts";
import { plainHeadTruesize, type SkBuff } from "../skbuff.ts";
import { type PeerCred, RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, SkState, Sock } from "../sock.ts";
import { bsdAddress, SOCKADDR_UN_BYTES, SUN_PATH_OFFSET, sunPath } from "./names.ts";

const { ESTABLISHED, CLOSE, LISTEN } = SkState;

const SOCKET_MODE = Mode.IFSOCK | 0o777;
const MAY_WRITE = 2;

/** Address of a socket that is not bound: the family alone. */
const UNNAMED: Uint8Array = Uint8Array.of(Af.UNIX, 0);

/**
 * `peer_wait`: who waits for room in a socket's receive queue.
 *
 * Relays stand in front of sleepers, as plain entries do in front of exclusive ones. Only few sockets have one.
 */
export class PeerWait {
  /** `peer_wake` entries: connected datagram senders to be told once, the newest first. */
  relays: UnixSock[] = [];
  /** Tasks in a connect or a blocking send. */
  readonly sleepers: WaitQueueHead = new WaitQueueHead();

  /** `wake_up_interruptible` and its kin on `peer_wait`. A relay is taken off and does not count as woken. */
  wakeUp(nrExclusive: number, key: number): void {
    const { relays } = this;
    this.relays = [];
    for (const sk of relays) {
      sk.peerWake = null;
      sk.relayWake(key);
    }
    this.sleepers.wakeUp(nrExclusive, key);
  }
}

/** What a bound socket is called; shared by a listening socket and its connections. */
export interface UnixName {
  readonly addr: Uint8Array;
  /** The file that the address names; null for an abstract one. */
  readonly inode: Inode | null;
}

export abstract class UnixSock extends Sock {
  /** `unix_peer`. May be dead: the reference keeps it until we go too. */
  peer: UnixSock | null;
  /** `inq_len`: bytes sent to us, less those read. Streams only. */
  inq: number;
  /** `oob_skb`: the queued buffer whose only byte is urgent. Streams only. */
  oobSkb: SkBuff | null;
  /** Null until bound. */
  name: UnixName | null;
  /** An embryo's listening socket; null once accepted. */
  listener: UnixSock | null;
  peerWait: PeerWait | null;
  /** Whose `peerWait` we are on as a relay. */
  peerWake: UnixSock | null;
  /** `sk_peer_pid`, `sk_peer_cred`. */
  cred: PeerCred | null;
  /** `scm_stat.nr_fds`: descriptors in our receive queue. */
  nrFds: number;

  constructor(net: Net) {
    super(net);
    this.maxAckBacklog = net.kernel.sysctl.get("net.unix.max_dgram_qlen");
    this.peer = null;
    this.inq = 0;
    this.oobSkb = null;
    this.name = null;
    this.listener = null;
    this.peerWait = null;
    this.peerWake = null;
    this.cred = null;
    this.nrFds = 0;
  }

  override get family(): number {
    return Af.UNIX;
  }

  override get protocol(): number {
    return 0;
  }

  /** A socket of the same type for `connect` to queue. */
  abstract embryo(): UnixSock;

  /** `unix_writable`. */
  writable(): boolean {
    return this.state !== LISTEN && this.wmemAlloc * 4 <= this.sndbuf;
  }

  /** `unix_write_space`. */
  override writeSpace(): void {
    if (this.writable()) this.wakeWriters();
  }

  /** What a `peer_wake` entry does. */
  relayWake(key: number): void {
    this.wakeWaiters(key);
  }

  /** `unix_recvq_full`. */
  recvqFull(): boolean {
    return this.receiveQueue.length > this.maxAckBacklog;
  }

  /** `kfree_skb` with `unix_destruct_scm`: what it carried is dropped, its charge goes back to the sender. */
  freeSkb(skb: SkBuff): void {
    const { scm, sk, truesize } = skb;
    if (scm !== null) {
      skb.scm = null;
      this.net.inflight.remove(scm);
      scm.destroy(this.net);
    }
    if (sk !== null) sk.wfree(truesize);
    this.net.skbs.free(skb);
  }

  /**
   * `unix_scm_to_skb`: descriptors go with the first piece of a send, given credentials with each.
   *
   * @errno ETOOMANYREFS - the user has more descriptors in flight than one process may have open.
   */
  scmToSkb(task: Task, skb: SkBuff, scm: Scm): number {
    const { process } = task;
    const carried = new Scm();
    skb.scm = carried;
    carried.setCredentials(scm.pid, scm.uid, scm.gid);
    if (scm.fp === null) return 0;
    if (process.user.unixInflight > process.files.nofile && !process.privileged) return -Errno.ETOOMANYREFS;
    carried.fp = scm.fp;
    carried.user = scm.user;
    scm.fp = null;
    return 0;
  }

  /** `unix_maybe_add_creds`: the sender's own credentials, if either end asked for them or nobody has accepted yet. */
  maybeAddCreds(task: Task, skb: SkBuff, other: UnixSock): void {
    if (!this.opts.passcred && !other.opts.passcred && other.file !== null) return;
    skb.scm ??= new Scm();
    const { process } = task;
    if (skb.scm.pid === 0) skb.scm.setCredentials(process.tgid, process.user.uid, currentGid(task));
  }

  /** `scm_stat_add`. @returns false if this socket takes no descriptors. */
  acceptScm(scm: Scm): boolean {
    if (scm.fp === null) return true;
    if (!this.opts.passrights) return false;
    this.nrFds += scm.fp.length;
    this.net.inflight.add(scm, this);
    return true;
  }

  /** `scm_stat_del` and `unix_detach_fds`: the receiver takes the descriptors over. */
  detachFds(scm: Scm | null, skb: SkBuff): Scm {
    const carried = skb.scm as Scm;
    const taken = scm ?? new Scm();
    this.net.inflight.remove(carried);
    this.nrFds -= carried.fp?.length ?? 0;
    taken.fp = carried.fp;
    carried.fp = null;
    return taken;
  }

  /** `unix_getname`. */
  override getname(peer: 0 | 1 | 2): Uint8Array | number {
    const sk = peer === 0 ? this : this.peer;
    if (sk === null) return -Errno.ENOTCONN;
    return sk.name?.addr ?? UNNAMED;
  }

  /** `unix_socketpair`. */
  override socketpair(other: Sock, task: Task): number {
    const b = other as UnixSock;
    this.peer = b;
    b.peer = this;
    this.cred = this.net.credOf(task.process);
    b.cred = this.cred;
    this.state = ESTABLISHED;
    b.state = ESTABLISHED;
    return 0;
  }

  override peerCred(): PeerCred | null {
    return this.cred;
  }

  /**
   * `unix_shutdown`. On connected types the peer sees the mirrored directions at once.
   *
   * @errno EINVAL - `how` is none of SHUT_*.
   * @behaviour U-20, U-21, U-22, U-23, U-34, U-41
   */
  override shutdownBy(how: number): number {
    if (how < Shut.RD || how > Shut.RDWR) return -Errno.EINVAL;
    const mode = how + 1;
    this.shutdown |= mode;
    this.stateChange();
    const { peer } = this;
    if (peer !== null && this.type !== SockType.DGRAM) {
      const mirrored = ((mode & RCV_SHUTDOWN) << 1) | ((mode & SEND_SHUTDOWN) >> 1);
      peer.shutdown |= mirrored;
      peer.stateChange();
      if (mirrored === SHUTDOWN_MASK) peer.wakeAsyncReader(Band.HUP);
      else if ((mirrored & RCV_SHUTDOWN) !== 0) peer.wakeAsyncReader(Band.IN);
    }
    return 0;
  }

  /** `unix_release`. */
  override release(): void {
    this.releaseSock(false);
  }

  /**
   * `unix_release_sock`.
   *
   * @param embryo - it is a connection that nobody accepted: its client sees a reset.
   * @behaviour U-16, U-17, U-32, U-33, U-39
   */
  protected releaseSock(embryo: boolean): void {
    const { net, peer, state } = this;
    if (this.name !== null) net.unix.remove(this.type, this.name.addr, this.name.inode, this);
    this.dead = true;
    this.file = null;
    this.shutdown = SHUTDOWN_MASK;
    this.state = CLOSE;
    this.peer = null;
    this.oobSkb = null;
    this.peerWait?.wakeUp(0, 0);
    if (peer !== null) {
      if (this.type !== SockType.DGRAM) {
        peer.shutdown = SHUTDOWN_MASK;
        if (embryo || this.hasUnread()) peer.err = Errno.ECONNRESET;
        peer.stateChange();
        peer.wakeAsyncReader(Band.HUP);
      }
      this.peerWakeDisconnect(peer);
    }
    for (let skb = this.receiveQueue.dequeue(); skb !== null; skb = this.receiveQueue.dequeue()) {
      if (state === LISTEN) (skb.sk as UnixSock).releaseSock(true);
      this.freeSkb(skb);
    }
    net.inflight.request();
  }

  /** Whether anything is queued, not counting an empty buffer at the head: a consumed urgent byte, an empty message. */
  private hasUnread(): boolean {
    const { first } = this.receiveQueue;
    return first !== null && (first.len > first.consumed || first.next !== null);
  }

  /** `unix_dgram_peer_wake_disconnect`. */
  peerWakeDisconnect(other: UnixSock): void {
    if (this.peerWake !== other) return;
    this.peerWake = null;
    const { peerWait } = other;
    if (peerWait !== null) peerWait.relays = peerWait.relays.filter((sk) => sk !== this);
  }

  /**
   * `unix_bind`.
   *
   * @errno EINVAL - not an AF_UNIX address, or the socket has a name. EADDRINUSE - the name is taken.
   * @behaviour U-31
   */
  override bind(task: Task, addr: Uint8Array): number {
    if (addr.length === SUN_PATH_OFFSET && addr[0] === Af.UNIX && addr[1] === 0) return this.autobind();
    const err = validateAddr(addr);
    if (err < 0) return err;
    return addr[SUN_PATH_OFFSET] === 0 ? this.#bindAbstract(addr) : this.#bindPath(task, addr);
  }

  /** `unix_autobind`. */
  autobind(): number {
    if (this.name !== null) return 0;
    return this.#bindAbstract(this.net.unix.autobindAddress(this.type));
  }

  #bindAbstract(addr: Uint8Array): number {
    const { unix } = this.net;
    if (this.name !== null) return -Errno.EINVAL;
    if (unix.findAbstract(this.type, addr) !== null) return -Errno.EADDRINUSE;
    this.name = { addr, inode: null };
    unix.insertAbstract(this.type, addr, this);
    return 0;
  }

  /** `unix_bind_bsd`: the file is made first, so a path in use hides that the socket has a name already. */
  #bindPath(task: Task, addr: Uint8Array): number {
    const path = sunPath(addr);
    const { cwd } = task.kernel.rootfs(task);
    const inode = doMknod(task, cwd, path, SOCKET_MODE);
    if (typeof inode === "number") return inode === -Errno.EEXIST ? -Errno.EADDRINUSE : inode;
    if (this.name !== null) {
      doUnlink(task, cwd, path);
      return -Errno.EINVAL;
    }
    this.name = { addr: bsdAddress(addr), inode };
    this.net.unix.insertInode(inode, this);
    return 0;
  }

  /**
   * `unix_find_other`.
   *
   * @errno ECONNREFUSED - nobody is bound to it. ENOENT, ENOTDIR, EACCES - the path. EPROTOTYPE - a socket of another
   * type.
   * @behaviour U-30
   */
  findOther(task: Task, addr: Uint8Array): UnixSock | number {
    const { unix } = this.net;
    if (addr[SUN_PATH_OFFSET] === 0) return unix.findAbstract(this.type, addr) ?? -Errno.ECONNREFUSED;
    const inode = kernPath(task, task.kernel.rootfs(task).cwd, sunPath(addr));
    if (typeof inode === "number") return inode;
    if (!inodePermission(task, inode, MAY_WRITE)) return -Errno.EACCES;
    const sk = unix.findInode(inode);
    if (sk === null) return -Errno.ECONNREFUSED;
    return sk.type === this.type ? sk : -Errno.EPROTOTYPE;
  }

  /** The empty buffer by which a connection stands in the accept queue, charged to the embryo. */
  connectionSkb(embryo: UnixSock): SkBuff {
    const skb = this.net.skbs.alloc(0);
    embryo.charge(skb, plainHeadTruesize(this.net.skbConfig, 1));
    return skb;
  }

  /** `unix_inq_len`. @errno EINVAL - a listening socket. */
  protected inqLen(): number {
    if (this.state === LISTEN) return -Errno.EINVAL;
    const { first } = this.receiveQueue;
    if (this.type === SockType.DGRAM) return first?.len ?? 0;
    let amount = 0;
    for (let skb = first; skb !== null; skb = skb.next) amount += skb.len - skb.consumed;
    return amount;
  }

  /** `SIOCATMARK`. @errno EOPNOTSUPP - only streams have urgent bytes. */
  protected atMark(): number {
    return -Errno.EOPNOTSUPP;
  }

  /**
   * `unix_ioctl`.
   *
   * @errno EFAULT - the pointer. EINVAL - FIONREAD on a listening socket. EOPNOTSUPP - SIOCATMARK on other than a stream.
   * @behaviour U-07
   */
  override ioctl(task: Task, request: number, arg: number): number {
    let amount: number;
    if (request === Ioctl.SIOCOUTQ) amount = this.wmem;
    else if (request === Ioctl.FIONREAD) amount = this.inqLen();
    else if (request === Ioctl.SIOCATMARK) amount = this.atMark();
    else return -Errno.ENOTTY;
    if (amount < 0) return amount;
    return task.process.mm.putUser32(arg, amount) ? 0 : -Errno.EFAULT;
  }

  /** `unix_show_fdinfo`. */
  override fdinfo(): string {
    let count = 0;
    if (this.type === SockType.DGRAM || this.state === ESTABLISHED) count = this.nrFds;
    else if (this.state === LISTEN) {
      for (let skb = this.receiveQueue.first; skb !== null; skb = skb.next) count += (skb.sk as UnixSock).nrFds;
    }
    return `scm_fds: ${count}\n`;
  }
}

/** `unix_peek_fds`: a peek receives references of its own. */
export function peekFds(scm: Scm | null, skb: SkBuff): Scm {
  const taken = scm ?? new Scm();
  taken.fp = skb.scm?.fp?.map((file) => file.get()) ?? null;
  return taken;
}

/** `unix_validate_addr`. */
export function validateAddr(addr: Uint8Array): number {
  if (addr.length <= SUN_PATH_OFFSET || addr.length > SOCKADDR_UN_BYTES) return -Errno.EINVAL;
  return addr[0] === Af.UNIX && addr[1] === 0 ? 0 : -Errno.EINVAL;
}
