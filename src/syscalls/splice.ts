/**
 * splice, tee, vmsplice, sendfile.
 *
 * Counterpart: `fs/splice.c` (the SYSCALL_DEFINEs, `__do_splice`, `do_splice`), `fs/read_write.c` (`do_sendfile`).
 */
import type { File } from "../kernel/fs/file.ts";
import { PipeFile } from "../kernel/fs/pipe-file.ts";
import {
  SpliceFileToPipe,
  SplicePipeToFile,
  type SplicePos,
  spliceDirect,
  spliceDirectError,
} from "../kernel/fs/splice.ts";
import { SplicePipeToPipe, TeeCall } from "../kernel/fs/splice-pipes.ts";
import { SendfileToSocket, SplicePipeToSocket, SpliceSocketToPipe } from "../kernel/fs/splice-socket.ts";
import { VmspliceToPipe, VmspliceToUser } from "../kernel/fs/vmsplice.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { MAX_RW_COUNT, Open, Splice } from "../kernel/uapi/fcntl.ts";
import { toInt, toLong, toSize, toUint } from "./registers.ts";
import { importIovec } from "./rw.ts";

const EBADF = -Errno.EBADF;
const EINVAL = -Errno.EINVAL;
const ESPIPE = -Errno.ESPIPE;
const ALL_FLAGS: number = Splice.MOVE | Splice.NONBLOCK | Splice.MORE | Splice.GIFT;
const POS_SIZE = 8;

const scratch = new Uint8Array(POS_SIZE);
const view = new DataView(scratch.buffer);

/** The position at an address, or the file's own for address 0. @errno EFAULT - the address. */
function importPos(task: Task, file: File, addr: number): SplicePos | number {
  if (addr === 0) return { addr, value: file.pos };
  const { mm } = task.process;
  if (mm.copyFromUser(scratch, 0, addr, POS_SIZE) < POS_SIZE) return mm.fault();
  return { addr, value: Number(view.getBigInt64(0, true)) };
}

/**
 * splice(2).
 *
 * @returns bytes moved, 0 at the end of the input, or `BLOCKED`.
 * @errno EINVAL - an unknown flag, no pipe among the two, both ends of one pipe, a file that cannot be spliced, O_APPEND.
 *   EBADF - a descriptor. ESPIPE - a position for a pipe. EFAULT - the address of a position. EAGAIN - would wait. EPIPE -
 *   nobody can read.
 * @kernel fs/splice.c `splice`, `do_splice`
 * @behaviour P-33, F-23
 */
export function sysSplice(
  task: Task,
  fdIn: number,
  offIn: number,
  fdOut: number,
  offOut: number,
  len: number,
  flags: number,
): number {
  const wanted = toUint(flags);
  const length = toSize(len);
  if (length === 0) return 0;
  if ((wanted & ~ALL_FLAGS) !== 0) return EINVAL;
  const { files } = task.process;
  const input = files.get(toInt(fdIn));
  const output = files.get(toInt(fdOut));
  if (input === null || output === null) return EBADF;
  if (input instanceof PipeFile) {
    if (offIn !== 0) return ESPIPE;
    input.nowait = false;
  }
  if (output instanceof PipeFile) {
    if (offOut !== 0) return ESPIPE;
    output.nowait = false;
  }
  const outPos = importPos(task, output, offOut);
  if (typeof outPos === "number") return outPos;
  const inPos = importPos(task, input, offIn);
  if (typeof inPos === "number") return inPos;
  if (!input.canRead || !output.canWrite) return EBADF;
  return doSplice(task, input, inPos, output, outPos, length, wanted);
}

/** `do_splice`. */
function doSplice(
  task: Task,
  input: File,
  inPos: SplicePos,
  output: File,
  outPos: SplicePos,
  length: number,
  flags: number,
): number {
  const nonblock = (flags & Splice.NONBLOCK) !== 0;
  if (input instanceof PipeFile && output instanceof PipeFile) {
    if (input.pipe === output.pipe) return EINVAL;
    return new SplicePipeToPipe(input, output, length, nonblock).step(task);
  }
  if (input instanceof PipeFile) {
    if (outPos.addr !== 0 && !output.hasPositions) return EINVAL;
    if ((output.flags & Open.APPEND) !== 0 || toLong(length) < 0 || outPos.value < 0) return EINVAL;
    if (output instanceof SocketFile) {
      return new SplicePipeToSocket(input, output, length, nonblock, (flags & Splice.MORE) !== 0).step(task);
    }
    return new SplicePipeToFile(input, output, outPos, length, nonblock).step(task);
  }
  if (output instanceof PipeFile) {
    if (inPos.addr !== 0 && !input.hasPositions) return EINVAL;
    if (toLong(length) < 0 || inPos.value < 0) return EINVAL;
    if (input instanceof SocketFile) return new SpliceSocketToPipe(input, output, length, nonblock).step(task);
    return new SpliceFileToPipe(input, output, inPos, length, nonblock).step(task);
  }
  return EINVAL;
}

