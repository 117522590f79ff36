/**
 * The world outside of a recording, as one more process of the simulated machine.
 *
 * Untraced clients and servers are sockets of this process, so that what they do reaches the program as in the kernel: through
 * the model's own windows, queues and wake-ups. It does nothing by itself: `Outside` says what it has done.
 */
import { FdTable } from "../kernel/fs/fdtable.ts";
import type { File } from "../kernel/fs/file.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { Mm } from "../kernel/mm/mm.ts";
import { sockaddrOf } from "../kernel/net/inet/addr.ts";
import { InetSock } from "../kernel/net/inet/inet-sock.ts";
import { TcpSock } from "../kernel/net/inet/tcp-sock.ts";
import { SkState } from "../kernel/net/sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { SUN_PATH_OFFSET } from "../kernel/net/unix/names.ts";
import { Process } from "../kernel/sched/process.ts";
import { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { Af, Msg, SOL_SOCKET, SOL_TCP, So, Sock } from "../kernel/uapi/socket.ts";
import type { SyscallName } from "../kernel/uapi/unistd.ts";
import { syscallTable } from "../syscalls/table.ts";
import { type UserArea, UserSpace } from "./user-area.ts";

/** In whose name the outside acts: when it does so is open, within what the recording shows. */
export const OUTSIDE: object = { name: "outside" };
const NOFILE = 1 << 20;
const TID = 0x3fff_ffff;
const TCP_NODELAY = 1;
const BACKLOG = 4096;
const CHUNK = 256 * 1024;
const QUIET = Msg.DONTWAIT | Msg.NOSIGNAL;

export class OutsideHost {
  readonly #task: Task;
  readonly #area: UserArea;
  readonly #fds = new WeakMap<File, number>();
  /** What shows that it acts, and whether a watcher has been told so. */
  #proof: object | null = null;
  #told = false;

  readonly #strangers: WeakSet<File>;

  /** @param strangers - gets its descriptions. */
  constructor(kernel: Kernel, strangers: WeakSet<File>) {
    this.#strangers = strangers;
    const space = new UserSpace(new Mm());
    const process = new Process(TID, null, new FdTable(NOFILE), space.mm, kernel.user(0));
    this.#task = new Task(kernel, process, TID, "outside");
    this.#area = space.area();
  }

  /** What it does from now on is shown by `proof`: a record of the recording. */
  provedBy(proof: object): void {
    this.#proof = proof;
    this.#told = false;
  }

  /** It is about to do something: whoever watches the machine learns by what that is shown. */
  acts(): void {
    const { observer } = this.#task.kernel;
    if (observer === null || this.#proof === null || this.#told) return;
    this.#told = true;
    observer.outside(this.#proof);
  }

  #call(name: SyscallName, ...args: number[]): number {
    const run = syscallTable[name];
    this.acts();
    this.#task.kernel.actor = OUTSIDE;
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = args;
    return run === undefined ? -1 : run(this.#task, a, b, c, d, e, f);
  }

  #poke(bytes: Uint8Array): number {
    this.#area.reset();
    const addr = this.#area.reserve(bytes.length);
    this.#area.write(addr, bytes);
    return addr;
  }

  /** Whether a description is one of the outside's. */
  owns(file: File | null): boolean {
    return file !== null && this.#fds.has(file);
  }

  #open(fd: number): File | null {
    const file = fd < 0 ? null : this.#task.process.files.getRaw(fd);
    if (file === null) return null;
    this.#fds.set(file, fd);
    this.#strangers.add(file);
    return file;
  }

  /** @param address - a sockaddr. @returns the bound socket; null when the address is taken. */
  #bound(type: number, address: Uint8Array): number | null {
    const fd = this.#call("socket", address[0] as number, type | Sock.NONBLOCK, 0);
    if (fd < 0) return null;
    this.#open(fd);
    const one = this.#poke(Uint8Array.of(1, 0, 0, 0));
    this.#call("setsockopt", fd, SOL_SOCKET, So.REUSEADDR, one, 4);
    if (this.#call("bind", fd, this.#poke(address), address.length) === 0) return fd;
    this.#call("close", fd);
    return null;
  }

  /** A server starts to listen. @returns its socket. */
  listen(address: Uint8Array): File | null {
    const fd = this.#bound(Sock.STREAM, address);
    if (fd === null) return null;
    this.#call("listen", fd, BACKLOG);
    return this.#task.process.files.getRaw(fd);
  }

  /** An AF_UNIX socket that others can write to. @param address - null for one without a name. */
  bindUnix(type: number, address: Uint8Array | null): File | null {
    const fd = this.#call("socket", Af.UNIX, type | Sock.NONBLOCK, 0);
    const file = this.#open(fd);
    if (file === null || address === null) return file;
    const isPath = address[SUN_PATH_OFFSET] !== 0;
    let bound = this.#call("bind", fd, this.#poke(address), address.length);
    if (bound === -Errno.EADDRINUSE && isPath) {
      this.#call("unlink", this.#poke(address) + SUN_PATH_OFFSET); // a former one has left its file
      bound = this.#call("bind", fd, this.#poke(address), address.length);
    }
    if (bound === 0) return file;
    this.#call("close", fd);
    return null;
  }

  /** An AF_UNIX server starts to listen. */
  listenUnix(type: number, address: Uint8Array): File | null {
    const file = this.bindUnix(type, address);
    if (file !== null) this.#call("listen", this.#fds.get(file) ?? -1, BACKLOG);
    return file;
  }

  /** An AF_UNIX client connects. */
  connectUnix(type: number, to: Uint8Array): File | null {
    const fd = this.#call("socket", Af.UNIX, type | Sock.NONBLOCK, 0);
    const file = this.#open(fd);
    if (file === null || this.#call("connect", fd, this.#poke(to), to.length) === 0) return file;
    this.#call("close", fd);
    return null;
  }

  /** What it sends is on its way at once. */
  #noDelay(fd: number): void {
    this.#call("setsockopt", fd, SOL_TCP, TCP_NODELAY, this.#poke(Uint8Array.of(1, 0, 0, 0)), 4);
  }

  /** Takes every connection that waits. */
  acceptAll(listener: File): void {
    const fd = this.#fds.get(listener);
    if (fd === undefined) return;
    for (let peer = 0; peer >= 0; ) {
      peer = this.#call("accept4", fd, 0, 0, Sock.NONBLOCK);
      if (this.#open(peer) !== null) this.#noDelay(peer);
    }
  }

  /** A client connects from `address` (port 0: any). @returns its socket. */
  connect(address: Uint8Array, to: Uint8Array): File | null {
    const wanted = this.#bound(Sock.STREAM, address);
    const any = address.slice();
    any.set([0, 0], 2);
    const fd = wanted ?? this.#bound(Sock.STREAM, any);
    if (fd === null) return null;
    this.#noDelay(fd);
    const ret = this.#call("connect", fd, this.#poke(to), to.length);
    if (ret === -Errno.EADDRNOTAVAIL && this.#endFormer(address, to)) {
      this.#call("connect", fd, this.#poke(to), to.length);
    }
    return this.#task.process.files.getRaw(fd);
  }

  /** Whether the program still has its end of the connection between these two addresses. */
  isConnected(from: Uint8Array, to: Uint8Array): boolean {
    const sk = this.#lookup(to, from);
    if (sk === null) return false;
    return sk.file !== null || sk.state === SkState.ESTABLISHED || sk.state === SkState.CLOSE_WAIT;
  }

  /** A client whose port is used again to the same server has gone, although nothing has shown it. */
  #endFormer(from: Uint8Array, to: Uint8Array): boolean {
    const former = this.#lookup(from, to)?.file ?? null;
    if (former === null || !this.owns(former)) return false;
    this.close(former, true);
    return true;
  }

  #lookup(own: Uint8Array, other: Uint8Array): TcpSock | null {
    const { tcp, addrs } = this.#task.kernel.net;
    const [here, there] = [own, other].map((address) => addrs.endpoint(address[0] as number, address));
    if (here === undefined || there === undefined || typeof here === "number" || typeof there === "number") return null;
    const sk = tcp.lookup(here.addr, here.port, there.addr, there.port);
    return sk instanceof TcpSock ? sk : null;
  }

  /** Somebody is there for datagrams. */
  bindDatagrams(address: Uint8Array): File | null {
    const fd = this.#bound(Sock.DGRAM, address);
    return fd === null ? null : this.#task.process.files.getRaw(fd);
  }

  /** Bytes, or one datagram. @returns how many were taken. */
  send(file: File, bytes: Uint8Array, to: Uint8Array | null): number {
    const fd = this.#fds.get(file) ?? -1;
    let sent = 0;
    do {
      const part = bytes.subarray(sent, sent + CHUNK);
      const addr = this.#poke(part);
      let name = 0;
      if (to !== null) {
        name = this.#area.reserve(to.length);
        this.#area.write(name, to);
      }
      const done = this.#call("sendto", fd, addr, part.length, QUIET, name, to?.length ?? 0);
      if (done <= 0) break;
      sent += done;
    } while (sent < bytes.length);
    return sent;
  }

  /** Reads all that has come, whatever it is. */
  drain(file: File): void {
    const fd = this.#fds.get(file) ?? -1;
    this.#area.reset();
    const addr = this.#area.reserve(CHUNK);
    while (this.#call("recvfrom", fd, addr, CHUNK, Msg.DONTWAIT, 0, 0) > 0);
  }

  /** The end of what it sends: a FIN. */
  shutdown(file: File): void {
    this.#call("shutdown", this.#fds.get(file) ?? -1, 1);
  }

  /** @param reset - the connection is torn down: RST. */
  close(file: File, reset: boolean): void {
    const fd = this.#fds.get(file) ?? -1;
    if (reset) {
      const linger = this.#poke(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));
      this.#call("setsockopt", fd, SOL_SOCKET, So.LINGER, linger, 8);
    }
    this.#call("close", fd);
  }
}

/** The address of an internet socket, as another socket would connect to it; null for other sockets. */
export function addressOf(file: File): Uint8Array | null {
  if (!(file instanceof SocketFile) || !(file.sk instanceof InetSock)) return null;
  const { sk } = file;
  const { addrs } = sk.net;
  const loopback = sk.rcvSaddr.isV4 || sk.family === Af.INET ? addrs.loopback4 : addrs.loopback6;
  const addr = sk.rcvSaddr.isAny ? loopback : sk.rcvSaddr;
  return sockaddrOf(addr.isV4 ? Af.INET : Af.INET6, addr, sk.num);
}
