/**
 * A descriptor with its place in the poller.
 *
 * Counterpart: `internal/poll/fd_unix.go` (`FD`; ).
 */
import { Errno } from "../../../kernel/uapi/errno.ts";
import { BLOCKED } from "../../../syscalls/index.ts";
import type { Syscalls } from "../../syscalls.ts";
import type { Netpoll } from "../netpoll.ts";
import { How, leave, mayEnter, mayGoOn, SuspendOnce, SyscallOp } from "../ops.ts";
import {
  netpollblock,
  netpollcheckerr,
  netpollunblocked,
  type PollDesc,
  PollError,
  type PollMode,
  pollReset,
  READ,
  WRITE,
} from "../poll-desc.ts";
import { entersyscall } from "../proc-syscall.ts";
import { type Go, type M, type Op, SUSPENDED } from "../runtime2.ts";
import type { Sched } from "../sched.ts";
import { Sema, SemacquireOp, semrelease } from "../sema.ts";
import { convertErr, EOF, ErrClosed, ErrFileClosed, ErrNoDeadline, errnoError, type GoError } from "./errors.ts";
import { FdMutex, Lock } from "./fd-mutex.ts";
import type { SplicePipes } from "./zero-copy.ts";

/** The most that one read or write moves. */
export const MAX_RW: number = 1 << 30;
const EAGAIN = -Errno.EAGAIN;
const EINTR = -Errno.EINTR;

/** What descriptors need of their runtime. */
export interface PollRuntime {
  readonly sched: Sched;
  readonly netpoll: Netpoll;
  /** Room for `length` bytes in the thread's memory. */
  bounce(m: M, length: number): Uint8Array;
  readonly splicePipes: SplicePipes;
}

export class FD {
  readonly rt: PollRuntime;
  readonly sysfd: number;
  readonly isFile: boolean;
  /** Zero bytes are the end of the file. */
  readonly zeroReadIsEOF: boolean;
  readonly fdmu: FdMutex;
  pd: PollDesc | null = null;
  #csema: Sema | null = null;

  constructor(rt: PollRuntime, sysfd: number, isFile: boolean, zeroReadIsEOF = true) {
    this.rt = rt;
    this.sysfd = sysfd;
    this.isFile = isFile;
    this.zeroReadIsEOF = zeroReadIsEOF;
    this.fdmu = new FdMutex(rt.sched);
  }

  /** `Init`: into the poller. @returns what the registration failed with; the descriptor is then used as a blocking one. */
  *init(): Go<GoError | null> {
    const { netpoll, sched } = this.rt;
    netpoll.serverInit();
    if (sched.tracer !== null) yield* new SuspendOnce(() => !mayEnter(sched, this.sysfd));
    const pd = netpoll.open(this.sysfd);
    if (typeof pd === "number") return errnoError(-pd);
    this.pd = pd;
    return null;
  }

  /** `errClosing`. */
  get errClosing(): GoError {
    return this.isFile ? ErrFileClosed : ErrClosed;
  }

  read(buf: Uint8Array): Op<ReadOp> {
    return new ReadOp(this, buf);
  }

  write(buf: Uint8Array): Op<WriteOp> {
    return new WriteOp(this, buf);
  }

  /** Waits for readiness of one direction, as `pollDesc.wait`. */
  wait(mode: PollMode): Op<GoError | null> {
    return new WaitOp(this, this.pd as PollDesc, mode);
  }

