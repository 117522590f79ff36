/**
 * The system call table of the model.
 *
 * Counterpart: `arch/x86/entry/syscalls/syscall_64.tbl`. A call that is missing here is not modelled.
 */
import type { Task } from "../kernel/sched/task.ts";
import type { SyscallName } from "../kernel/uapi/unistd.ts";
import { sysEpollCreate, sysEpollCreate1, sysEpollCtl, sysEpollPwait, sysEpollPwait2, sysEpollWait } from "./epoll.ts";
import { sysEventfd, sysEventfd2 } from "./eventfd.ts";
import {
  sysClose,
  sysCloseRange,
  sysDup,
  sysDup2,
  sysDup3,
  sysFallocate,
  sysFchmod,
  sysFcntl,
  sysFstat,
  sysFsync,
  sysFtruncate,
  sysLseek,
} from "./fd.ts";
import { sysIoctl } from "./ioctl.ts";
import { sysKcmp } from "./kcmp.ts";
import { sysRecvfrom, sysRecvmmsg, sysRecvmsg, sysSendmmsg, sysSendmsg, sysSendto } from "./msg.ts";
import { sysMemfdCreate, sysMkdir, sysMknod, sysMknodat, sysOpen, sysOpenat, sysUnlink, sysUnlinkat } from "./open.ts";
import { sysPipe, sysPipe2 } from "./pipe.ts";
import { sysPrctl } from "./prctl.ts";
import { sysGetpid, sysGettid, sysPrlimit64 } from "./process.ts";
import {
  sysPread64,
  sysPreadv,
  sysPreadv2,
  sysPwrite64,
  sysPwritev,
  sysPwritev2,
  sysRead,
  sysReadv,
  sysWrite,
  sysWritev,
} from "./rw.ts";
import { sysPoll, sysPpoll, sysPselect6, sysSelect } from "./select.ts";
import {
  sysAccept,
  sysAccept4,
  sysBind,
  sysConnect,
  sysGetpeername,
  sysGetsockname,
  sysListen,
  sysShutdown,
  sysSocket,
  sysSocketpair,
} from "./socket.ts";
import { sysGetsockopt, sysSetsockopt } from "./sockopt.ts";
import { sysSendfile, sysSplice, sysTee, sysVmsplice } from "./splice.ts";
import { sysClockGettime, sysClockNanosleep, sysNanosleep, sysTime } from "./time.ts";
import { sysTimerfdCreate, sysTimerfdGettime, sysTimerfdSettime } from "./timerfd.ts";

/** A call with its six registers. @returns the result, a negative errno, or `BLOCKED`. */
export type Syscall = (task: Task, a: number, b: number, c: number, d: number, e: number, f: number) => number;

export const syscallTable: { readonly [name in SyscallName]?: Syscall } = {
  accept: sysAccept,
  accept4: sysAccept4,
  bind: sysBind,
  clock_gettime: sysClockGettime,
  clock_nanosleep: sysClockNanosleep,
  close: sysClose,
  close_range: sysCloseRange,
  connect: sysConnect,
  dup: sysDup,
  dup2: sysDup2,
  dup3: sysDup3,
  epoll_create: sysEpollCreate,
  epoll_create1: sysEpollCreate1,
  epoll_ctl: sysEpollCtl,
  epoll_pwait: sysEpollPwait,
  epoll_pwait2: sysEpollPwait2,
  epoll_wait: sysEpollWait,
  eventfd: sysEventfd,
  eventfd2: sysEventfd2,
  fallocate: sysFallocate,
  fchmod: sysFchmod,
  fcntl: sysFcntl,
  fstat: sysFstat,
  fsync: sysFsync,
  ftruncate: sysFtruncate,
  getpeername: sysGetpeername,
  getpid: sysGetpid,
  getsockname: sysGetsockname,
  getsockopt: sysGetsockopt,
  gettid: sysGettid,
  ioctl: sysIoctl,
  kcmp: sysKcmp,
  listen: sysListen,
  lseek: sysLseek,
  memfd_create: sysMemfdCreate,
  mkdir: sysMkdir,
  mknod: sysMknod,
  mknodat: sysMknodat,
  nanosleep: sysNanosleep,
  open: sysOpen,
  openat: sysOpenat,
  pipe: sysPipe,
  pipe2: sysPipe2,
  poll: sysPoll,
  ppoll: sysPpoll,
  pread64: sysPread64,
  preadv: sysPreadv,
  preadv2: sysPreadv2,
  prctl: sysPrctl,
  prlimit64: sysPrlimit64,
  pselect6: sysPselect6,
  pwrite64: sysPwrite64,
  pwritev: sysPwritev,
  pwritev2: sysPwritev2,
  read: sysRead,
  readv: sysReadv,
  recvfrom: sysRecvfrom,
  recvmmsg: sysRecvmmsg,
  recvmsg: sysRecvmsg,
  select: sysSelect,
  sendfile: sysSendfile,
  sendmmsg: sysSendmmsg,
  sendmsg: sysSendmsg,
  sendto: sysSendto,
  setsockopt: sysSetsockopt,
  shutdown: sysShutdown,
  socket: sysSocket,
  socketpair: sysSocketpair,
  splice: sysSplice,
  tee: sysTee,
  time: sysTime,
  timerfd_create: sysTimerfdCreate,
  timerfd_gettime: sysTimerfdGettime,
  timerfd_settime: sysTimerfdSettime,
  unlink: sysUnlink,
  unlinkat: sysUnlinkat,
  vmsplice: sysVmsplice,
  write: sysWrite,
  writev: sysWritev,
};
