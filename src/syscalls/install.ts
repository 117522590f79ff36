/**
 * Giving a new description its number.
 *
 * Counterpart: `get_unused_fd_flags` and `fd_install`. Linux reserves the number before it makes the file; here the file
 * is made first and dropped, unseen by anybody, if no number is free.
 */
import type { File } from "../kernel/fs/file.ts";
import type { Task } from "../kernel/sched/task.ts";

/** @returns the lowest free descriptor. @errno EMFILE - at RLIMIT_NOFILE: E-004, F-06. */
export function installNew(task: Task, file: File, cloexec: boolean): number {
  const fd = task.process.files.install(file, cloexec);
  if (fd < 0) file.put();
  return fd;
}
