/**
 * pipe and pipe2.
 *
 * Counterpart: `fs/pipe.c`.
 */
import { createPipeFiles } from "../kernel/fs/pipe-file.ts";
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { Open } from "../kernel/uapi/fcntl.ts";
import { toInt } from "./registers.ts";

const PAIR_SIZE = 8;
const pair = new Uint8Array(PAIR_SIZE);
const pairView = new DataView(pair.buffer);

/**
 * pipe2(2): stores the read end's number, then the write end's.
 *
 * @errno EINVAL - an unknown flag. ENFILE - the user's hard limit of pipe pages. EMFILE - less than two descriptors are
 *   free. EFAULT - the address; nothing is left open.
 * @kernel fs/pipe.c `do_pipe2`, `__do_pipe_flags`
 * @behaviour P-39, F-01, F-06
 */
export function sysPipe2(task: Task, fildes: number, flags: number): number {
  const wanted = toInt(flags);
  if ((wanted & ~(Open.CLOEXEC | Open.NONBLOCK | Open.DIRECT | Open.NOTIFICATION_PIPE)) !== 0) return -Errno.EINVAL;
  if ((wanted & Open.NOTIFICATION_PIPE) !== 0) throw new Unmodelled("pipe2(O_NOTIFICATION_PIPE)");
  const { files, mm } = task.process;
  const ends = createPipeFiles(task.kernel, task.process, wanted);
  if (ends === null) return -Errno.ENFILE;
  const [reader, writer] = ends;
  const fdr = files.lowestFree();
  const fdw = files.lowestFree(fdr + 1);
  let error = fdw >= files.nofile ? -Errno.EMFILE : 0;
  if (error === 0) {
    pairView.setInt32(0, fdr, true);
    pairView.setInt32(4, fdw, true);
    if (mm.copyToUser(fildes, pair, 0, PAIR_SIZE) < PAIR_SIZE) error = mm.fault();
  }
  if (error !== 0) {
    reader.put();
    writer.put();
    return error;
  }
  const cloexec = (wanted & Open.CLOEXEC) !== 0;
  files.install(reader, cloexec);
  files.install(writer, cloexec);
  return 0;
}

/** pipe(2): pipe2 without flags. */
export function sysPipe(task: Task, fildes: number): number {
  return sysPipe2(task, fildes, 0);
}
