/**
 * ioctl: the requests that every file takes, then the file's own.
 *
 * Counterpart: `fs/ioctl.c` (`do_vfs_ioctl`).
 */
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { Mode, Open } from "../kernel/uapi/fcntl.ts";
import { Ioctl } from "../kernel/uapi/socket.ts";
import { setFasync } from "./fd.ts";
import { toUint } from "./registers.ts";

const FIOQSIZE = 0x5460;
/** Freezing, extents, cloning, inode flags, file system names: answered by the file system, whatever the file. */
const FILE_SYSTEM_REQUESTS: ReadonlySet<number> = new Set<number>([
  0x2, 0xc0045877, 0xc0045878, 0xc020660b, 0x40049409, 0x4020940d, 0xc0189436, 0x80086601, 0x40086602, 0x801c581f,
  0x401c5820, 0x80111500, 0x80811501,
]);

const word = new Uint8Array(4);
const wordView = new DataView(word.buffer);

/**
 * ioctl(2).
 *
 * @errno EBADF - not open. EFAULT - the argument. ENOTTY - a request that the file does not know, unless it says else;
 *   FIOASYNC of a file that sends no signals. The rest: the file's own.
 * @throws Unmodelled for what file systems answer.
 * @kernel fs/ioctl.c `do_vfs_ioctl`
 * @behaviour E-013, E-014, F-09
 */
export function sysIoctl(task: Task, fd: number, cmd: number, arg: number): number {
  const { files, mm } = task.process;
  const number = toUint(fd);
  const file = files.get(number);
  if (file === null) return -Errno.EBADF;
  const request = toUint(cmd);
  switch (request) {
    case Ioctl.FIOCLEX:
    case Ioctl.FIONCLEX:
      files.setCloexec(number, request === Ioctl.FIOCLEX);
      return 0;
    case Ioctl.FIONBIO:
      if (mm.copyFromUser(word, 0, arg, 4) < 4) return mm.fault();
      file.flags = wordView.getInt32(0, true) !== 0 ? file.flags | Open.NONBLOCK : file.flags & ~Open.NONBLOCK;
      return 0;
    case Ioctl.FIOASYNC:
      if (mm.copyFromUser(word, 0, arg, 4) < 4) return mm.fault();
      return setFasync(file, number, wordView.getInt32(0, true) !== 0);
    case FIOQSIZE: {
      const type = file.inode.mode & Mode.IFMT;
      if (type === Mode.IFREG || type === Mode.IFDIR) throw new Unmodelled("ioctl(FIOQSIZE)");
      return -Errno.ENOTTY;
    }
    default:
      if (FILE_SYSTEM_REQUESTS.has(request)) throw new Unmodelled(`ioctl(0x${request.toString(16)})`);
      return file.ioctl(task, request, arg);
  }
}
