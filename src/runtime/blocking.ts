/**
 * The blocking style: one thread for each thing that is waited for, and calls that sleep.
 */
import { Errno, errnoName } from "../kernel/uapi/errno.ts";
import { Af, SOL_SOCKET, So, Sock } from "../kernel/uapi/socket.ts";
import type { Syscalls } from "./syscalls.ts";
import type { Blocking, Program } from "./thread.ts";
import type { UserBuffer } from "./user-memory.ts";

/** A call that failed where a program expects that it does not. */
export class CallFailed extends Error {
  override readonly name = "CallFailed";
  /** Positive. */
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call}: ${errnoName(errno) ?? errno}`);
    this.errno = errno;
  }
}

/** @returns the result of a call. @throws CallFailed for a negative one. */
export function checked(result: number, call: string): number {
  if (result < 0) throw new CallFailed(call, -result);
  return result;
}

export interface ListenOptions {
  /** SOCK_NONBLOCK or 0. */
  readonly flags?: number;
  readonly backlog?: number;
  /** SO_REUSEPORT: several sockets listen there, and Linux spreads connections over them. */
  readonly reuseport?: boolean;
}

/** A listening TCP socket. @throws CallFailed */
export function listenTcp(
  sys: Syscalls,
  address: string,
  port: number,
  { flags = 0, backlog = 4096, reuseport = false }: ListenOptions = {},
): number {
  const fd = checked(sys.socket(Af.INET, Sock.STREAM | flags), "socket");
  checked(sys.setsockopt(fd, SOL_SOCKET, So.REUSEADDR, 1), "setsockopt");
  if (reuseport) checked(sys.setsockopt(fd, SOL_SOCKET, So.REUSEPORT, 1), "setsockopt");
  const name = sys.memory.sockaddrIn(address, port);
  checked(sys.bind(fd, name), "bind");
  checked(sys.listen(fd, backlog), "listen");
  sys.memory.free(name);
  return fd;
}

/** A connected TCP socket. @throws CallFailed */
export function* connectTcp(sys: Syscalls, address: string | number, port: number): Blocking<number> {
  const fd = checked(sys.socket(Af.INET, Sock.STREAM), "socket");
  const name = sys.memory.sockaddrIn(address, port);
  checked(yield sys.connect(fd, name), "connect");
  sys.memory.free(name);
  return fd;
}

/** Writes all of it. @returns `count`, or a negative errno. */
export function* writeAll(sys: Syscalls, fd: number, buf: UserBuffer, count: number): Blocking<number> {
  for (let done = 0; done < count; ) {
    const n = yield sys.write(fd, buf.addr + done, count - done);
    if (n < 0 && n !== -Errno.EINTR) return n;
    done += Math.max(0, n);
  }
  return count;
}

/** Reads exactly `count` bytes. @returns `count`, fewer at the end of the stream, or a negative errno. */
export function* readFull(sys: Syscalls, fd: number, buf: UserBuffer, count: number): Blocking<number> {
  let done = 0;
  while (done < count) {
    const n = yield sys.read(fd, buf.addr + done, count - done);
    if (n === 0) break;
    if (n < 0 && n !== -Errno.EINTR) return n;
    done += Math.max(0, n);
  }
  return done;
}

/** Thread-per-connection: accepts for ever, and gives each connection a thread that closes it at its end. */
export function* acceptThreads(
  sys: Syscalls,
  lfd: number,
  serve: (sys: Syscalls, fd: number) => Blocking<void>,
): Program {
  for (;;) {
    const fd = checked(yield sys.accept4(lfd, null, 0), "accept4");
    sys.clone(`conn ${fd}`, function* (own): Program {
      yield* serve(own, fd);
      own.close(fd);
    });
  }
}
