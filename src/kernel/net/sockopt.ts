/**
 * Options of level SOL_SOCKET.
 *
 * Counterpart: `net/core/sock.c` (`sk_setsockopt`, `sk_getsockopt`).
 * Buffer sizes are doubled on the way in and have a floor (U-01, C-38); timeouts are kept, and read back, in jiffies.
 */
import { Unmodelled } from "../lib/assert.ts";
import type { Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Af, So, Sock as SockType } from "../uapi/socket.ts";
import { HZ, NO_TIMEOUT, SkState, SOCK_RCVBUF_LOCK, SOCK_SNDBUF_LOCK, type Sock } from "./sock.ts";

/** `SOCK_MIN_SNDBUF`, `SOCK_MIN_RCVBUF`. */
const MIN_SNDBUF = 4608;
const MIN_RCVBUF = 2304;
const INT_MAX = 0x7fff_ffff;
const USEC_PER_SEC = 1_000_000;
/** `MAX_SCHEDULE_TIMEOUT` in seconds: longer is for ever. */
const MAX_TIMEOUT_SEC = 2 ** 63 / HZ - 1;
/** The highest option number of the reference kernel. */
const LAST_OPTION = 83;
const MAX_FREE_PRIORITY = 6;
const SO_BINDTODEVICE = 25;
/** Of AF_UNIX streams only, and only to be set. */
const SO_INQ = 84;

const scratch = new Uint8Array(128);
const view = new DataView(scratch.buffer);

/** `copy_from_sockptr`. @returns whether all bytes could be read; they are in `scratch`. */
function fetch(task: Task, addr: number, length: number): boolean {
  return task.process.mm.copyFromUser(scratch, 0, addr, length) === length;
}

/** `copy_from_sockptr` for the other levels. @param length - at most 128. @returns null for a bad pointer. */
export function fetchOption(task: Task, addr: number, length: number): DataView | null {
  return fetch(task, addr, length) ? view : null;
}

/** Hands a value to the user, its length first: SOL_SOCKET does it the other way round. @errno EFAULT - a pointer. */
export function storeOption(task: Task, addr: number, lengthAddr: number, bytes: Uint8Array): number {
  const { mm } = task.process;
  const { length } = bytes;
  if (!mm.putUser32(lengthAddr, length)) return -Errno.EFAULT;
  return mm.copyToUser(addr, bytes, 0, length) < length ? -Errno.EFAULT : 0;
}

/** `sock_set_timeout`: two 64-bit words. @returns jiffies, `NO_TIMEOUT`, or a negative errno below that. */
function fetchTimeout(task: Task, addr: number, length: number): number {
  if (length < 16) return -Errno.EINVAL;
  if (!fetch(task, addr, 16)) return -Errno.EFAULT;
  const sec = Number(view.getBigInt64(0, true));
  const usec = Number(view.getBigInt64(8, true));
  if (usec < 0 || usec >= USEC_PER_SEC) return -Errno.EDOM;
  if (sec < 0) return 0;
  if ((sec === 0 && usec === 0) || sec >= MAX_TIMEOUT_SEC) return NO_TIMEOUT;
  return sec * HZ + Math.ceil(usec / (USEC_PER_SEC / HZ));
}

/** A buffer size as it takes effect. */
function bufferBytes(value: number, floor: number): number {
  return Math.max(Math.min(value, INT_MAX >> 1) * 2, floor);
}

/** `SO_SNDBUF`: also announces the space (U-13, C-29). */
function setSndbuf(sk: Sock, value: number): void {
  sk.ownOptions().userlocks |= SOCK_SNDBUF_LOCK;
  sk.sndbuf = bufferBytes(value, MIN_SNDBUF);
  sk.writeSpace();
}

function setRcvbuf(sk: Sock, value: number): void {
  sk.ownOptions().userlocks |= SOCK_RCVBUF_LOCK;
  sk.rcvbuf = bufferBytes(value, MIN_RCVBUF);
}

