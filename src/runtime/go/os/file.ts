/**
 * Files: opened by path, the ends of pipes, and the three that a program begins with.
 *
 * Counterpart: `os/file_unix.go`, `os/pipe2_unix.go`.
 */
import { AT_FDCWD, Fcntl, Open } from "../../../kernel/uapi/fcntl.ts";
import type { Syscalls } from "../../syscalls.ts";
import type { Reader, ReadResult, Writer } from "../io.ts";
import { SyscallOp } from "../ops.ts";
import { errnoError, type GoError } from "../poll/errors.ts";
import { FD, type PollRuntime, type ReadOp, type WriteOp } from "../poll/fd.ts";
import { failed, ok, type Result } from "../poll/result.ts";
import { sendFile } from "../poll/zero-copy.ts";
import { READ, READ_WRITE, WRITE } from "../poll-desc.ts";
import type { Go, Op } from "../runtime2.ts";

export class File implements Reader, Writer {
  readonly fd: FD;
  readonly name: string;

  constructor(fd: FD, name: string) {
    this.fd = fd;
    this.name = name;
  }

  read(buf: Uint8Array): Op<ReadOp> {
    return this.fd.read(buf);
  }

  write(buf: Uint8Array): Op<WriteOp> {
    return this.fd.write(buf);
  }

  /** `File.WriteTo` of the newest: to a connection by sendfile. */
  *writeTo(w: Writer): Go<ReadResult | null> {
    if (!this.fd.rt.sched.version.writeTo || !isConnection(w)) return null;
    const moved = yield* sendFile(w.fd, this.fd, Number.MAX_SAFE_INTEGER);
    return moved.handled ? moved : null;
  }

  close(): Go<GoError | null> {
    return this.fd.close();
  }

  setDeadline(deadline: number): GoError | null {
    return this.fd.setDeadline(deadline, READ_WRITE);
  }

  setReadDeadline(deadline: number): GoError | null {
    return this.fd.setDeadline(deadline, READ);
  }

  setWriteDeadline(deadline: number): GoError | null {
    return this.fd.setDeadline(deadline, WRITE);
  }

  /** `Fd`: the number, and the description becomes a blocking one, also for all who share it. */
  *sysfd(): Go<number> {
    yield* setNonblock(this.fd.rt, this.fd.sysfd, false);
    return this.fd.sysfd;
  }
}

/** `getPollFDAndNetwork`. */
function isConnection(w: Writer): w is Writer & { readonly fd: FD; readonly network: string } {
  return "network" in w && "fd" in w && w.fd instanceof FD;
}

/** `syscall.SetNonblock`. */
export function* setNonblock(rt: PollRuntime, fd: number, on: boolean): Go<void> {
  const flags = yield* new SyscallOp(rt.sched, "fcntl", (sys) => sys.fcntl(fd, Fcntl.GETFL));
  const wanted = on ? flags | Open.NONBLOCK : flags & ~Open.NONBLOCK;
  yield* new SyscallOp(rt.sched, "fcntl", (sys) => sys.fcntl(fd, Fcntl.SETFL, wanted));
}

/** How `newFile` came by the descriptor. */
export const FileKind = { OPEN: 0, PIPE: 1, NONBLOCK: 2, BLOCKING: 3 } as const;
export type FileKind = (typeof FileKind)[keyof typeof FileKind];

/** `newFile`: tries the poller; a file that it does not take is used as a blocking one. */
export function* newFile(rt: PollRuntime, sysfd: number, name: string, kind: FileKind): Go<File> {
  const fd = new FD(rt, sysfd, true);
  if (kind === FileKind.BLOCKING) return new File(fd, name);
  const { nonblockBeforeOpen } = rt.sched.version;
  if (kind === FileKind.OPEN && nonblockBeforeOpen) yield* setNonblock(rt, sysfd, true);
  const err = yield* fd.init();
  if (kind === FileKind.OPEN) {
    if (err === null && !nonblockBeforeOpen) yield* setNonblock(rt, sysfd, true);
    if (err !== null && nonblockBeforeOpen) yield* setNonblock(rt, sysfd, false);
  }
  return new File(fd, name);
}

/** A call that takes a path. */
export function pathCall(
  rt: PollRuntime,
  name: string,
  path: string,
  call: (sys: Syscalls, addr: number) => number,
): Op<number> {
  return new SyscallOp(rt.sched, name, (sys, m) => {
    const bytes = rt.bounce(m, path.length + 1);
    for (let i = 0; i < path.length; i += 1) bytes[i] = path.charCodeAt(i);
    bytes[path.length] = 0;
    return call(sys, m.bounce.addr);
  });
}

/** `os.OpenFile`. @param flags - as open(2); CLOEXEC is added. */
export function* openFile(rt: PollRuntime, path: string, flags: number): Go<Result<File>> {
  const fd = yield* pathCall(rt, "openat", path, (sys, addr) =>
    sys.call("openat", AT_FDCWD, addr, flags | Open.CLOEXEC, 0),
  );
  return fd < 0 ? failed(errnoError(-fd)) : ok(yield* newFile(rt, fd, path, FileKind.OPEN));
}

/** `os.Pipe`: both ends in the poller. */
export function* pipe(rt: PollRuntime): Go<Result<{ readonly r: File; readonly w: File }>> {
  const fds: number[] = [];
  const err = yield* new SyscallOp(rt.sched, "pipe2", (sys) => sys.pipe2(fds, Open.CLOEXEC | Open.NONBLOCK));
  if (err < 0) return failed(errnoError(-err));
  const r = yield* newFile(rt, fds[0] as number, "|0", FileKind.PIPE);
  const w = yield* newFile(rt, fds[1] as number, "|1", FileKind.PIPE);
  return ok({ r, w });
}

/** `os.NewFile`: polled only if it is non-blocking already. */
export function* wrapFile(rt: PollRuntime, sysfd: number, name: string): Go<File> {
  const flags = yield* new SyscallOp(rt.sched, "fcntl", (sys) => sys.fcntl(sysfd, Fcntl.GETFL));
  const nonblock = flags >= 0 && (flags & Open.NONBLOCK) !== 0;
  return yield* newFile(rt, sysfd, name, nonblock ? FileKind.NONBLOCK : FileKind.BLOCKING);
}
