/**
 * Listening and dialing.
 *
 * Counterpart: `net/dial.go`, `net/sock_posix.go` (`socket`, `dial`, `listenStream`), `net/fd_unix.go` (`connect`; ).
 */
import { Errno } from "../../../kernel/uapi/errno.ts";
import { Open } from "../../../kernel/uapi/fcntl.ts";
import { Af, SOL_SOCKET, So, Sock } from "../../../kernel/uapi/socket.ts";
import type { Syscalls } from "../../syscalls.ts";
import type { Context } from "../context.ts";
import { Alloc } from "../malloc.ts";
import { How, SyscallOp } from "../ops.ts";
import { openFile } from "../os/file.ts";
import { ErrDeadlineExceeded, errnoError, type GoError } from "../poll/errors.ts";
import { FD, type PollRuntime } from "../poll/fd.ts";
import { failed, ok, type Result } from "../poll/result.ts";
import { WRITE } from "../poll-desc.ts";
import type { Go, M, Op } from "../runtime2.ts";
import { type Network, resolve, type SockAddr } from "./addr.ts";
import { Conn, setTcpDefaults, sockName } from "./conn.ts";
import { Interrupter, mapErr } from "./interrupt.ts";
import { Listener } from "./listener.ts";

const SOMAXCONN_PATH = "/proc/sys/net/core/somaxconn";
const IPPROTO_MPTCP = 262;
const FALLBACK_BACKLOG = 128;
const SOMAXCONN_ROOM = 65_536;

/** Makes the calls of `ListenConfig.Control` or `Dialer.Control` on the new socket. */
export type Control = (fd: number) => Go<void>;

export interface DialOptions {
  /** A time as `rt.now()` gives it, 0 for none. */
  readonly deadline?: number;
  /** Ends the dial when it is over, and brings its deadline. */
  readonly ctx?: Context;
  readonly control?: Control;
}

/** The earlier of two times, 0 for none. */
function earlier(a: number, b: number): number {
  return a === 0 || b === 0 ? a + b : Math.min(a, b);
}

export class Net {
  readonly #rt: PollRuntime;
  /** `listenerBacklog`: read once. */
  #backlog = 0;
  /** `mptcpAvailable`; null until it was tried. */
  #mptcp: boolean | null = null;

  constructor(rt: PollRuntime) {
    this.#rt = rt;
  }

  #call(name: string, fd: number, call: (sys: Syscalls, m: M) => number): Op<number> {
    return new SyscallOp(this.#rt.sched, name, call, null, How.SYSCALL, fd);
  }

  *#socket(family: number, protocol = 0): Go<Result<FD>> {
    const fd = yield* this.#sysSocket(family, protocol);
    return fd < 0 ? failed(errnoError(-fd)) : ok(new FD(this.#rt, fd, false));
  }

  #sysSocket(family: number, protocol: number): Op<number> {
    const type = Sock.STREAM | Sock.NONBLOCK | Sock.CLOEXEC;
    return new SyscallOp(this.#rt.sched, "socket", (sys) => sys.socket(family, type, protocol), null, How.RAW);
  }

  /** `supportsMultipathTCP`: tried once. Another error than that there is no such protocol may be over when it counts. */
  *#supportsMptcp(): Go<boolean> {
    if (this.#mptcp === null) {
      const fd = yield* this.#sysSocket(Af.INET, IPPROTO_MPTCP);
      if (fd >= 0) yield* this.#call("close", fd, (sys) => sys.close(fd));
      this.#mptcp = fd !== -Errno.EPROTONOSUPPORT && fd !== -Errno.EINVAL;
    }
    return this.#mptcp;
  }

