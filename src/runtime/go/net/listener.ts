/**
 * Listening sockets.
 *
 * Counterpart: `net/sock_posix.go` (`listenStream`), `net/tcpsock.go`, `net/unixsock.go`.
 */
import { AT_FDCWD } from "../../../kernel/uapi/fcntl.ts";
import { Af, Sock } from "../../../kernel/uapi/socket.ts";
import { Alloc } from "../malloc.ts";
import { pathCall } from "../os/file.ts";
import type { GoError } from "../poll/errors.ts";
import { AcceptOp, FD, type PollRuntime } from "../poll/fd.ts";
import { failed, ok, type Result } from "../poll/result.ts";
import { READ_WRITE } from "../poll-desc.ts";
import type { Go } from "../runtime2.ts";
import { addrText } from "./addr.ts";
import { Conn, setTcpDefaults, sockName } from "./conn.ts";

export class Listener {
  readonly fd: FD;
  readonly #rt: PollRuntime;
  readonly #family: number;
  /** The address it is bound to. */
  readonly addr: string;
  /** Path that `close` removes; empty for none. */
  readonly #unlinkPath: string;

  constructor(rt: PollRuntime, fd: FD, family: number, addr: string) {
    this.#rt = rt;
    this.fd = fd;
    this.#family = family;
    this.addr = addr;
    this.#unlinkPath = family === Af.UNIX && !addr.startsWith("@") ? addr : "";
  }

  /** `Accept`. */
  *accept(): Go<Result<Conn>> {
    const rt = this.#rt;
    const op = yield* new AcceptOp(this.fd, Sock.CLOEXEC | Sock.NONBLOCK);
    if (op.err !== null) return failed(op.err);
    const fd = new FD(rt, op.accepted, false);
    const err = yield* fd.init();
    if (err !== null) {
      yield* fd.destroy();
      return failed(err);
    }
    const local = yield* sockName(rt, fd.sysfd, "getsockname");
    rt.sched.mallocgc(Alloc.ACCEPT, false);
    const conn = new Conn(fd, this.#family === Af.UNIX ? "unix" : "tcp", local, addrText(op.sockaddr));
    if (this.#family === Af.INET) yield* setTcpDefaults(fd);
    return ok(conn);
  }

  /** Also removes the path of a unix socket. */
  *close(): Go<GoError | null> {
    if (this.#unlinkPath !== "" && !this.fd.fdmu.closed) yield* unlink(this.#rt, this.#unlinkPath);
    return yield* this.fd.close();
  }

  setDeadline(deadline: number): GoError | null {
    return this.fd.setDeadline(deadline, READ_WRITE);
  }
}

function* unlink(rt: PollRuntime, path: string): Go<void> {
  yield* pathCall(rt, "unlinkat", path, (sys, addr) => sys.call("unlinkat", AT_FDCWD, addr, 0));
}