function setLinger(task: Task, sk: Sock, addr: number, length: number): number {
  if (length < 8) return -Errno.EINVAL;
  if (!fetch(task, addr, 8)) return -Errno.EFAULT;
  const opts = sk.ownOptions();
  const seconds = view.getInt32(4, true);
  opts.linger = view.getInt32(0, true) !== 0;
  if (opts.linger) opts.lingertime = seconds < 0 ? NO_TIMEOUT : seconds * HZ;
  return 0;
}

/**
 * `sk_setsockopt`.
 *
 * @param length - already known not to be negative.
 * @errno EINVAL - too short. EFAULT - the pointer. ENOPROTOOPT - unknown, or read-only. EDOM - microseconds out of
 * range. EPERM - needs a capability. EOPNOTSUPP - not for this family.
 * @behaviour U-01, U-13, C-18, C-38
 */
export function skSetsockopt(task: Task, sk: Sock, option: number, addr: number, length: number): number {
  if (!sk.sharesOption(option)) throw new Unmodelled(`setsockopt(SOL_SOCKET, ${option}) of an MPTCP socket`);
  if (option === SO_BINDTODEVICE) throw new Unmodelled("setsockopt(SO_BINDTODEVICE)");
  if (
    option === SO_INQ &&
    sk.family === Af.UNIX &&
    sk.type === SockType.STREAM &&
    sk.net.kernel.profile.unixInqCounter
  ) {
    throw new Unmodelled("setsockopt(SO_INQ)");
  }
  if (length < 4) return -Errno.EINVAL;
  if (!fetch(task, addr, 4)) return -Errno.EFAULT;
  const value = view.getInt32(0, true);
  const on = value !== 0;
  const { sysctl } = sk.net.kernel;
  const { privileged } = task.process;
  switch (option) {
    case So.TYPE:
    case So.PROTOCOL:
    case So.DOMAIN:
    case So.ERROR:
    case So.SNDLOWAT:
    case So.ACCEPTCONN:
    case So.PEERCRED:
    case So.PEERNAME:
    case So.MEMINFO:
    case So.COOKIE:
      return -Errno.ENOPROTOOPT;
    case So.SNDBUF:
      setSndbuf(sk, Math.min(value >>> 0, sysctl.get("net.core.wmem_max")));
      return 0;
    case So.SNDBUFFORCE:
      if (!privileged) return -Errno.EPERM;
      setSndbuf(sk, Math.max(value, 0));
      return 0;
    case So.RCVBUF:
      setRcvbuf(sk, Math.min(value >>> 0, sysctl.get("net.core.rmem_max")));
      return 0;
    case So.RCVBUFFORCE:
      if (!privileged) return -Errno.EPERM;
      setRcvbuf(sk, Math.max(value, 0));
      return 0;
    case So.RCVTIMEO:
    case So.RCVTIMEO_NEW: {
      const timeout = fetchTimeout(task, addr, length);
      if (timeout < NO_TIMEOUT) return timeout;
      sk.ownOptions().rcvtimeo = timeout;
      return 0;
    }
    case So.SNDTIMEO:
    case So.SNDTIMEO_NEW: {
      const timeout = fetchTimeout(task, addr, length);
      if (timeout < NO_TIMEOUT) return timeout;
      sk.ownOptions().sndtimeo = timeout;
      return 0;
    }
    case So.RCVLOWAT:
      sk.setRcvlowat(value < 0 ? INT_MAX : value || 1);
      return 0;
    case So.LINGER:
      return setLinger(task, sk, addr, length);
    case So.DEBUG:
      if (on && !privileged) return -Errno.EACCES;
      sk.ownOptions().debug = on;
      return 0;
    case So.REUSEPORT:
      if (on && sk.family === Af.UNIX) return -Errno.EOPNOTSUPP;
      sk.ownOptions().reuseport = on;
      return 0;
    case So.PRIORITY:
      if (!privileged && (value < 0 || value > MAX_FREE_PRIORITY)) return -Errno.EPERM;
      sk.ownOptions().priority = value;
      return 0;
    case So.MARK:
      if (!privileged) return -Errno.EPERM;
      sk.ownOptions().mark = value;
      return 0;
    case So.PASSCRED:
      if (sk.family !== Af.UNIX) return -Errno.EOPNOTSUPP;
      sk.ownOptions().passcred = on;
      return 0;
    case So.PASSRIGHTS:
      if (sk.family !== Af.UNIX) return -Errno.EOPNOTSUPP;
      sk.ownOptions().passrights = on;
      return 0;
    case So.PEEK_OFF:
      sk.ownOptions().peekOff = value;
      return 0;
    case So.BUF_LOCK: {
      const mask = SOCK_SNDBUF_LOCK | SOCK_RCVBUF_LOCK;
      if ((value & ~mask) !== 0) return -Errno.EINVAL;
      sk.ownOptions().userlocks = value;
      return 0;
    }
    case So.ZEROCOPY:
      if (sk.family === Af.UNIX) return -Errno.EOPNOTSUPP;
      if (value < 0 || value > 1) return -Errno.EINVAL;
      if (value === 1 && sk.type !== SockType.STREAM) throw new Unmodelled("setsockopt(SO_ZEROCOPY) of a UDP socket");
      sk.ownOptions().zerocopy = value === 1;
      return 0;
    case So.BSDCOMPAT:
      return 0;
    case So.REUSEADDR:
      sk.ownOptions().reuse = on;
      return 0;
    case So.DONTROUTE:
      sk.ownOptions().dontroute = on;
      return 0;
    case So.BROADCAST:
      sk.ownOptions().broadcast = on;
      return 0;
    case So.KEEPALIVE:
      sk.ownOptions().keepalive = on;
      sk.keepaliveChanged();
      return 0;
    case So.OOBINLINE:
      sk.ownOptions().urginline = on;
      return 0;
    case So.NO_CHECK:
      sk.ownOptions().noCheck = on;
      return 0;
    case So.SELECT_ERR_QUEUE:
      sk.ownOptions().selectErrQueue = on;
      return 0;
    case So.DETACH_FILTER:
      return -Errno.ENOENT; // nobody can have attached one
    default:
      if (option < 1 || option > LAST_OPTION) return -Errno.ENOPROTOOPT;
      throw new Unmodelled(`setsockopt(SOL_SOCKET, ${option})`);
  }
}

