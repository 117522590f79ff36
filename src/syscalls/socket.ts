/**
 * Sockets: making, naming, connecting and shutting them.
 *
 * Counterpart: `net/socket.c`.
 * Order of checks (F-21, F-22): descriptor open, descriptor a socket, address copied in, then the protocol's own; accept4
 * looks at its flags after the descriptor and takes the new number before it waits.
 */
import { sockCreate } from "../kernel/net/create.ts";
import type { AcceptArg, Sock } from "../kernel/net/sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { preempted } from "../kernel/sched/preempt.ts";
import { BLOCKED, SleepingCall, type Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { Sock as SockType } from "../kernel/uapi/socket.ts";
import { toInt, toUint } from "./registers.ts";
import { holdIfBlocked } from "./rw.ts";

/** `sizeof(struct sockaddr_storage)`. */
const SOCKADDR_STORAGE_BYTES = 128;
const TYPE_FLAGS = SockType.CLOEXEC | SockType.NONBLOCK;

const word = new Uint8Array(4);
const wordView = new DataView(word.buffer);

/** `sockfd_lookup_light`. @errno EBADF - not open. ENOTSOCK - open, not a socket. */
export function lookupSocket(task: Task, fd: number): SocketFile | number {
  const file = task.process.files.get(toInt(fd));
  if (file === null) return -Errno.EBADF;
  return file instanceof SocketFile ? file : -Errno.ENOTSOCK;
}

/** `move_addr_to_kernel`. @errno EINVAL - longer than any address, or negative. EFAULT - the pointer. */
export function fetchAddr(task: Task, addr: number, length: number): Uint8Array | number {
  if (length < 0 || length > SOCKADDR_STORAGE_BYTES) return -Errno.EINVAL;
  const bytes = new Uint8Array(length);
  return task.process.mm.copyFromUser(bytes, 0, addr, length) < length ? -Errno.EFAULT : bytes;
}

/**
 * `move_addr_to_user`: as much of the address as there is room for, and its full length.
 *
 * @errno EFAULT - a pointer. EINVAL - the room is negative.
 */
export function storeAddr(task: Task, name: Uint8Array, addr: number, lengthAddr: number): number {
  const { mm } = task.process;
  if (mm.copyFromUser(word, 0, lengthAddr, 4) < 4) return -Errno.EFAULT;
  const room = wordView.getInt32(0, true);
  if (room >= 0 && !mm.putUser32(lengthAddr, name.length)) return -Errno.EFAULT;
  if (room < 0) return -Errno.EINVAL;
  const count = Math.min(room, name.length);
  return mm.copyToUser(addr, name, 0, count) < count ? -Errno.EFAULT : 0;
}

/**
 * socket(2).
 *
 * @returns a descriptor.
 * @errno EINVAL - unknown type or flag. EMFILE - no number is free. Others as `sockCreate`.
 * @kernel net/socket.c `__sys_socket`
 * @behaviour F-23, U-14, E-095
 */
export function sysSocket(task: Task, familyReg: number, typeReg: number, protocolReg: number): number {
  const type = toInt(typeReg);
  if ((type & ~SockType.TYPE_MASK & ~TYPE_FLAGS) !== 0) return -Errno.EINVAL;
  const sk = sockCreate(task, toInt(familyReg), type & SockType.TYPE_MASK, toInt(protocolReg));
  if (typeof sk === "number") return sk;
  const { files } = task.process;
  if (files.lowestFree() >= files.nofile) {
    sk.release();
    return -Errno.EMFILE;
  }
  return files.install(new SocketFile(sk, type), (type & SockType.CLOEXEC) !== 0);
}

/**
 * socketpair(2).
 *
 * @errno EINVAL - unknown type or flag. EMFILE - fewer than two numbers are free. EFAULT - the vector. EOPNOTSUPP - the
 * family has no pairs. Others as `sockCreate`.
 * @kernel net/socket.c `__sys_socketpair`
 * @behaviour F-01, F-06, F-23
 */
export function sysSocketpair(
  task: Task,
  familyReg: number,
  typeReg: number,
  protocolReg: number,
  vec: number,
): number {
  const type = toInt(typeReg);
  const { files, mm } = task.process;
  if ((type & ~SockType.TYPE_MASK & ~TYPE_FLAGS) !== 0) return -Errno.EINVAL;
  const fd1 = files.lowestFree();
  const fd2 = files.lowestFree(fd1 + 1);
  if (fd2 >= files.nofile) return -Errno.EMFILE;
  if (!mm.putUser32(vec, fd1) || !mm.putUser32(vec + 4, fd2)) return -Errno.EFAULT;
  const pair = makePair(task, toInt(familyReg), type & SockType.TYPE_MASK, toInt(protocolReg));
  if (typeof pair === "number") return pair;
  const cloexec = (type & SockType.CLOEXEC) !== 0;
  files.replace(fd1, new SocketFile(pair[0], type), cloexec);
  files.replace(fd2, new SocketFile(pair[1], type), cloexec);
  return 0;
}

function makePair(task: Task, family: number, type: number, protocol: number): [Sock, Sock] | number {
  const a = sockCreate(task, family, type, protocol);
  if (typeof a === "number") return a;
  const b = sockCreate(task, family, type, protocol) as Sock;
  const err = a.socketpair(b, task);
  if (err === 0) return [a, b];
  b.release();
  a.release();
  return err;
}

/**
 * bind(2).
 *
 * @errno EBADF, ENOTSOCK - the descriptor. EINVAL, EFAULT - the address. Others as the protocol's.
 * @kernel net/socket.c `__sys_bind`
 * @behaviour U-31
 */
export function sysBind(task: Task, fd: number, addr: number, length: number): number {
  const file = lookupSocket(task, fd);
  if (typeof file === "number") return file;
  const name = fetchAddr(task, addr, toInt(length));
  return typeof name === "number" ? name : file.sk.bind(task, name);
}

/**
 * listen(2).
 *
 * @errno EBADF, ENOTSOCK - the descriptor. EOPNOTSUPP - not a connection type. Others as the protocol's.
 * @kernel net/socket.c `__sys_listen`
 * @behaviour U-26, U-27, C-09
 */
export function sysListen(task: Task, fd: number, backlog: number): number {
  const file = lookupSocket(task, fd);
  if (typeof file === "number") return file;
  const somaxconn = task.kernel.sysctl.get("net.core.somaxconn");
  return file.sk.listen(task, Math.min(toUint(backlog), somaxconn));
}

/**
 * connect(2).
 *
 * @errno EBADF - not open. EINVAL, EFAULT - the address. ENOTSOCK - after the address. Others as the protocol's.
 * @kernel net/socket.c `__sys_connect`
 * @behaviour F-22, U-27, U-28, U-30, C-04
 */
export function sysConnect(task: Task, fd: number, addr: number, length: number): number {
  const file = task.process.files.get(toInt(fd));
  if (file === null) return -Errno.EBADF;
  const name = fetchAddr(task, addr, toInt(length));
  if (typeof name === "number") return name;
  if (!(file instanceof SocketFile)) return -Errno.ENOTSOCK;
  return holdIfBlocked(task, file, file.sk.connect(task, name, file.nonblock));
}

/** What accept4 does with a connection: a description, the address, the number. */
class Accept implements AcceptArg {
  readonly flags: number;
  readonly addr: number;
  readonly lengthAddr: number;
  readonly newFd: number;
  newFile: SocketFile | null = null;

  constructor(flags: number, addr: number, lengthAddr: number, newFd: number) {
    this.flags = flags;
    this.addr = addr;
    this.lengthAddr = lengthAddr;
    this.newFd = newFd;
  }

  accepted(sk: Sock): void {
    this.newFile = new SocketFile(sk, this.flags);
  }

  finish(task: Task, result: number): number {
    const { files } = task.process;
    const { newFile, newFd } = this;
    let err = result;
    if (newFile !== null && this.addr !== 0) err = this.#storeName(task, newFile);
    if (newFile === null || err < 0) {
      files.unreserve(newFd);
      newFile?.put();
      return err;
    }
    files.replace(newFd, newFile, (this.flags & SockType.CLOEXEC) !== 0);
    return newFd;
  }

  #storeName(task: Task, newFile: SocketFile): number {
    const name = newFile.sk.getname(2);
    if (typeof name === "number") return -Errno.ECONNABORTED;
    return storeAddr(task, name, this.addr, this.lengthAddr);
  }
}

