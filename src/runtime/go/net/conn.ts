/**
 * Connections.
 *
 * Counterpart: `net/net.go` (`conn`), `net/fd_posix.go` (`netFD`), `net/tcpsock.go`.
 */
import { Shut, SOL_SOCKET, SOL_TCP, So } from "../../../kernel/uapi/socket.ts";
import { How, SyscallOp } from "../ops.ts";
import type { GoError } from "../poll/errors.ts";
import { type FD, type PollRuntime, type ReadOp, SOCKADDR_ROOM, type WriteOp } from "../poll/fd.ts";
import { READ, READ_WRITE, WRITE } from "../poll-desc.ts";
import type { Go, Op } from "../runtime2.ts";
import { addrText } from "./addr.ts";

/** Socket options of TCP (`include/uapi/linux/tcp.h`). */
const Tcp = { NODELAY: 1, KEEPIDLE: 4, KEEPINTVL: 5, KEEPCNT: 6 } as const;
const KEEPALIVE_SECONDS = 15;
const KEEPALIVE_PROBES = 9;

/** A connection: `net.Conn`, with what TCP has beyond it. */
export class Conn {
  readonly fd: FD;
  readonly localAddr: string;
  readonly remoteAddr: string;

  constructor(fd: FD, localAddr: string, remoteAddr: string) {
    this.fd = fd;
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
