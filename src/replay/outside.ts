/**
 * What the world outside must have done.
 *
 * A recording does not contain untraced clients and servers. When no order of the recorded calls gives a result, and the other
 * end is outside, the smallest act is looked for that explains it: somebody connected, bytes arrived, the stream ended, room
 * was made. What the act consists of is read from the calls that come next (who was accepted, what was read). From then on the
 * model holds the program's other results to it.
 *
 * Who is outside is proved, never supposed: a server at an address where nobody of the recording listens, and which was
 * connected to; a client whose port no socket of the recording has.
 */
import { Epitem } from "../kernel/fs/eventpoll/epitem.ts";
import type { Eventpoll } from "../kernel/fs/eventpoll/eventpoll.ts";
import type { File } from "../kernel/fs/file.ts";
import { InotifyGroup } from "../kernel/fs/inotify.ts";
import { SignalfdCtx } from "../kernel/fs/signalfd.ts";
import { rbNext } from "../kernel/lib/rbtree.ts";
import { InetSock } from "../kernel/net/inet/inet-sock.ts";
import { TcpSock } from "../kernel/net/inet/tcp-sock.ts";
import { UdpSock } from "../kernel/net/inet/udp-sock.ts";
import { SkState, SOCK_SNDBUF_LOCK } from "../kernel/net/sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import type { UnixSock } from "../kernel/net/unix/unix-sock.ts";
import { Epoll } from "../kernel/uapi/epoll.ts";
import { Af, Sock } from "../kernel/uapi/socket.ts";
import { decodeEvent, decodeEvents, evalInt, exitOf } from "../trace/abi/evaluate.ts";
import type { Expr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import { sockaddrIn } from "./addresses.ts";
import { callsOn, datagramsOf, nextArrival } from "./arrivals.ts";
import { happenAt } from "./disk-watch.ts";
import { known, readableBytes } from "./foresight.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { OutsideClients } from "./outside-clients.ts";
import { addressOf, OUTSIDE, OutsideHost } from "./outside-host.ts";
import { sendAwaited, sendToSignalfd } from "./outside-signals.ts";
import { OutsideUnix, unixOf } from "./outside-unix.ts";
import { notWritable, polled } from "./polled.ts";
import { firstFile, isSymbol, NOTHING } from "./records.ts";
import { peerOf } from "./relations.ts";
import { RingWork } from "./ring-work.ts";
import { RingRegistrations } from "./rings.ts";
import { bringIn, edge, expandSndbuf, isFilling, isFlowing, makeRoom, maskOf, tcpOf, widen } from "./tcp-flow.ts";

const READS: ReadonlySet<string> = new Set("read readv recvfrom recvmsg recvmmsg".split(" "));
/** So much of a stream has room in every send buffer whose size the program has not set, whoever reads. */
const ALWAYS_FITS = 4096;
const WRITES: ReadonlySet<string> = new Set("write writev sendto sendmsg sendfile".split(" "));
/** Events that are looked through for one connection. */
const LOOK = 4_000;
const WAITS = /^epoll_p?wait|^p?poll$|select/;
const IN = Epoll.IN | Epoll.RDNORM | Epoll.RDHUP;
/** The longest datagram of IPv4 (65,507) and of IPv6. */
const DATAGRAM_MAX = 65_527;

export class Outside {
  readonly #machine: Machine;
  readonly #future: Lookahead;
  readonly #host: OutsideHost;
  /** Sockets whose outside reader has stopped, and the send buffer that they had. */
  readonly #full = new Map<TcpSock, number>();
  /** Servers by their addresses. */
  readonly #servers = new Map<string, File>();
  /** Items whose edge has not come yet, although the model has it. */
  readonly #late = new WeakSet<Epitem>();
  readonly #unix: OutsideUnix;
  readonly #clients: OutsideClients;
  readonly #rings = new RingRegistrations();
  readonly ringWork: RingWork = new RingWork();
  /** Calls whose results were taken from the recording to tell what had arrived. */
  readonly proofs: WeakSet<CallRecord> = new WeakSet();

  constructor(machine: Machine, future: Lookahead) {
    this.#machine = machine;
    this.#future = future;
    this.#host = new OutsideHost(machine.kernel, machine.strangers);
    this.#unix = new OutsideUnix(machine, future, this.#host);
    this.#clients = new OutsideClients(machine, future, this.#host, this.#unix, this.proofs);
  }

  /** A call that the model does not know is over. */
  unknown(owner: ReplayTask, record: CallRecord): void {
    if (record.name.startsWith("io_uring_")) this.ringWork.follow(owner, record);
    if (record.name === "io_uring_enter") this.#rings.entered(owner, this.#machine, this.#future);
  }

  /** Before a call takes effect: is its other end outside? */
  before(call: ActiveCall): void {
    const { name } = call.record;
    this.#host.provedBy(call.record);
    this.#unix.before(call);
    if (name === "connect") this.#beforeConnect(call);
    else if (WRITES.has(name)) this.#beforeWrite(call);
  }

  /** Nobody listens where the program connects to, and yet the connection came about. */
  #beforeConnect({ owner, record, errno }: ActiveCall): void {
    const file = firstFile(owner, record);
    if (!(file instanceof SocketFile) || !(file.sk instanceof InetSock)) return;
    if (errno !== null && errno !== "EINPROGRESS") return;
    const address = sockaddrIn(this.#machine.ports.of(file).toModel(record.args[1] ?? NOTHING));
    if (address === null) return;
    const { net } = file.sk;
    const endpoint = net.addrs.endpoint(address[0] as number, address);
    if (typeof endpoint === "number" || !endpoint.addr.isLoopback) return;
    if (file.sk instanceof UdpSock) {
      if (net.udp.lookup(endpoint.addr, endpoint.port, net.addrs.loopback4, 0) !== null) return;
      if (this.#answers(file)) this.#host.bindDatagrams(address);
      return;
    }
    if (net.tcp.lookupListener(endpoint.addr, endpoint.port) !== null) return;
    if (errno !== null && !this.#connects(file) && !this.#isReported(owner, record)) return;
    const server = this.#host.listen(address);
    if (server !== null) this.#servers.set(String(address), server);
  }

  /** What comes next shows that a connection has come about. */
  #connects(file: File): boolean {
    for (const record of callsOn(this.#machine, this.#future, file, null)) {
      const errno = record.result?.errnos[0] ?? null;
      if (record.name === "getsockopt" && isSymbol(record.args[2], "SO_ERROR")) return isZero(record.args[3]);
      if (record.name === "connect") return errno === null || errno === "EISCONN";
      if (record.name === "getpeername" || READS.has(record.name) || WRITES.has(record.name)) {
        return errno === null || errno === "EAGAIN";
      }
    }
    return false;
  }

  /** An epoll reports that the connection can be written to, and no error. */
  #isReported({ task }: ReplayTask, connect: CallRecord): boolean {
    const fd = evalInt(connect.args[0] ?? NOTHING);
    let data: bigint | null = null;
    for (const event of this.#future.ahead(LOOK)) {
      if (event.kind !== "enter") continue;
      const { name, args, result } = event.call;
      const other = this.#machine.tasks.get(event.call.task);
      if (other === undefined || other.task.process.files !== task.process.files) continue;
      if (name === "close" && evalInt(args[0] ?? NOTHING) === fd) return false;
      if (name === "epoll_ctl" && evalInt(args[2] ?? NOTHING) === fd && args[3] !== undefined) {
        data = decodeEvent(args[3])?.data ?? data;
      }
      if (data === null || !/^epoll_p?wait/.test(name) || result?.errnos[0] != null) continue;
      const found = decodeEvents(args[1] ?? NOTHING)?.find((shown) => shown.data === data);
      if (found !== undefined) return (found.events & Epoll.OUT) !== 0 && (found.events & Epoll.ERR) === 0;
    }
    return false;
  }

  /** Datagrams from there are received, or at least none is refused. */
  #answers(file: File): boolean {
    for (const record of callsOn(this.#machine, this.#future, file, null)) {
      const errno = record.result?.errnos[0] ?? null;
      if (errno === "ECONNREFUSED") return false;
      if (READS.has(record.name) && errno === null) return true;
    }
    return false;
  }

  /**
   * How much a TCP connection takes is the kernel's freedom: it sizes both buffers as the connection is used. The outside reads
   * at once, unless the program could not write.
   */
  #beforeWrite(call: ActiveCall): void {
    const file = firstFile(call.owner, call.record);
    if (!(file instanceof SocketFile) || !(file.sk instanceof TcpSock)) return;
    const { sk } = file;
    const { errno, value } = call;
    const isOutside = this.#outsideConnection(file) !== null;
    const wanted = evalInt(call.record.args[2] ?? NOTHING);
    if (errno === "EAGAIN") {
      if (isOutside || isFilling(sk, file, wanted ?? 0)) this.#stop(sk);
      return;
    }
    if (value === null || value <= 0) return;
    this.#resume(sk);
    if (!isOutside && !isFilling(sk, file, value)) return;
    expandSndbuf(sk, value);
    const counted = call.record.name === "write" || call.record.name === "sendto";
    if (!isOutside && counted && wanted !== null && value < wanted) call.limit = value;
  }

  /** The socket, if its peer is outside. */
  #outsideConnection(file: File | null): TcpSock | null {
    if (!(file instanceof SocketFile) || !(file.sk instanceof TcpSock)) return null;
    return this.#host.owns(peerOf(file)) ? file.sk : null;
  }

  #stop(sk: TcpSock): void {
    if (this.#full.has(sk)) return;
    this.#full.set(sk, sk.sndbuf);
    sk.sndbuf = 0;
    const { last } = sk.writeQueue; // what still fits into the last buffer is taken without a look at the limit
    if (last !== null) last.eor = true;
    sk.nospace = true;
  }

  #resume(sk: TcpSock): boolean {
    const sndbuf = this.#full.get(sk);
    if (sndbuf === undefined) return false;
    this.#host.acts();
    this.#full.delete(sk);
    sk.sndbuf = sndbuf;
    sk.nospace = true;
    sk.checkSpace();
    return true;
  }

  /** After a call has taken effect: the outside accepts and reads. */
  after(call: ActiveCall): void {
    const { name } = call.record;
    this.#host.provedBy(call.record);
    this.#unix.after(call);
    if (name === "connect") {
      const server = this.#servers.get(String(sockaddrIn(call.record.args[1])));
      if (server !== undefined) this.#host.acceptAll(server);
    } else if (WRITES.has(name)) this.#afterWrite(call);
  }

  #afterWrite(call: ActiveCall): void {
    const file = firstFile(call.owner, call.record);
    if (call.limit !== null && file instanceof SocketFile && file.sk instanceof TcpSock) this.#stop(file.sk);
    const sk = this.#outsideConnection(file);
    const peer = file === null ? null : peerOf(file);
    if (sk === null || peer === null) return;
    this.#host.drain(peer);
    if (call.progress !== "returned") return;
    if (call.ret === -11) call.learnt = true;
    // how much fitted tells how much the outside had read
    const mayBeFull = (sk.opts.userlocks & SOCK_SNDBUF_LOCK) !== 0 || sk.writeSeq >= ALWAYS_FITS;
    if (call.ret > 0 && call.value !== null && call.value > 0 && call.value < call.ret && mayBeFull) {
      call.ret = call.value;
      call.learnt = true;
      this.#stop(sk);
    }
  }

  /** @returns whether something was found to have happened that may explain the call's result. */
  explain(call: ActiveCall): boolean {
    return known(() => this.#explain(call), false);
  }

  #explain(call: ActiveCall): boolean {
    const { record, owner, errno, value } = call;
    if (errno !== null && errno !== "ECONNRESET") return false;
    const file = firstFile(owner, record);
    this.#host.provedBy(record);
    if (this.#flows(call, file)) return true;
    let found = false;
    if (record.name === "rt_sigtimedwait") found = sendAwaited(this.#machine, call);
    else if (record.name.startsWith("accept")) found = file !== null && this.#clients.connect(file, record);
    else if (READS.has(record.name)) found = file !== null && this.#arrive(owner, file, record);
    else if (value === null || value <= 0) return false;
    else if (WAITS.test(record.name)) {
      if (file?.epoll != null) {
        this.#host.acts();
        found = this.#rings.explain(call, file);
      }
      for (const { item, events } of this.#wanted(call, file)) found = this.#act(owner, item, events) || found;
    }
    if (found) call.learnt = true;
    return found;
  }

  /** Whether a connection inside the recording was further than the model has it. */
  #flows(call: ActiveCall, file: File | null): boolean {
    const { record, owner, value } = call;
    if (value === null) return false;
    if (READS.has(record.name)) return file !== null && bringIn(file, value);
    let flowed = false;
    for (const { item, events } of this.#wanted(call, file)) {
      if ((events & IN) !== 0) flowed = bringIn(item, 1) || flowed;
      if ((events & Epoll.OUT) !== 0) flowed = this.#makeRoom(item) || flowed;
    }
    if (file?.epoll != null && WAITS.test(record.name)) flowed = this.#edges(call, file.epoll) || flowed;
    for (const asked of notWritable(owner, record)) flowed = this.#fill(asked) || flowed;
    return flowed;
  }

  /** Edges of connections in full flow come when the recording says. */
  #edges({ owner, events }: ActiveCall, epoll: Eventpoll): boolean {
    let changed = false;
    for (let node = epoll.rbr.leftmost; node !== null; node = rbNext(node)) {
      const { owner: item } = node;
      const wanted = events?.find((event) => item.dataLow >>> 0 === event.low && item.dataHigh >>> 0 === event.high);
      if ((item.events & Epoll.ET) === 0 || (!this.#late.has(item) && !isFlowing(item))) continue;
      if (wanted === undefined && item.rdllink.list === epoll.rdllist) {
        if (epoll.itemPoll(owner.task, item, null) === 0) continue;
        epoll.rdllist.remove(item.rdllink);
        this.#late.add(item);
        changed = true;
      } else if (wanted !== undefined && edge(item, wanted.events)) {
        this.#late.delete(item);
        item.queuedBy = OUTSIDE;
        changed = true;
      }
    }
    return changed;
  }

  #makeRoom(file: File): boolean {
    const sk = tcpOf(file);
    const resumed = sk !== null && this.#resume(sk);
    return makeRoom(file) || resumed;
  }

  /** The buffer of a connection that is in use was full. */
  #fill(file: File): boolean {
    const sk = tcpOf(file);
    if (sk === null || !sk.writeable() || !isFilling(sk, file, 0)) return false;
    this.#stop(sk);
    return true;
  }

  /** What a wait was recorded with and the model does not have. */
  #wanted(call: ActiveCall, file: File | null): { item: File; events: number }[] {
    const { record, owner } = call;
    if (!WAITS.test(record.name)) return [];
    if (file?.epoll != null) return this.#missing(call, file);
    const wanted: { item: File; events: number }[] = [];
    for (const { asked, events } of polled(owner, record)) {
      const missing = events & ~maskOf(asked, owner.task);
      if (missing !== 0) wanted.push({ item: asked, events: missing });
    }
    return wanted;
  }

  /** The recorded events that the model does not have. */
  #missing(call: ActiveCall, watcher: File): { item: File; events: number }[] {
    const missing: { item: File; events: number }[] = [];
    const { epoll } = watcher;
    if (epoll === null) return missing;
    for (const event of call.events ?? []) {
      for (let node = epoll.rbr.leftmost; node !== null; node = rbNext(node)) {
        const { owner: item } = node;
        if (item.dataLow >>> 0 !== event.low || item.dataHigh >>> 0 !== event.high) continue;
        const mask = epoll.itemPoll(call.owner.task, item, null);
        const edge = (item.events & Epoll.ET) !== 0 && item.rdllink.list === null;
        const events = edge ? event.events : event.events & ~mask;
        if (events !== 0) missing.push({ item: item.file, events });
      }
    }
    return missing;
  }

  /** Somebody outside does what makes these events. */
  #act(owner: ReplayTask, file: File, events: number): boolean {
    const acted = this.#actOn(owner, file, events);
    // when it did so is open, so a place that the item has kept from before tells nothing
    if (acted && file.fEp !== null) for (const item of file.fEp) if (item instanceof Epitem) item.queuedBy = OUTSIDE;
    return acted;
  }

  #actOn(owner: ReplayTask, file: File, events: number): boolean {
    let acted = false;
    if (file instanceof SocketFile && file.sk.state === SkState.LISTEN) return this.#clients.connect(file, null);
    if ((events & (IN | Epoll.HUP | Epoll.ERR)) !== 0) acted = this.#arrive(owner, file, null, events);
    if ((events & Epoll.OUT) !== 0 && file instanceof SocketFile && file.sk instanceof TcpSock) {
      acted = this.#resume(file.sk) || acted;
    }
    return acted;
  }

  /** Bytes, the end of a stream, or a datagram arrive from outside. */
  #arrive(owner: ReplayTask, file: File, now: CallRecord | null, events = 0): boolean {
    if (file instanceof InotifyGroup) return this.#happen(file, now);
    if (file instanceof SignalfdCtx) {
      const read = sendToSignalfd(this.#machine, this.#future, owner, file, now);
      if (read !== null) this.proofs.add(read);
      return read !== null;
    }
    if (!(file instanceof SocketFile)) return false;
    if (file.sk instanceof UdpSock) return this.#datagrams(file, file.sk, now);
    const peer = peerOf(file);
    const unix = unixOf(file);
    if (unix !== null && unix.type !== Sock.STREAM && this.#message(file, unix, now)) return true;
    if (peer === null || !this.#host.owns(peer)) return false;
    const arrival = nextArrival(this.#machine, this.#future, file, now);
    const hangUp = (events & (Epoll.HUP | Epoll.ERR)) !== 0;
    if (arrival === null && !hangUp) return this.#endUnseen(peer, events);
    let acted = false;
    if (arrival !== null && arrival.bytes.length > 0) {
      const ready = readableBytes(owner, file) ?? 0;
      const rest = arrival.bytes.subarray(Math.min(ready, arrival.bytes.length));
      if (file.sk instanceof TcpSock) widen(file.sk, arrival.bytes.length);
      acted = this.#host.send(peer, rest, null) > 0;
      this.#machine.opaque = true;
    }
    for (const record of arrival?.proofs ?? []) this.proofs.add(record);
    if (arrival?.reset || (events & Epoll.ERR) !== 0) {
      // a reset behind the end of the stream is an answer to what was written since: reads find the end
      if (arrival?.ended) this.#host.shutdown(peer);
      this.#host.close(peer, true);
    } else if (arrival?.ended || (events & (Epoll.RDHUP | Epoll.HUP)) !== 0) {
      const closed = unix !== null && ((events & Epoll.HUP) !== 0 || (events === 0 && this.#unix.hasClosed(file)));
      if (closed) this.#host.close(peer, false);
      else this.#host.shutdown(peer);
    } else return acted;
    return true;
  }

  /** A message of an AF_UNIX socket. */
  #message(file: File, sk: UnixSock, now: CallRecord | null): boolean {
    const proof = this.#unix.message(file, sk, now);
    if (proof === null) return false;
    this.proofs.add(proof);
    this.#machine.opaque = true;
    return true;
  }

  /** Something has happened to a file on the disk that is watched. */
  #happen(group: InotifyGroup, now: CallRecord | null): boolean {
    // what later reads find may have happened after this one
    const [read = null] = nextArrival(this.#machine, this.#future, group, now)?.proofs ?? [];
    if (!happenAt(group, read)) return false;
    if (read !== null) this.proofs.add(read);
    this.#machine.opaque = true;
    return true;
  }

  /** Nobody reads what has come: the stream has ended, or one byte has arrived. */
  #endUnseen(peer: File, events: number): boolean {
    if ((events & Epoll.RDHUP) !== 0) {
      this.#host.shutdown(peer);
      return true;
    }
    this.#machine.opaque = true;
    return this.#host.send(peer, Uint8Array.of(0xa5), null) > 0;
  }

  #datagrams(file: SocketFile, sk: UdpSock, now: CallRecord | null): boolean {
    const to = addressOf(file);
    if (to === null) return false;
    for (const record of callsOn(this.#machine, this.#future, file, now)) {
      if (!READS.has(record.name)) continue;
      const received = datagramsOf(record, DATAGRAM_MAX);
      if (received === null) return false;
      let sent = false;
      for (const { source, bytes } of received) {
        const from = senderIn(source, sk);
        if (from === null || this.#machine.ports.of(file).isKnown(((from[2] as number) << 8) | (from[3] as number)))
          return sent;
        const sender = this.#sender(from, sk);
        this.proofs.add(record);
        sent = (sender !== null && this.#host.send(sender, bytes, to) >= 0) || sent;
      }
      return sent;
    }
    return false;
  }

  #sender(from: Uint8Array, sk: UdpSock): File | null {
    const { net } = sk;
    const endpoint = net.addrs.endpoint(from[0] as number, from);
    if (typeof endpoint === "number") return null;
    const found = net.udp.lookup(endpoint.addr, endpoint.port, net.addrs.loopback4, 0);
    if (found === null) return this.#host.bindDatagrams(from);
    return this.#host.owns(found.file) ? found.file : null;
  }
}

/** The address that a datagram came from: as shown, or whom the socket is connected to. */
function senderIn(source: Expr, sk: UdpSock): Uint8Array | null {
  const shown = sockaddrIn(source);
  if (shown !== null) return shown;
  if (sk.dport === 0) return null;
  const bytes = new Uint8Array(16);
  bytes.set([Af.INET, 0, sk.dport >> 8, sk.dport & 0xff, ...sk.daddr.bytes.subarray(0, 4)]);
  return sk.daddr.isV4 ? bytes : null;
}

/** `[0]`. */
function isZero(expr: Expr | undefined): boolean {
  const value = expr === undefined ? null : exitOf(expr);
  return value?.kind === "array" && value.items.length === 1 && evalInt(value.items[0] ?? NOTHING) === 0;
}