/**
 * accept4(2). The new number is taken at once, so a sleeping accept occupies it.
 *
 * @returns the descriptor of the connection.
 * @errno EBADF - not open. EINVAL - unknown flag, or not listening. EMFILE - no number is free. ENOTSOCK - not a socket.
 * EAGAIN - no connection. EFAULT - the address; the connection is lost (C-12). EOPNOTSUPP - not a connection type.
 * @kernel net/socket.c `__sys_accept4`
 * @behaviour F-21, U-26, U-29, U-53, C-11, C-12
 */
export function sysAccept4(task: Task, fd: number, addr: number, lengthAddr: number, flagsReg: number): number {
  const { files } = task.process;
  const flags = toInt(flagsReg);
  const file = files.get(toInt(fd));
  if (file === null) return -Errno.EBADF;
  if ((flags & ~TYPE_FLAGS) !== 0) return -Errno.EINVAL;
  const newFd = files.lowestFree();
  if (newFd >= files.nofile) return -Errno.EMFILE;
  if (!(file instanceof SocketFile)) return -Errno.ENOTSOCK;
  files.reserve(newFd);
  const arg = new Accept(flags, addr, lengthAddr, newFd);
  if (task.kernel.exploring?.preempt("accept") === true) {
    return holdIfBlocked(task, file, preempted(task, new LateAccept(file, arg)));
  }
  const result = file.sk.accept(task, file.nonblock, arg);
  return result === BLOCKED ? holdIfBlocked(task, file, result) : arg.finish(task, result);
}

