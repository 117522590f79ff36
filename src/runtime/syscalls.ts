/**
 * The system calls of one thread, with their names in C and typed arguments.
 *
 * A call returns its result, a negative errno, or `BLOCKED`: then the thread sleeps, and the program has to `yield`. Structs of
 * arguments (events, times, option values) go through a few bytes of the thread's own user memory, as they would lie on its
 * stack. Times are in ns, -1 for none, unless the name says otherwise.
 */
import { SOL_SOCKET, So } from "../kernel/uapi/socket.ts";
import { ClockId } from "../kernel/uapi/time.ts";
import type { SyscallName } from "../kernel/uapi/unistd.ts";
import { BLOCKED, burnCpu, doSyscall, type Task } from "../syscalls/index.ts";
import { type CallSite, callSite } from "./call-site.ts";
import type { CallTracer, Machine } from "./machine.ts";
import type { Thread, ThreadBody } from "./thread.ts";
import {
  addressOf,
  type EpollEvents,
  type Pointer,
  type SockaddrIn,
  type UserBuffer,
  type UserMemory,
} from "./user-memory.ts";

/** The thread's stack: where each kind of argument lies, in bytes. */
const Stack = { EVENT: 0, TIME: 16, ITIMER: 32, WORDS: 64, LENGTH: 80, VALUE: 96, SIGACTION: 128, SIZE: 192 } as const;
const NSEC_PER_SEC = 1e9;
const TWO_32 = 2 ** 32;
/** Operations of futex. */
const FutexOp = { WAIT: 0, WAKE: 1, PRIVATE: 128 } as const;
const SA_RESTORER = 0x0400_0000;
const SIGSET_SIZE = 8;
const SIG_SETMASK = 2;

const ACCEPT4 = callSite("accept4");
const BIND = callSite("bind");
const CLOSE = callSite("close");
const CONNECT = callSite("connect");
const DUP = callSite("dup");
const EPOLL_CREATE1 = callSite("epoll_create1");
const EPOLL_CTL = callSite("epoll_ctl");
const EPOLL_PWAIT = callSite("epoll_pwait");
const EPOLL_PWAIT2 = callSite("epoll_pwait2");
const EPOLL_WAIT = callSite("epoll_wait");
const EVENTFD2 = callSite("eventfd2");
const EXIT = callSite("exit");
const EXIT_GROUP = callSite("exit_group");
const FCNTL = callSite("fcntl");
const FUTEX = callSite("futex");
const GETPEERNAME = callSite("getpeername");
const GETPID = callSite("getpid");
const GETSOCKNAME = callSite("getsockname");
const GETSOCKOPT = callSite("getsockopt");
const GETTID = callSite("gettid");
const KILL = callSite("kill");
const LISTEN = callSite("listen");
const NANOSLEEP = callSite("nanosleep");
const PIPE2 = callSite("pipe2");
const READ = callSite("read");
const READV = callSite("readv");
const RECVFROM = callSite("recvfrom");
const RT_SIGACTION = callSite("rt_sigaction");
const RT_SIGPROCMASK = callSite("rt_sigprocmask");
const SCHED_YIELD = callSite("sched_yield");
const SENDTO = callSite("sendto");
const SETSOCKOPT = callSite("setsockopt");
const SHUTDOWN = callSite("shutdown");
const SOCKET = callSite("socket");
const SOCKETPAIR = callSite("socketpair");
const TGKILL = callSite("tgkill");
const TIMERFD_CREATE = callSite("timerfd_create");
const TIMERFD_SETTIME = callSite("timerfd_settime");
const WAIT4 = callSite("wait4");
const WRITE = callSite("write");
const WRITEV = callSite("writev");

export class Syscalls {
  readonly thread: Thread;
  readonly machine: Machine;
  /** The heap of the process. */
  readonly memory: UserMemory;
  readonly #task: Task;
  readonly #stack: UserBuffer;
  readonly #words: Int32Array;

