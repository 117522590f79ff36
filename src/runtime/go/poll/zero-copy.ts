/**
 * Calls that move bytes without the program's own memory, or from many places of it at once.
 *
 * Counterpart: `internal/poll/writev.go`, `sendfile_linux.go` (later `sendfile_unix.go`), `splice_linux.go`.
 */
import { Errno } from "../../../kernel/uapi/errno.ts";
import { Fcntl, Open, Splice } from "../../../kernel/uapi/fcntl.ts";
import type { Syscalls } from "../../syscalls.ts";
import { SyscallOp } from "../ops.ts";
import type { Go, M } from "../runtime2.ts";
import { SemacquireOp } from "../sema.ts";
import type { Pool } from "../sync/pool.ts";
import { ErrUnexpectedEOF, errnoError, type GoError } from "./errors.ts";
import { type FD, FdOp, MAX_RW, type PollRuntime } from "./fd.ts";
import { Lock } from "./fd-mutex.ts";

/** Buffers in one writev. */
const MAX_IOV = 1024;
const IOVEC_SIZE = 16;
const TWO_32 = 2 ** 32;

/** What was moved. */
export interface Moved {
  readonly n: number;
  readonly err: GoError | null;
  /** False when nothing was moved, and the caller has to do it by read and write. */
  readonly handled: boolean;
}

/** `FD.Writev`: all of them, at most 1024 buffers in a call. */
export class WritevOp extends FdOp<WritevOp> {
  /** What is left. */
  readonly #bufs: Uint8Array[];
  /** Bytes written. */
  n = 0;

  /** @param bufs - what has been written is taken out of it. */
  constructor(fd: FD, bufs: Uint8Array[]) {
    super(fd, false, "writev");
    this.#bufs = bufs;
    dropEmpty(bufs);
  }

  protected override get isOver(): boolean {
    return this.#bufs.length === 0;
  }

  protected override attempt(sys: Syscalls, m: M): number {
    const iov = this.#iovecs();
    let at = iov.length * IOVEC_SIZE;
    const bytes = this.fd.rt.bounce(
      m,
      iov.reduce((sum, buf) => sum + buf.length, at),
    );
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (const [i, buf] of iov.entries()) {
      bytes.set(buf, at);
      setLong(view, i * IOVEC_SIZE, m.bounce.addr + at);
      setLong(view, i * IOVEC_SIZE + 8, buf.length);
      at += buf.length;
    }
    return sys.writev(this.fd.sysfd, m.bounce, iov.length);
  }

  /** What the next call takes: one of more than 1 GiB ends it, cut. */
  #iovecs(): Uint8Array[] {
    const iov: Uint8Array[] = [];
    for (const buf of this.#bufs) {
      if (buf.length === 0) continue;
      iov.push(buf.subarray(0, MAX_RW));
      if (buf.length > MAX_RW || iov.length === MAX_IOV) break;
    }
    return iov;
  }

  protected override takeOut(): void {}

  protected override tried(result: number): boolean {
    if (result < 0) this.err = errnoError(-result);
    else {
      this.n += result;
      consume(this.#bufs, result);
      if (this.n === 0) this.err = ErrUnexpectedEOF;
    }
    return this.err !== null || this.#bufs.length === 0;
  }

  protected override finish(): this {
    return this;
  }
}

function setLong(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}

/** `consume`: takes `n` bytes off the front. */
function consume(bufs: Uint8Array[], n: number): void {
  let left = n;
  let whole = 0;
  for (const buf of bufs) {
    if (buf.length > left) break;
    left -= buf.length;
    whole += 1;
  }
  bufs.splice(0, whole);
  if (left > 0) bufs[0] = (bufs[0] as Uint8Array).subarray(left);
  dropEmpty(bufs);
}

function dropEmpty(bufs: Uint8Array[]): void {
  if (bufs.every((buf) => buf.length === 0)) bufs.length = 0;
}

/** A call on one descriptor, under one of its locks, that is made again until `enough`. */
class MoveOp extends FdOp<MoveOp> {
  readonly #call: (sys: Syscalls) => number;
  /** Told what the call has moved. @returns whether that is enough. */
  readonly #enough: (moved: number) => boolean;

  constructor(
    fd: FD,
    read: boolean,
    name: string,
    call: (sys: Syscalls) => number,
    enough: (moved: number) => boolean,
  ) {
    super(fd, read, name);
    this.#call = call;
    this.#enough = enough;
  }

  protected override attempt(sys: Syscalls): number {
    return this.#call(sys);
  }

  protected override takeOut(): void {}

  protected override tried(result: number): boolean {
    if (result < 0) {
      this.err = errnoError(-result);
      return true;
    }
    return this.#enough(result);
  }

  protected override finish(): this {
    return this;
  }
}

/**
 * `SendFile`: from a file's position on, under its read lock (as `RawRead`) and the other's write lock.
 *
 * @param remain - bytes, at the most.
 */