/**
 * tee(2): copies slots between two pipes and consumes nothing.
 *
 * @errno EINVAL - an unknown flag, not two different pipes. EBADF - a descriptor. EAGAIN - would wait. EPIPE - nobody can read.
 * @kernel fs/splice.c `do_tee`
 * @behaviour F-23
 */
export function sysTee(task: Task, fdIn: number, fdOut: number, len: number, flags: number): number {
  const wanted = toUint(flags);
  const length = toSize(len);
  if ((wanted & ~ALL_FLAGS) !== 0) return EINVAL;
  if (length === 0) return 0;
  const { files } = task.process;
  const input = files.get(toInt(fdIn));
  const output = files.get(toInt(fdOut));
  if (input === null || output === null || !input.canRead || !output.canWrite) return EBADF;
  if (!(input instanceof PipeFile && output instanceof PipeFile) || input.pipe === output.pipe) return EINVAL;
  return new TeeCall(input, output, length, (wanted & Splice.NONBLOCK) !== 0).step(task);
}

/**
 * vmsplice(2): memory into the write end of a pipe, or the read end's data into memory.
 *
 * @errno EINVAL - an unknown flag; as `importIovec`. EBADF - not open, or no pipe. EAGAIN - would wait and SPLICE_F_NONBLOCK is
 *   given (O_NONBLOCK does not matter). EFAULT - a buffer. EPIPE - nobody can read.
 * @kernel fs/splice.c `vmsplice`
 * @behaviour P-34
 */
export function sysVmsplice(task: Task, fd: number, vec: number, nrSegs: number, flags: number): number {
  const wanted = toUint(flags);
  if ((wanted & ~ALL_FLAGS) !== 0) return EINVAL;
  const file = task.process.files.get(toInt(fd));
  if (file === null || !(file.canWrite || file.canRead)) return EBADF;
  const total = importIovec(task, vec, nrSegs);
  if (total <= 0) return total;
  if (!(file instanceof PipeFile)) return EBADF;
  file.nowait = false;
  const nonblock = (wanted & Splice.NONBLOCK) !== 0;
  return (file.canWrite ? new VmspliceToPipe(file, nonblock) : new VmspliceToUser(file, nonblock)).step(task);
}

/**
 * sendfile(2).
 *
 * @param offset - address of the position to read at, which moves on; 0 for the input's own.
 * @errno EFAULT - the address. EBADF - a descriptor. ESPIPE - a position for an input that has none. EINVAL - an input that
 *   cannot seek or be spliced, an output that cannot, O_APPEND, a negative count. EAGAIN, EPIPE - a pipe as output.
 * @kernel fs/read_write.c `do_sendfile`
 * @behaviour F-23
 */
export function sysSendfile(task: Task, outFd: number, inFd: number, offset: number, count: number): number {
  const { files } = task.process;
  const { mm } = task.process;
  if (offset !== 0 && mm.copyFromUser(scratch, 0, offset, POS_SIZE) < POS_SIZE) return mm.fault();
  const given = Number(view.getBigInt64(0, true));
  const input = files.get(toInt(inFd));
  if (input === null || !input.canRead) return EBADF;
  if (offset !== 0 && !input.hasPositions) return ESPIPE;
  const length = toLong(count);
  const pos: SplicePos = { addr: offset, value: offset === 0 ? input.pos : given };
  if (length < 0 || pos.value < 0) return EINVAL;
  const output = files.get(toInt(outFd));
  if (output === null || !output.canWrite) return EBADF;
  const bounded = Math.min(length, MAX_RW_COUNT);
  if (output instanceof PipeFile) {
    if (input instanceof SocketFile) return new SpliceSocketToPipe(input, output, bounded, false).step(task);
    return new SpliceFileToPipe(input, output, pos, bounded, false).step(task);
  }
  if (output instanceof SocketFile) {
    const refused = spliceDirectError(input, output);
    return refused === 0 ? new SendfileToSocket(input, output, pos, bounded).step(task) : refused;
  }
  const result = spliceDirect(task, input, pos, output, bounded);
  if (result <= 0) return result;
  if (pos.addr === 0) {
    input.pos = pos.value;
    return result;
  }
  view.setBigInt64(0, BigInt(pos.value), true);
  return mm.copyToUser(offset, scratch, 0, POS_SIZE) === POS_SIZE ? result : mm.fault();
}