  constructor(thread: Thread) {
    this.thread = thread;
    this.machine = thread.machine;
    this.memory = thread.memory;
    this.#task = thread.task;
    this.#stack = this.memory.alloc(Stack.SIZE);
    const { bytes } = this.#stack;
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, Stack.SIZE >> 2);
  }

  /** The thread has ended: another may have its stack. */
  freeStack(): void {
    this.memory.free(this.#stack);
  }

  /** The virtual time, in ns since boot: what CLOCK_MONOTONIC shows, without a call (the vDSO's way). */
  get nowNs(): number {
    return this.machine.nowNs;
  }

  /** Any call by its name in C, with its registers. */
  call(name: SyscallName, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0): number {
    return this.#enter(callSite(name), a, b, c, d, e, f);
  }

  #enter(site: CallSite, a: number, b: number, c: number, d: number, e: number, f: number): number {
    const { thread } = this;
    const task = this.#task;
    if (task.call !== null) thread.assertAwake(`${site.name}() is called`);
    const { calls } = thread.costs;
    calls[site.index] = (calls[site.index] as number) + 1;
    thread.sliceCalls -= 1;
    const { tracer } = thread;
    if (tracer !== null) return this.#traced(tracer, site, [a, b, c, d, e, f]);
    const result = doSyscall(task, site.syscall, a, b, c, d, e, f);
    if (result === BLOCKED) thread.slept(site);
    return result;
  }

  #traced(tracer: CallTracer, site: CallSite, args: readonly [number, number, number, number, number, number]): number {
    const { tid } = this.#task;
    tracer.enter(tid, site.name, args, this.memory);
    const result = doSyscall(this.#task, site.syscall, ...args);
    if (result === BLOCKED) this.thread.slept(site);
    else tracer.exit(tid, result);
    return result;
  }

  #at(offset: number): number {
    return this.#stack.addr + offset;
  }

  /** A `struct timespec` on the stack. @returns its address; 0 for a negative time. */
  #timespec(offset: number, ns: number): number {
    if (ns < 0) return 0;
    const seconds = Math.floor(ns / NSEC_PER_SEC);
    const at = offset >> 2;
    this.#words[at] = seconds;
    this.#words[at + 1] = Math.floor(seconds / TWO_32);
    this.#words[at + 2] = ns % NSEC_PER_SEC;
    this.#words[at + 3] = 0;
    return this.#at(offset);
  }

  // Descriptors

  read(fd: number, buf: Pointer, count: number): number {
    return this.#enter(READ, fd, addressOf(buf), count, 0, 0, 0);
  }

  write(fd: number, buf: Pointer, count: number): number {
    return this.#enter(WRITE, fd, addressOf(buf), count, 0, 0, 0);
  }

  /** @param iov - an array of `struct iovec` in user memory. */
  readv(fd: number, iov: Pointer, count: number): number {
    return this.#enter(READV, fd, addressOf(iov), count, 0, 0, 0);
  }

  writev(fd: number, iov: Pointer, count: number): number {
    return this.#enter(WRITEV, fd, addressOf(iov), count, 0, 0, 0);
  }

  close(fd: number): number {
    return this.#enter(CLOSE, fd, 0, 0, 0, 0, 0);
  }

  dup(fd: number): number {
    return this.#enter(DUP, fd, 0, 0, 0, 0, 0);
  }

  fcntl(fd: number, cmd: number, arg = 0): number {
    return this.#enter(FCNTL, fd, cmd, arg, 0, 0, 0);
  }

  /** @param fds - receives the read end and the write end. */
  pipe2(fds: number[], flags: number): number {
    return this.#pair(this.#enter(PIPE2, this.#at(Stack.WORDS), flags, 0, 0, 0, 0), fds);
  }

  #pair(result: number, fds: number[]): number {
    if (result === 0) {
      fds[0] = this.#words[Stack.WORDS >> 2] as number;
      fds[1] = this.#words[(Stack.WORDS >> 2) + 1] as number;
    }
    return result;
  }

  // epoll, eventfd, timerfd

  epollCreate1(flags: number): number {
    return this.#enter(EPOLL_CREATE1, flags, 0, 0, 0, 0, 0);
  }

  /** @param data - the event's user data, a whole number up to 2^53: what `EpollEvents.data` gives back. */
  epollCtl(epfd: number, op: number, fd: number, events = 0, data: number = fd): number {
    const words = this.#words;
    words[Stack.EVENT >> 2] = events;
    words[(Stack.EVENT >> 2) + 1] = data;
    words[(Stack.EVENT >> 2) + 2] = Math.floor(data / TWO_32);
    return this.#enter(EPOLL_CTL, epfd, op, fd, this.#at(Stack.EVENT), 0, 0);
  }

  /** @param timeoutMs - -1 for ever. */
  epollWait(epfd: number, events: EpollEvents, maxevents: number, timeoutMs: number): number {
    return this.#enter(EPOLL_WAIT, epfd, events.addr, maxevents, timeoutMs, 0, 0);
  }

  /** As epollWait, by the call that the newer C libraries and Go make. */
  epollPwait(epfd: number, events: EpollEvents, maxevents: number, timeoutMs: number): number {
    return this.#enter(EPOLL_PWAIT, epfd, events.addr, maxevents, timeoutMs, 0, 0);
  }

  epollPwait2(epfd: number, events: EpollEvents, maxevents: number, timeoutNs: number): number {
    return this.#enter(EPOLL_PWAIT2, epfd, events.addr, maxevents, this.#timespec(Stack.TIME, timeoutNs), 0, 0);
  }

  eventfd2(count: number, flags: number): number {
    return this.#enter(EVENTFD2, count, flags, 0, 0, 0, 0);
  }

  /** @param clock - `ClockId.MONOTONIC` unless given. */
  timerfdCreate(flags: number, clock: number = ClockId.MONOTONIC): number {
    return this.#enter(TIMERFD_CREATE, clock, flags, 0, 0, 0, 0);
  }

  /** @param valueNs - first expiry, 0 disarms. @param intervalNs - of a periodic timer, else 0. */
  timerfdSettime(fd: number, flags: number, valueNs: number, intervalNs = 0): number {
    const address = this.#timespec(Stack.ITIMER, intervalNs);
    this.#timespec(Stack.ITIMER + 16, valueNs);
    return this.#enter(TIMERFD_SETTIME, fd, flags, address, 0, 0, 0);
  }

  // Sockets

  socket(family: number, type: number, protocol = 0): number {
    return this.#enter(SOCKET, family, type, protocol, 0, 0, 0);
  }

  /** @param fds - receives both ends. */
  socketpair(family: number, type: number, protocol: number, fds: number[]): number {
    return this.#pair(this.#enter(SOCKETPAIR, family, type, protocol, this.#at(Stack.WORDS), 0, 0), fds);
  }

  bind(fd: number, addr: UserBuffer): number {
    return this.#enter(BIND, fd, addr.addr, addr.length, 0, 0, 0);
  }

  listen(fd: number, backlog: number): number {
    return this.#enter(LISTEN, fd, backlog, 0, 0, 0, 0);
  }

  connect(fd: number, addr: UserBuffer): number {
    return this.#enter(CONNECT, fd, addr.addr, addr.length, 0, 0, 0);
  }

  /** @param addr - receives the peer's address; null asks for none. */
  accept4(fd: number, addr: SockaddrIn | null, flags: number): number {
    if (addr === null) return this.#enter(ACCEPT4, fd, 0, 0, flags, 0, 0);
    return this.#enter(ACCEPT4, fd, addr.addr, this.#lengthOf(addr), flags, 0, 0);
  }

  #lengthOf(room: UserBuffer): number {
    this.#words[Stack.LENGTH >> 2] = room.length;
    return this.#at(Stack.LENGTH);
  }

  getsockname(fd: number, addr: UserBuffer): number {
    return this.#enter(GETSOCKNAME, fd, addr.addr, this.#lengthOf(addr), 0, 0, 0);
  }

  getpeername(fd: number, addr: UserBuffer): number {
    return this.#enter(GETPEERNAME, fd, addr.addr, this.#lengthOf(addr), 0, 0, 0);
  }

  shutdown(fd: number, how: number): number {
    return this.#enter(SHUTDOWN, fd, how, 0, 0, 0, 0);
  }

  /** send(2), which is sendto without an address. */
  send(fd: number, buf: Pointer, count: number, flags: number): number {
    return this.#enter(SENDTO, fd, addressOf(buf), count, flags, 0, 0);
  }

  /** recv(2), which is recvfrom without an address. */
  recv(fd: number, buf: Pointer, count: number, flags: number): number {
    return this.#enter(RECVFROM, fd, addressOf(buf), count, flags, 0, 0);
  }

  /** An option that is an int. */
  setsockopt(fd: number, level: number, name: number, value: number): number {
    this.#words[Stack.VALUE >> 2] = value;
    return this.#enter(SETSOCKOPT, fd, level, name, this.#at(Stack.VALUE), 4, 0);
  }

  /** SO_LINGER. @param seconds - that close waits for what is unsent; 0 resets the connection, -1 switches it off. */
  setLinger(fd: number, seconds: number): number {
    this.#words[Stack.VALUE >> 2] = seconds < 0 ? 0 : 1;
    this.#words[(Stack.VALUE >> 2) + 1] = Math.max(0, seconds);
    return this.#enter(SETSOCKOPT, fd, SOL_SOCKET, So.LINGER, this.#at(Stack.VALUE), 8, 0);
  }

  /** SO_RCVTIMEO, SO_SNDTIMEO: how long a call may sleep. @param ns - 0 for ever; whole microseconds count. */
  setTimeout(fd: number, name: number, ns: number): number {
    this.#timespec(Stack.TIME, ns);
    const at = (Stack.TIME >> 2) + 2;
    this.#words[at] = Math.floor((this.#words[at] as number) / 1000); // a `struct timeval`
    return this.#enter(SETSOCKOPT, fd, SOL_SOCKET, name, this.#at(Stack.TIME), 16, 0);
  }

  /** @returns the value of an option that is an int, or a negative errno. */
  getsockopt(fd: number, level: number, name: number): number {
    this.#words[Stack.LENGTH >> 2] = 4;
    const result = this.#enter(GETSOCKOPT, fd, level, name, this.#at(Stack.VALUE), this.#at(Stack.LENGTH), 0);
    return result < 0 ? result : (this.#words[Stack.VALUE >> 2] as number);
  }

  // Time, threads, signals

  nanosleep(ns: number): number {
    return this.#enter(NANOSLEEP, this.#timespec(Stack.TIME, Math.max(0, ns)), 0, 0, 0, 0, 0);
  }

  /** FUTEX_WAIT_PRIVATE. @param timeoutNs - a span; -1 for ever. */
  futexWait(word: Pointer, value: number, timeoutNs = -1): number {
    const op = FutexOp.WAIT | FutexOp.PRIVATE;
    return this.#enter(FUTEX, addressOf(word), op, value, this.#timespec(Stack.TIME, timeoutNs), 0, 0);
  }

  /** FUTEX_WAKE_PRIVATE. @returns how many it woke. */
  futexWake(word: Pointer, count: number): number {
    return this.#enter(FUTEX, addressOf(word), FutexOp.WAKE | FutexOp.PRIVATE, count, 0, 0, 0);
  }

  schedYield(): number {
    return this.#enter(SCHED_YIELD, 0, 0, 0, 0, 0, 0);
  }

  getpid(): number {
    return this.#enter(GETPID, 0, 0, 0, 0, 0, 0);
  }

  gettid(): number {
    return this.#enter(GETTID, 0, 0, 0, 0, 0, 0);
  }

  kill(pid: number, signal: number): number {
    return this.#enter(KILL, pid, signal, 0, 0, 0, 0);
  }

  tgkill(pid: number, tid: number, signal: number): number {
    return this.#enter(TGKILL, pid, tid, signal, 0, 0, 0);
  }

  /** rt_sigaction(2). @param handler - 0 the default, 1 ignores, anything else a handler that only returns. */
  sigaction(signal: number, handler: number): number {
    const words = this.#words;
    const at = Stack.SIGACTION >> 2;
    words.fill(0, at, at + 8);
    words[at] = handler;
    words[at + 2] = handler > 1 ? SA_RESTORER : 0;
    words[at + 4] = handler > 1 ? handler : 0;
    return this.#enter(RT_SIGACTION, signal, this.#at(Stack.SIGACTION), 0, SIGSET_SIZE, 0, 0);
  }

  /** rt_sigprocmask(SIG_SETMASK). @param all - every signal, or none. @param old - asks for the mask of before. */
  setSigmask(all: boolean, old = false): number {
    const at = Stack.SIGACTION >> 2;
    this.#words.fill(all ? -1 : 0, at, at + 2);
    const oset = old ? this.#at(Stack.SIGACTION + SIGSET_SIZE) : 0;
    return this.#enter(RT_SIGPROCMASK, SIG_SETMASK, this.#at(Stack.SIGACTION), oset, SIGSET_SIZE, 0, 0);
  }

  /** wait4(2). @param pid - -1 for any child. @returns the child's number; its status is in `waitStatus`. */
  wait4(pid: number, options = 0): number {
    return this.#enter(WAIT4, pid, this.#at(Stack.WORDS), options, 0, 0, 0);
  }

  /** The wait status that the latest wait4 has stored. */
  get waitStatus(): number {
    return this.#words[Stack.WORDS >> 2] as number;
  }

  /** Ends this thread. Nothing behind a `yield` of it runs. */
  exit(status: number): number {
    const result = this.#enter(EXIT, status, 0, 0, 0, 0, 0);
    this.machine.ended(this.thread);
    return result;
  }

  /** Ends the process. Nothing behind a `yield` of it runs. */
  exitGroup(status: number): number {
    const result = this.#enter(EXIT_GROUP, status, 0, 0, 0, 0, 0);
    this.machine.ended(this.thread);
    return result;
  }

  /** A new thread of this process (clone with CLONE_THREAD), with the signal mask of this one. @returns its number. */
  clone(name: string, body: ThreadBody, how: "thread" | "bare thread" = "thread"): number {
    return this.machine.clone(this.thread, name, body, how);
  }

  /** A child process with a copy of the descriptor table. It runs `body`, not the rest of this program. @returns its number. */
  fork(name: string, body: ThreadBody): number {
    return this.machine.fork(this.thread, name, body);
  }

  /** Computes for `ns` of virtual time: not a call, but like one that sleeps it has to be yielded. */
  compute(ns: number): number {
    this.thread.assertAwake("compute() is called");
    return burnCpu(this.#task, this.nowNs + ns, 0);
  }
}