  /** An address in the thread's memory. */
  #withAddr(name: "bind" | "connect", fd: number, addr: SockAddr): Op<number> {
    return this.#call(name, fd, (sys, m) => {
      this.#rt.bounce(m, addr.bytes.length).set(addr.bytes);
      return sys.call(name, fd, m.bounce.addr, addr.bytes.length);
    });
  }

  /** `ListenConfig.Listen`. */
  *listen(network: Network, address: string, control: Control | null = null): Go<Result<Listener>> {
    const addr = resolve(network, address);
    // The newest listens by MPTCP where the kernel has it.
    if (addr.family !== Af.UNIX && this.#rt.sched.version.listensByMptcp && (yield* this.#supportsMptcp())) {
      const listener = yield* this.#listenBy(IPPROTO_MPTCP, addr, control);
      if (listener.err === null) return listener;
    }
    return yield* this.#listenBy(0, addr, control);
  }

  *#listenBy(protocol: number, addr: SockAddr, control: Control | null): Go<Result<Listener>> {
    const socket = yield* this.#socket(addr.family, protocol);
    if (socket.err !== null) return socket;
    const fd = socket.value;
    if (this.#backlog === 0) this.#backlog = yield* this.#maxListenerBacklog();
    const backlog = this.#backlog;
    const err = yield* this.#listenStream(fd, addr, backlog, control);
    if (err !== null) {
      yield* fd.destroy();
      return failed(err);
    }
    const name = yield* sockName(this.#rt, fd.sysfd, "getsockname");
    return ok(new Listener(this.#rt, fd, addr.family, name));
  }

  /** The order of calls is that of `listenStream`; the socket joins epoll after listen. */
  *#listenStream(fd: FD, addr: SockAddr, backlog: number, control: Control | null): Go<GoError | null> {
    const { sysfd } = fd;
    let ret = yield* this.#call("setsockopt", sysfd, (sys) => sys.setsockopt(sysfd, SOL_SOCKET, So.REUSEADDR, 1));
    if (control !== null) yield* control(sysfd);
    if (ret === 0) ret = yield* this.#withAddr("bind", sysfd, addr);
    if (ret === 0) ret = yield* this.#call("listen", sysfd, (sys) => sys.listen(sysfd, backlog));
    return ret < 0 ? errnoError(-ret) : yield* fd.init();
  }

  /** `maxListenerBacklog`. */
  *#maxListenerBacklog(): Go<number> {
    const file = yield* openFile(this.#rt, SOMAXCONN_PATH, Open.RDONLY);
    if (file.err !== null) return FALLBACK_BACKLOG;
    const buf = new Uint8Array(SOMAXCONN_ROOM);
    let length = 0;
    for (;;) {
      const { n, err } = yield* file.value.read(buf.subarray(length));
      length += n;
      if (err !== null) break;
    }
    yield* file.value.close();
    const value = Number.parseInt(String.fromCharCode(...buf.subarray(0, length)), 10);
    return Number.isNaN(value) || value === 0 ? FALLBACK_BACKLOG : Math.min(value, 65_535);
  }

  /** `Dialer.Dial`. */
  *dial(network: Network, address: string, options: DialOptions = {}): Go<Result<Conn>> {
    const { ctx, control } = options;
    const deadline = earlier(options.deadline ?? 0, ctx?.deadline ?? 0);
    const addr = resolve(network, address);
    if (ctx !== undefined && ctx.err !== null) return failed(mapErr(ctx.err));
    // A deadline that is over already makes no socket.
    if (deadline !== 0 && deadline <= this.#rt.sched.nanotime()) return failed(ErrDeadlineExceeded);
    const socket = yield* this.#socket(addr.family);
    if (socket.err !== null) return socket;
    const fd = socket.value;
    if (control !== undefined) yield* control(fd.sysfd);
    const connected = yield* this.#connect(fd, addr, deadline, ctx);
    if (typeof connected !== "string") {
      // Also takes it out of the poller, where it has got that far.
      yield* fd.close();
      return failed(connected);
    }
    const local = yield* sockName(this.#rt, fd.sysfd, "getsockname");
    const remote = connected === "" ? yield* sockName(this.#rt, fd.sysfd, "getpeername") : connected;
    this.#rt.sched.mallocgc(Alloc.DIAL, false);
    const conn = new Conn(fd, addr.family === Af.UNIX ? "unix" : "tcp", local, remote);
    if (addr.family === Af.INET) yield* setTcpDefaults(fd);
    return ok(conn);
  }

  /** `netFD.connect`. @returns the peer's address, empty when it was not asked for, or an error. */
  *#connect(fd: FD, addr: SockAddr, deadline: number, ctx: Context | undefined): Go<string | GoError> {
    const ret = yield* this.#withAddr("connect", fd.sysfd, addr);
    const pending = ret === -Errno.EINPROGRESS || ret === -Errno.EALREADY || ret === -Errno.EINTR;
    if (ret < 0 && !pending && ret !== -Errno.EISCONN) return errnoError(-ret);
    const err = yield* fd.init();
    if (err !== null) return err;
    if (!pending) return "";
    if (deadline !== 0) fd.setDeadline(deadline, WRITE);
    const interrupter = ctx === undefined || ctx.done === null ? null : new Interrupter(fd, ctx, ctx.done);
    const connected = yield* this.#awaitConnected(fd);
    const ended = interrupter === null ? null : yield* interrupter.finish();
    if (deadline !== 0) fd.setDeadline(0, WRITE);
    // Also for a connection that came about just then: its deadline is spoilt.
    const why = ended ?? (typeof connected === "string" ? null : (ctx?.err ?? null));
    return why === null ? connected : mapErr(why);
  }

  /** Ready to write, then SO_ERROR; getpeername tells a spurious wake-up. */
  *#awaitConnected(fd: FD): Go<string | GoError> {
    for (;;) {
      const waited = yield* fd.wait(WRITE);
      if (waited !== null) return waited;
      const error = yield* this.#call("getsockopt", fd.sysfd, (sys) => sys.getsockopt(fd.sysfd, SOL_SOCKET, So.ERROR));
      if (error !== 0 && error !== Errno.EINPROGRESS && error !== Errno.EALREADY && error !== Errno.EINTR) {
        if (error !== Errno.EISCONN) return errnoError(Math.abs(error));
      }
      if (error === 0) {
        const peer = yield* sockName(this.#rt, fd.sysfd, "getpeername");
        if (peer !== "") return peer;
      }
    }
  }
}