/** An accept that has its number, and has not looked at the queue yet. */
class LateAccept extends SleepingCall {
  readonly #file: SocketFile;
  readonly #arg: Accept;

  constructor(file: SocketFile, arg: Accept) {
    super();
    this.#file = file;
    this.#arg = arg;
  }

  override step(task: Task): number {
    task.call = null; // if it sleeps now, then as the socket's own call
    const result = this.#file.sk.accept(task, this.#file.nonblock, this.#arg);
    return result === BLOCKED ? BLOCKED : this.#arg.finish(task, result);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#file, this.#arg];
  }
}

/**
 * accept(2): accept4 without flags.
 *
 * @errno as accept4.
 * @kernel net/socket.c `__sys_accept4`
 * @behaviour U-29, C-11
 */
export function sysAccept(task: Task, fd: number, addr: number, lengthAddr: number): number {
  return sysAccept4(task, fd, addr, lengthAddr, 0);
}

function sysName(task: Task, fd: number, addr: number, lengthAddr: number, peer: 0 | 1): number {
  const file = lookupSocket(task, fd);
  if (typeof file === "number") return file;
  const name = file.sk.getname(peer);
  return typeof name === "number" ? name : storeAddr(task, name, addr, lengthAddr);
}

/**
 * getsockname(2).
 *
 * @errno EBADF, ENOTSOCK - the descriptor. EFAULT, EINVAL - the room for the address.
 * @kernel net/socket.c `__sys_getsockname`
 * @behaviour U-31
 */
export function sysGetsockname(task: Task, fd: number, addr: number, lengthAddr: number): number {
  return sysName(task, fd, addr, lengthAddr, 0);
}

/**
 * getpeername(2).
 *
 * @errno EBADF, ENOTSOCK - the descriptor. ENOTCONN - no peer. EFAULT, EINVAL - the room for the address.
 * @kernel net/socket.c `__sys_getpeername`
 * @behaviour U-28
 */
export function sysGetpeername(task: Task, fd: number, addr: number, lengthAddr: number): number {
  return sysName(task, fd, addr, lengthAddr, 1);
}

/**
 * shutdown(2).
 *
 * @errno EBADF, ENOTSOCK - the descriptor. EINVAL - `how`. ENOTCONN - as the protocol's.
 * @kernel net/socket.c `__sys_shutdown`
 * @behaviour F-22, U-20, U-21, U-22, C-16
 */
export function sysShutdown(task: Task, fd: number, how: number): number {
  const file = lookupSocket(task, fd);
  return typeof file === "number" ? file : file.sk.shutdownBy(toInt(how));
}
