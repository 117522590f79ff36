/**
 * Connections.
 *
 * Counterpart: `net/net.go` (`conn`), `net/fd_posix.go` (`netFD`), `net/tcpsock.go`.
 */
import { Shut, SOL_SOCKET, SOL_TCP, So } from "../../../kernel/uapi/socket.ts";
import { LimitedReader, type Reader, type ReadResult, type Writer } from "../io.ts";
import { How, SyscallOp } from "../ops.ts";
import { File } from "../os/file.ts";
import type { GoError } from "../poll/errors.ts";
import { type FD, type PollRuntime, type ReadOp, SOCKADDR_ROOM, type WriteOp } from "../poll/fd.ts";
import { type Moved, sendFile, splice, WritevOp } from "../poll/zero-copy.ts";
import { READ, READ_WRITE, WRITE } from "../poll-desc.ts";
import type { Go, Op } from "../runtime2.ts";
import { addrText } from "./addr.ts";

/** Socket options of TCP (`include/uapi/linux/tcp.h`). */
const Tcp = { NODELAY: 1, KEEPIDLE: 4, KEEPINTVL: 5, KEEPCNT: 6 } as const;
const KEEPALIVE_SECONDS = 15;
const KEEPALIVE_PROBES = 9;

/** A connection: `net.Conn`, with what TCP has beyond it. */
export class Conn implements Reader, Writer {
  readonly fd: FD;
  readonly network: "tcp" | "unix";
  readonly localAddr: string;
  readonly remoteAddr: string;

  constructor(fd: FD, network: "tcp" | "unix", localAddr: string, remoteAddr: string) {
    this.fd = fd;
    this.network = network;
    this.localAddr = localAddr;
    this.remoteAddr = remoteAddr;
  }

  /** `const { n, err } = yield* conn.read(buf)`. */
  read(buf: Uint8Array): Op<ReadOp> {
    return this.fd.read(buf);
  }

  /** `const { n, err } = yield* conn.write(buf)`. */
  write(buf: Uint8Array): Op<WriteOp> {
    return this.fd.write(buf);
  }

  /** `TCPConn.ReadFrom`: from a connection by splice, from a file by sendfile. A unix connection has none. */
  *readFrom(r: Reader): Go<ReadResult | null> {
    if (this.network !== "tcp") return null;
    const limit = r instanceof LimitedReader ? r : null;
    const source = limit?.r ?? r;
    const remain = limit?.n ?? Number.MAX_SAFE_INTEGER;
    if (remain <= 0) return { n: 0, err: null };
    let moved: Moved | null = null;
    if (source instanceof Conn) moved = yield* splice(this.fd, source.fd, remain);
    else if (source instanceof File) moved = yield* sendFile(this.fd, source.fd, remain);
    if (limit !== null && moved !== null) limit.n -= moved.n;
    return moved?.handled === true ? moved : null;
  }

  /** `TCPConn.WriteTo` of the newest: to a unix connection by splice. */
  *writeTo(w: Writer): Go<ReadResult | null> {
    if (!this.fd.rt.sched.version.writeTo || this.network !== "tcp") return null;
    if (!(w instanceof Conn) || w.network !== "unix") return null;
    const moved = yield* splice(w.fd, this.fd, Number.MAX_SAFE_INTEGER);
    return moved.handled ? moved : null;
  }

  /** `net.Buffers.WriteTo`: all of them, by writev. @param bufs - what has been written is taken out of it. */
  writeBuffers(bufs: Uint8Array[]): Op<WritevOp> {
    return new WritevOp(this.fd, bufs);
  }

  close(): Go<GoError | null> {
    return this.fd.close();
  }

  closeRead(): Go<GoError | null> {
    return this.#shutdown(Shut.RD);
  }

  closeWrite(): Go<GoError | null> {
    return this.#shutdown(Shut.WR);
  }

  #shutdown(how: number): Go<GoError | null> {
    return this.fd.withRef("shutdown", (sys) => sys.shutdown(this.fd.sysfd, how));
  }

  /** @param deadline - a time as `rt.now()` gives it; 0 for none. */
  setDeadline(deadline: number): GoError | null {
    return this.fd.setDeadline(deadline, READ_WRITE);
  }

  setReadDeadline(deadline: number): GoError | null {
    return this.fd.setDeadline(deadline, READ);
  }

  setWriteDeadline(deadline: number): GoError | null {
    return this.fd.setDeadline(deadline, WRITE);
  }

  /** `SetLinger`. @param seconds - 0 resets at close; negative: the default. */
  setLinger(seconds: number): Go<GoError | null> {
    return this.fd.withRef("setsockopt", (sys) => sys.setLinger(this.fd.sysfd, seconds));
  }

  setNoDelay(on: boolean): Go<GoError | null> {
    return setsockopt(this.fd, SOL_TCP, Tcp.NODELAY, on ? 1 : 0);
  }

  setReadBuffer(bytes: number): Go<GoError | null> {
    return setsockopt(this.fd, SOL_SOCKET, So.RCVBUF, bytes);
  }

  setWriteBuffer(bytes: number): Go<GoError | null> {
    return setsockopt(this.fd, SOL_SOCKET, So.SNDBUF, bytes);
  }
}

export function setsockopt(fd: FD, level: number, name: number, value: number): Go<GoError | null> {
  return fd.withRef("setsockopt", (sys) => sys.setsockopt(fd.sysfd, level, name, value));
}

/** `newTCPConn`: no delay, and keep-alive after 15 s. */
export function* setTcpDefaults(fd: FD): Go<void> {
  yield* setsockopt(fd, SOL_TCP, Tcp.NODELAY, 1);
  yield* setsockopt(fd, SOL_SOCKET, So.KEEPALIVE, 1);
  yield* setsockopt(fd, SOL_TCP, Tcp.KEEPINTVL, KEEPALIVE_SECONDS);
  yield* setsockopt(fd, SOL_TCP, Tcp.KEEPIDLE, KEEPALIVE_SECONDS);
  if (fd.rt.sched.version.keepaliveCount) yield* setsockopt(fd, SOL_TCP, Tcp.KEEPCNT, KEEPALIVE_PROBES);
}

/** getsockname or getpeername, as text. */
export function* sockName(rt: PollRuntime, fd: number, name: "getsockname" | "getpeername"): Go<string> {
  let text = "";
  yield* new SyscallOp(
    rt.sched,
    name,
    (sys, m) => {
      const bytes = rt.bounce(m, SOCKADDR_ROOM + 4);
      bytes.fill(0, 0, SOCKADDR_ROOM + 4);
      bytes[SOCKADDR_ROOM] = SOCKADDR_ROOM;
      return sys.call(name, fd, m.bounce.addr, m.bounce.addr + SOCKADDR_ROOM);
    },
    (m, ret) => {
      if (ret === 0) text = addrText(m.bounce.bytes.slice(0, m.bounce.bytes[SOCKADDR_ROOM]));
    },
    How.RAW,
  );
  return text;
}
