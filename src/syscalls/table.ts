/**
 * The system call table of the model.
 *
 * Counterpart: `arch/x86/entry/syscalls/syscall_64.tbl`. A call that is missing here is not modelled.
 */
import type { Task } from "../kernel/sched/task.ts";
import type { SyscallName } from "../kernel/uapi/unistd.ts";
import { sysGeteuid, sysGetppid, sysGetuid, sysSetresuid, sysSetuid } from "./cred.ts";
import { sysEpollCreate, sysEpollCreate1, sysEpollCtl, sysEpollPwait, sysEpollPwait2, sysEpollWait } from "./epoll.ts";
import { sysEventfd, sysEventfd2 } from "./eventfd.ts";
import { sysExecve } from "./exec.ts";
import { sysExit, sysExitGroup, sysWait4, sysWaitid } from "./exit.ts";
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
import { sysFutex } from "./futex.ts";
import { sysInotifyAddWatch, sysInotifyInit, sysInotifyInit1, sysInotifyRmWatch } from "./inotify.ts";
import { sysIoctl } from "./ioctl.ts";
import { sysAlarm, sysGetitimer, sysSetitimer } from "./itimer.ts";
import { sysKcmp } from "./kcmp.ts";
import { sysRecvmmsg, sysSendmmsg } from "./mmsg.ts";
import { sysMqGetsetattr, sysMqOpen, sysMqTimedreceive, sysMqTimedsend } from "./mqueue.ts";
import { sysRecvfrom, sysRecvmsg, sysSendmsg, sysSendto } from "./msg.ts";
import { sysMemfdCreate, sysMkdir, sysMknod, sysMknodat, sysOpen, sysOpenat, sysUnlink, sysUnlinkat } from "./open.ts";
import { sysPidfdOpen, sysPidfdSendSignal } from "./pidfd.ts";
import { sysPipe, sysPipe2 } from "./pipe.ts";
import { sysTimerCreate, sysTimerDelete, sysTimerGetoverrun, sysTimerGettime, sysTimerSettime } from "./posix-timer.ts";
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
import { sysSchedYield } from "./sched.ts";
import { sysPoll, sysPpoll, sysPselect6, sysSelect } from "./select.ts";
import { sysSigaltstack } from "./sigaltstack.ts";
import {
  sysKill,
  sysPause,
  sysRtSigaction,
  sysRtSigpending,
  sysRtSigprocmask,
  sysRtSigqueueinfo,
  sysRtSigsuspend,
  sysRtSigtimedwait,
  sysTgkill,
  sysTkill,
} from "./signal.ts";
import { sysSignalfd, sysSignalfd4 } from "./signalfd.ts";
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
  alarm: sysAlarm,
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
  execve: sysExecve,
  exit: sysExit,
  exit_group: sysExitGroup,
  fallocate: sysFallocate,
  fchmod: sysFchmod,
  fcntl: sysFcntl,
  fstat: sysFstat,
  fsync: sysFsync,
  ftruncate: sysFtruncate,
  futex: sysFutex,
  geteuid: sysGeteuid,
  getitimer: sysGetitimer,
  getpeername: sysGetpeername,
  getpid: sysGetpid,
  getppid: sysGetppid,
  getsockname: sysGetsockname,
  getsockopt: sysGetsockopt,
  gettid: sysGettid,
  getuid: sysGetuid,
  inotify_add_watch: sysInotifyAddWatch,
  inotify_init: sysInotifyInit,
  inotify_init1: sysInotifyInit1,
  inotify_rm_watch: sysInotifyRmWatch,
  ioctl: sysIoctl,
  kcmp: sysKcmp,
  kill: sysKill,
  listen: sysListen,
  lseek: sysLseek,
  memfd_create: sysMemfdCreate,
  mkdir: sysMkdir,
  mknod: sysMknod,
  mknodat: sysMknodat,
  mq_open: sysMqOpen,
  mq_timedsend: sysMqTimedsend,
  mq_timedreceive: sysMqTimedreceive,
  mq_getsetattr: sysMqGetsetattr,
  nanosleep: sysNanosleep,
  open: sysOpen,
  openat: sysOpenat,
  pause: sysPause,
  pidfd_open: sysPidfdOpen,
  pidfd_send_signal: sysPidfdSendSignal,
  pipe: sysPipe,
  pipe2: sysPipe2,
  poll: sysPoll,
  ppoll: sysPpoll,
  prctl: sysPrctl,
  pread64: sysPread64,
  preadv: sysPreadv,
  preadv2: sysPreadv2,
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
  rt_sigaction: sysRtSigaction,
  rt_sigpending: sysRtSigpending,
  rt_sigprocmask: sysRtSigprocmask,
  rt_sigqueueinfo: sysRtSigqueueinfo,
  rt_sigsuspend: sysRtSigsuspend,
  rt_sigtimedwait: sysRtSigtimedwait,
  sched_yield: sysSchedYield,
  select: sysSelect,
  sendfile: sysSendfile,
  sendmmsg: sysSendmmsg,
  sendmsg: sysSendmsg,
  sendto: sysSendto,
  setitimer: sysSetitimer,
  setresuid: sysSetresuid,
  setsockopt: sysSetsockopt,
  setuid: sysSetuid,
  shutdown: sysShutdown,
  signalfd: sysSignalfd,
  signalfd4: sysSignalfd4,
  sigaltstack: sysSigaltstack,
  socket: sysSocket,
  socketpair: sysSocketpair,
  splice: sysSplice,
  tee: sysTee,
  tgkill: sysTgkill,
  time: sysTime,
  timer_create: sysTimerCreate,
  timer_delete: sysTimerDelete,
  timer_getoverrun: sysTimerGetoverrun,
  timer_gettime: sysTimerGettime,
  timer_settime: sysTimerSettime,
  timerfd_create: sysTimerfdCreate,
  timerfd_gettime: sysTimerfdGettime,
  timerfd_settime: sysTimerfdSettime,
  tkill: sysTkill,
  unlink: sysUnlink,
  unlinkat: sysUnlinkat,
  vmsplice: sysVmsplice,
  wait4: sysWait4,
  waitid: sysWaitid,
  write: sysWrite,
  writev: sysWritev,
};