  /** `Close`. A pollable descriptor is really closed when this returns. */
  *close(): Go<GoError | null> {
    if (!this.fdmu.increfAndClose()) return this.errClosing;
    if (this.pd !== null) this.rt.netpoll.unblock(this.pd);
    if (this.fdmu.decref()) {
      yield* this.destroy();
      return null;
    }
    if (this.pd !== null) {
      this.#csema ??= new Sema();
      yield* new SemacquireOp(this.rt.sched, this.#csema);
    }
    return null;
  }

  /** `destroy`: the last reference is gone. */
  *destroy(): Go<void> {
    if (this.pd !== null) {
      this.rt.netpoll.close(this.pd);
    }
    yield* new SyscallOp(this.rt.sched, "close", (sys) => sys.close(this.sysfd), null, How.SYSCALL, this.sysfd);
    this.destroyed();
  }

  /** Lets the goroutine in `Close` go on. */
  destroyed(): void {
    this.#csema ??= new Sema();
    semrelease(this.rt.sched, this.#csema);
  }

  /** A call that needs only that the descriptor stays open (`Shutdown`, `SetsockoptInt`; R-139). */
  *withRef(name: string, call: (sys: Syscalls, m: M) => number): Go<GoError | null> {
    if (!this.fdmu.incref()) return this.errClosing;
    const result = yield* new SyscallOp(this.rt.sched, name, call);
    if (this.fdmu.decref()) yield* this.destroy();
    return result < 0 ? errnoError(-result) : null;
  }

  /** `setDeadlineImpl`. @param deadline - ns since boot, 0 for none. */
  setDeadline(deadline: number, mode: PollMode): GoError | null {
    if (this.fdmu.closed) return this.errClosing;
    if (this.pd === null) return ErrNoDeadline;
    return convertErr(this.rt.netpoll.setDeadline(this.pd, deadline, mode), this.isFile);
  }
}

/** Waits until a direction is ready, or will not be (`pollWait`). */
class WaitOp implements Op<GoError | null>, Iterator<undefined, GoError | null, undefined> {
  readonly #fd: FD;
  readonly #pd: PollDesc;
  readonly #mode: PollMode;
  #waiting = false;

  constructor(fd: FD, pd: PollDesc, mode: PollMode) {
    this.#fd = fd;
    this.#pd = pd;
    this.#mode = mode;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, GoError | null> {
    for (;;) {
      if (this.#waiting && netpollunblocked(this.#pd, this.#mode)) return { done: true, value: null };
      const err = netpollcheckerr(this.#pd, this.#mode);
      if (err !== PollError.NONE) return { done: true, value: convertErr(err, this.#fd.isFile) };
      this.#waiting = true;
      if (!netpollblock(this.#fd.rt.sched, this.#pd, this.#mode)) return SUSPENDED;
    }
  }
}

const Phase = { LOCK: 0, LOCK_WAIT: 1, TRY: 2, CALL: 3, TRIED: 4, WAIT: 5, UNLOCK: 6, DESTROY: 7, DONE: 8 } as const;
type Phase = (typeof Phase)[keyof typeof Phase];

/** A read-like or write-like operation: lock, try the call, wait while it would block, unlock. */
export abstract class FdOp<R> implements Op<R>, Iterator<undefined, R, undefined> {
  protected readonly fd: FD;
  readonly #read: boolean;
  readonly #name: string;
  #phase: Phase = Phase.LOCK;
  #sub: Iterator<undefined, unknown, undefined> | null = null;
  /** Null when it went well. */
  err: GoError | null = null;

  constructor(fd: FD, read: boolean, name: string) {
    this.fd = fd;
    this.#read = read;
    this.#name = name;
  }

  /** Whether the call's result is a number of bytes. */
  get #moves(): boolean {
    return this.#name !== "accept4";
  }

  /** The call. */
  protected abstract attempt(sys: Syscalls, m: M): number;
  /** What a call that came back leaves in the thread's memory. */
  protected abstract takeOut(m: M, result: number): void;
  /** A call that did not fail with EAGAIN or EINTR. @returns whether the operation is over. */
  protected abstract tried(result: number): boolean;
  protected abstract finish(): R;

  /** Nothing is left to do, before the first call. */
  protected get isOver(): boolean {
    return false;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, R> {
    while (this.#phase !== Phase.DONE) if (!this.#step()) return SUSPENDED;
    return { done: true, value: this.finish() };
  }

  /** @returns false when the goroutine is suspended. */
  #step(): boolean {
    switch (this.#phase) {
      case Phase.LOCK:
        return this.#lock();
      case Phase.LOCK_WAIT:
        return this.#await(Phase.LOCK);
      case Phase.TRY:
        return this.#try();
      case Phase.CALL:
        return this.#call();
      case Phase.TRIED:
        this.#judge(this.fd.rt.sched.getg().ret);
        return true;
      case Phase.WAIT:
        return this.#waited();
      case Phase.UNLOCK:
        this.#unlock();
        return true;
      default:
        return this.#await(Phase.DONE);
    }
  }

  #lock(): boolean {
    const { fd } = this;
    const { sched } = fd.rt;
    if (!mayGoOn(sched)) return false;
    const lock = fd.fdmu.rwlock(this.#read);
    if (lock === Lock.WAIT) {
      this.#sub = new SemacquireOp(sched, fd.fdmu.sema(this.#read));
      this.#phase = Phase.LOCK_WAIT;
      return true;
    }
    if (lock === Lock.CLOSED) {
      this.err = fd.errClosing;
      this.#phase = Phase.DONE;
      return true;
    }
    this.#phase = this.isOver ? Phase.UNLOCK : Phase.TRY;
    if (fd.pd !== null) {
      const err = pollReset(fd.pd, this.#read ? READ : WRITE);
      if (err !== PollError.NONE) this.#end(convertErr(err, fd.isFile));
    }
    return true;
  }

  #end(err: GoError | null): void {
    this.err = err;
    this.#phase = Phase.UNLOCK;
  }

  #await(then: Phase): boolean {
    if (this.#sub?.next().done === false) return false;
    this.#sub = null;
    this.#phase = then;
    return true;
  }

  #try(): boolean {
    const { sched } = this.fd.rt;
    if (!mayGoOn(sched)) return false;
    entersyscall(sched);
    this.#phase = Phase.CALL;
    return mayEnter(sched, this.fd.sysfd);
  }

  #call(): boolean {
    const { sched } = this.fd.rt;
    const { m } = sched;
    const result = this.attempt(sched.sys, m);
    if (result === BLOCKED) sched.getg().onReturn = (thread, ret) => this.takeOut(thread, ret);
    else this.takeOut(m, result);
    this.#phase = Phase.TRIED;
    return leave(sched, this.#name, result, this.#moves ? result : 0, this.fd.sysfd);
  }

  #judge(result: number): void {
    if (result === EAGAIN && this.fd.pd !== null) {
      this.#sub = new WaitOp(this.fd, this.fd.pd, this.#read ? READ : WRITE);
      this.#phase = Phase.WAIT;
    } else if (result === EINTR) this.#phase = Phase.TRY;
    else if (this.tried(result)) this.#phase = Phase.UNLOCK;
    else this.#phase = Phase.TRY;
  }

  #waited(): boolean {
    const wait = (this.#sub as WaitOp).next();
    if (wait.done !== true) return false;
    this.#sub = null;
    if (wait.value === null) this.#phase = Phase.TRY;
    else this.#end(wait.value);
    return true;
  }

  #unlock(): void {
    const { fd } = this;
    if (fd.fdmu.rwunlock(this.#read)) {
      this.#sub = fd.destroy();
      this.#phase = Phase.DESTROY;
    } else this.#phase = Phase.DONE;
  }
}

/** `FD.Read`: returns after the first call that gave something: it does not drain. */
export class ReadOp extends FdOp<ReadOp> {
  readonly #buf: Uint8Array;
  /** Bytes read. */
  n = 0;

  constructor(fd: FD, buf: Uint8Array) {
    super(fd, true, "read");
    this.#buf = buf;
  }

  protected override attempt(sys: Syscalls, m: M): number {
    const length = Math.min(this.#buf.length, MAX_RW);
    this.fd.rt.bounce(m, length);
    return sys.read(this.fd.sysfd, m.bounce, length);
  }

  protected override takeOut(m: M, result: number): void {
    const { bytes } = m.bounce;
    if (result > SHORT) this.#buf.set(bytes.subarray(0, result));
    else for (let i = 0; i < result; i += 1) this.#buf[i] = bytes[i] as number;
  }

  protected override tried(result: number): boolean {
    if (result < 0) this.err = errnoError(-result);
    else {
      this.n = result;
      if (result === 0 && this.#buf.length > 0 && this.fd.zeroReadIsEOF) this.err = EOF;
    }
    return true;
  }

  protected override finish(): this {
    return this;
  }
}

/** Up to here a loop is faster than a view. */
const SHORT = 64;

/** `FD.Write`: all of it, or an error with what was written until then. */
export class WriteOp extends FdOp<WriteOp> {
  readonly #buf: Uint8Array;
  /** Bytes written. */
  n = 0;

  constructor(fd: FD, buf: Uint8Array) {
    super(fd, false, "write");
    this.#buf = buf;
  }

  protected override attempt(sys: Syscalls, m: M): number {
    const length = Math.min(this.#buf.length - this.n, MAX_RW);
    const bytes = this.fd.rt.bounce(m, length);
    if (length > SHORT) bytes.set(this.#buf.subarray(this.n, this.n + length));
    else for (let i = 0; i < length; i += 1) bytes[i] = this.#buf[this.n + i] as number;
    return sys.write(this.fd.sysfd, m.bounce, length);
  }

  protected override takeOut(): void {}

  protected override tried(result: number): boolean {
    if (result < 0) {
      this.err = errnoError(-result);
      return true;
    }
    this.n += result;
    return this.n === this.#buf.length;
  }

  protected override finish(): this {
    return this;
  }
}

/** `FD.Accept`. */
export class AcceptOp extends FdOp<AcceptOp> {
  readonly #flags: number;
  /** The new descriptor. */
  accepted = -1;
  /** The peer's address, as accept4 has stored it. */
  sockaddr: Uint8Array = NO_ADDRESS;

  constructor(fd: FD, flags: number) {
    super(fd, true, "accept4");
    this.#flags = flags;
  }

  protected override attempt(sys: Syscalls, m: M): number {
    const bytes = this.fd.rt.bounce(m, SOCKADDR_ROOM + 4);
    bytes.fill(0, 0, SOCKADDR_ROOM + 4);
    bytes[SOCKADDR_ROOM] = SOCKADDR_ROOM;
    return sys.call("accept4", this.fd.sysfd, m.bounce.addr, m.bounce.addr + SOCKADDR_ROOM, this.#flags);
  }

  protected override takeOut(m: M, result: number): void {
    if (result >= 0) this.sockaddr = m.bounce.bytes.slice(0, m.bounce.bytes[SOCKADDR_ROOM]);
  }

  protected override tried(result: number): boolean {
    if (result === -Errno.ECONNABORTED) return false;
    if (result < 0) this.err = errnoError(-result);
    else this.accepted = result;
    return true;
  }

  protected override finish(): this {
    return this;
  }
}

/** `sizeof(syscall.RawSockaddrAny)`. */
export const SOCKADDR_ROOM = 112;
const NO_ADDRESS: Uint8Array = new Uint8Array(0);