export function* sendFile(dst: FD, src: FD, remain: number): Go<Moved> {
  const { sched } = dst.rt;
  const { maxSendfile, emptySendfileHandles } = sched.version;
  for (let lock = src.fdmu.rwlock(true); lock !== Lock.TAKEN; lock = src.fdmu.rwlock(true)) {
    if (lock === Lock.CLOSED) return { n: 0, err: src.errClosing, handled: false };
    yield* new SemacquireOp(sched, src.fdmu.sema(true));
  }
  let n = 0;
  const { err } = yield* new MoveOp(
    dst,
    false,
    "sendfile",
    (sys) => sys.call("sendfile", dst.sysfd, src.sysfd, 0, Math.min(maxSendfile, remain - n)),
    (moved) => {
      n += moved;
      return moved === 0 || n === remain;
    },
  );
  if (src.fdmu.rwunlock(true)) yield* src.destroy();
  const refused = err !== null && REFUSALS.has(err.errno);
  return { n, err, handled: n > 0 || (emptySendfileHandles && !refused) };
}

/** What a descriptor that cannot do this answers. */
const REFUSALS: ReadonlySet<number> = new Set([Errno.ENOSYS, Errno.EINVAL, Errno.EOPNOTSUPP]);

/** A pipe for splices, from the pool. */
export interface SplicePipe {
  readonly rfd: number;
  readonly wfd: number;
}

/** The pipes of a process that no splice uses. A collection that drops one has it closed by the finalizers' goroutine. */
export class SplicePipes {
  readonly pool: Pool<SplicePipe>;
  /** The kernel was asked for the size of the first one. */
  asked = false;

  constructor(pool: Pool<SplicePipe>) {
    this.pool = pool;
  }
}

/** `Splice`: from one stream socket to another through a pipe. @param remain - bytes, at the most. */
export function* splice(dst: FD, src: FD, remain: number): Go<Moved> {
  const { rt } = dst;
  const p = rt.splicePipes.pool.get() ?? (yield* newPipe(rt));
  if (p === null) return { n: 0, err: errnoError(Errno.EINVAL), handled: false };
  let n = 0;
  let handled = false;
  let inPipe = 0;
  let err: GoError | null = null;
  while (err === null && n < remain) {
    const max = Math.min(rt.sched.version.maxSplice, remain - n);
    ({ n: inPipe, err } = yield* spliceDrain(p.wfd, src, max));
    handled ||= err?.errno !== Errno.EINVAL;
    if (err !== null || inPipe === 0) break;
    const pumped = yield* splicePump(dst, p.rfd, inPipe);
    err = pumped.err;
    n += pumped.n;
    inPipe -= pumped.n;
  }
  // What is left in it would come out at the next one's end.
  if (inPipe > 0) yield* destroyPipe(rt, p);
  else rt.splicePipes.pool.put(p);
  return { n, err, handled };
}

interface Step {
  readonly n: number;
  readonly err: GoError | null;
}

/** `spliceDrain`: from the socket into the empty pipe, once. */
function* spliceDrain(wfd: number, sock: FD, max: number): Go<Step> {
  let n = 0;
  const { err } = yield* new MoveOp(
    sock,
    true,
    "splice",
    (sys) => sys.call("splice", sock.sysfd, 0, wfd, 0, max, Splice.NONBLOCK),
    (moved) => {
      n = moved;
      return true;
    },
  );
  return { n, err };
}

/** `splicePump`: all of the pipe into the socket. */
function* splicePump(sock: FD, rfd: number, inPipe: number): Go<Step> {
  let n = 0;
  const { err } = yield* new MoveOp(
    sock,
    false,
    "splice",
    (sys) => sys.call("splice", rfd, 0, sock.sysfd, 0, inPipe - n, Splice.NONBLOCK),
    (moved) => {
      n += moved;
      return n === inPipe;
    },
  );
  return { n, err };
}

/** `newPipe`: 1.19 asks the first one for its size, to know that the kernel is new enough; the newest makes each as big as its splices. */
function* newPipe(rt: PollRuntime): Go<SplicePipe | null> {
  const fds: number[] = [];
  const { sched } = rt;
  const ret = yield* new SyscallOp(sched, "pipe2", (sys) => sys.pipe2(fds, Open.CLOEXEC | Open.NONBLOCK));
  if (ret < 0) return null;
  const [rfd = -1, wfd = -1] = fds;
  const { maxSplice, sizesPipes } = sched.version;
  if (sizesPipes) yield* new SyscallOp(sched, "fcntl", (sys) => sys.fcntl(rfd, Fcntl.SETPIPE_SZ, maxSplice));
  else if (!rt.splicePipes.asked) {
    rt.splicePipes.asked = true;
    yield* new SyscallOp(sched, "fcntl", (sys) => sys.fcntl(rfd, Fcntl.GETPIPE_SZ));
  }
  return { rfd, wfd };
}

/** `destroyPipe`. */
export function* destroyPipe(rt: PollRuntime, p: SplicePipe): Go<void> {
  for (const fd of [p.rfd, p.wfd]) yield* new SyscallOp(rt.sched, "close", (sys) => sys.close(fd));
}