function putTimeout(timeout: number): number {
  const jiffies = timeout === NO_TIMEOUT ? 0 : timeout;
  view.setBigInt64(0, BigInt(Math.trunc(jiffies / HZ)), true);
  view.setBigInt64(8, BigInt((jiffies % HZ) * (USEC_PER_SEC / HZ)), true);
  return 16;
}

function putPeerCred(sk: Sock): number {
  const cred = sk.peerCred();
  view.setInt32(0, cred === null ? 0 : cred.pid, true);
  view.setInt32(4, cred === null ? -1 : cred.uid, true);
  view.setInt32(8, cred === null ? -1 : cred.gid, true);
  return 12;
}

function putLinger(sk: Sock): number {
  const { linger, lingertime } = sk.opts;
  view.setInt32(0, linger ? 1 : 0, true);
  view.setInt32(4, lingertime === NO_TIMEOUT ? INT_MAX : Math.trunc(lingertime / HZ), true);
  return 8;
}

function putInt(value: number | boolean): number {
  view.setInt32(0, Number(value), true);
  return 4;
}

/** Writes the value to `scratch`. @returns its bytes, or a negative errno. */
function value(sk: Sock, option: number): number {
  const { opts } = sk;
  switch (option) {
    case So.TYPE:
      return putInt(sk.type);
    case So.PROTOCOL:
      return putInt(sk.protocol);
    case So.DOMAIN:
      return putInt(sk.family);
    case So.ERROR:
      return putInt(-sk.takeError());
    case So.SNDBUF:
      return putInt(sk.sndbuf);
    case So.RCVBUF:
      return putInt(sk.rcvbuf);
    case So.SNDLOWAT:
      return putInt(1);
    case So.RCVLOWAT:
      return putInt(opts.rcvlowat);
    case So.RCVTIMEO:
    case So.RCVTIMEO_NEW:
      return putTimeout(opts.rcvtimeo);
    case So.SNDTIMEO:
    case So.SNDTIMEO_NEW:
      return putTimeout(opts.sndtimeo);
    case So.LINGER:
      return putLinger(sk);
    case So.ACCEPTCONN:
      return putInt(sk.state === SkState.LISTEN);
    case So.PEERCRED:
      return putPeerCred(sk);
    case So.PASSCRED:
      return sk.family === Af.UNIX ? putInt(opts.passcred) : -Errno.EOPNOTSUPP;
    case So.PASSRIGHTS:
      return sk.family === Af.UNIX ? putInt(opts.passrights) : -Errno.EOPNOTSUPP;
    case So.DEBUG:
      return putInt(opts.debug);
    case So.REUSEADDR:
      return putInt(opts.reuse);
    case So.REUSEPORT:
      return putInt(opts.reuseport);
    case So.DONTROUTE:
      return putInt(opts.dontroute);
    case So.BROADCAST:
      return putInt(opts.broadcast);
    case So.KEEPALIVE:
      return putInt(opts.keepalive);
    case So.OOBINLINE:
      return putInt(opts.urginline);
    case So.NO_CHECK:
      return putInt(opts.noCheck);
    case So.PRIORITY:
      return putInt(opts.priority);
    case So.MARK:
      return putInt(opts.mark);
    case So.SELECT_ERR_QUEUE:
      return putInt(opts.selectErrQueue);
    case So.PEEK_OFF:
      return putInt(opts.peekOff);
    case So.BUF_LOCK:
      return putInt(opts.userlocks & (SOCK_SNDBUF_LOCK | SOCK_RCVBUF_LOCK));
    case So.ZEROCOPY:
      return putInt(opts.zerocopy);
    case So.BSDCOMPAT:
      return putInt(0);
    case So.MEMINFO:
      return putMeminfo(sk);
    case So.INCOMING_NAPI_ID:
      return putInt(0); // loopback has no queue of its own
    case So.DETACH_FILTER:
      return -Errno.ENOPROTOOPT;
    default:
      if (option < 1 || option > LAST_OPTION) return -Errno.ENOPROTOOPT;
      throw new Unmodelled(`getsockopt(SOL_SOCKET, ${option})`);
  }
}

