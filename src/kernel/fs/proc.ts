/**
 * What /proc says of a descriptor.
 *
 * Counterpart: `fs/proc/fd.c` (`seq_show`).
 */
import type { Task } from "../sched/task.ts";
import { Open } from "../uapi/fcntl.ts";

/** Mount of the anonymous inodes; the number itself means nothing (E-016). */
const MNT_ID = 15;

/** Text of /proc/self/fdinfo/`fd`, or null when the number is not open. */
export function fdinfoText(task: Task, fd: number): string | null {
  const { files } = task.process;
  const file = files.getRaw(fd);
  if (file === null) return null;
  const flags = file.flags | (files.cloexec(fd) ? Open.CLOEXEC : 0);
  const common = `pos:\t${file.pos}\nflags:\t0${flags.toString(8)}\nmnt_id:\t${MNT_ID}\nino:\t${file.inode.ino}\n`;
  return common + file.fdinfo();
}