/** `sk_get_meminfo`: nine words; what the model does not keep reads 0. */
function putMeminfo(sk: Sock): number {
  const words = [sk.rmem, sk.rcvbuf, sk.wmem, sk.sndbuf, 0, sk.wmemQueued, 0, 0, sk.drops];
  for (const [index, word] of words.entries()) view.setUint32(index * 4, word, true);
  return words.length * 4;
}

/** Copies what `scratch` holds to the user, cut to the room given, and the length with it. */
function store(task: Task, addr: number, lengthAddr: number, length: number): number {
  const { mm } = task.process;
  if (mm.copyToUser(addr, scratch, 0, length) < length) return -Errno.EFAULT;
  return mm.putUser32(lengthAddr, length) ? 0 : -Errno.EFAULT;
}

/**
 * `sk_getsockopt`.
 *
 * @errno EFAULT - a pointer. EINVAL - a negative length. ENOPROTOOPT - unknown. EOPNOTSUPP - not for this family.
 * ENOTCONN - SO_PEERNAME without a peer.
 * @behaviour U-01, C-27, C-38
 */
export function skGetsockopt(task: Task, sk: Sock, option: number, addr: number, lengthAddr: number): number {
  if (!sk.sharesOption(option)) throw new Unmodelled(`getsockopt(SOL_SOCKET, ${option}) of an MPTCP socket`);
  if (!fetch(task, lengthAddr, 4)) return -Errno.EFAULT;
  const room = view.getInt32(0, true);
  if (room < 0) return -Errno.EINVAL;
  if (option === So.PEERNAME) {
    const name = sk.getname(2);
    if (typeof name === "number") return -Errno.ENOTCONN;
    if (name.length < room) return -Errno.EINVAL;
    scratch.set(name);
    return store(task, addr, lengthAddr, room);
  }
  const length = value(sk, option);
  return length < 0 ? length : store(task, addr, lengthAddr, Math.min(length, room));
}
