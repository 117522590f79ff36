/**
 * The kernel: one simulated machine and what is in it.
 */
export { type Chooser, firstChoice, seededChoice } from "./choice.ts";
export { Cluster, type Host, type HostAddress } from "./cluster.ts";
export { Epitem } from "./fs/eventpoll/epitem.ts";
export { Eventpoll } from "./fs/eventpoll/eventpoll.ts";
export { checkEventpoll } from "./fs/eventpoll/invariants.ts";
export { FdTable } from "./fs/fdtable.ts";
export { File, Inode, PollTable } from "./fs/file.ts";
export { type CommonParts, Kernel, type KernelOptions } from "./kernel.ts";
export { KernelBug, Unmodelled } from "./lib/assert.ts";
export { checkList, List, ListNode } from "./lib/list.ts";
export { checkRbtree, RbNode, RbTree, rbNext } from "./lib/rbtree.ts";
export { Mm, Prot } from "./mm/mm.ts";
export { DEFAULT_LINK, LinkDirection, type LinkOptions } from "./net/link.ts";
export { KernelObserver } from "./observer.ts";
export { type KernelProfile, kernelProfile, NEWEST, parseVersion } from "./profile.ts";
export { Process, UserStruct } from "./sched/process.ts";
export { BLOCKED, SleepingCall, Task, type TaskBody, TaskState } from "./sched/task.ts";
export { WaitQueueEntry, WaitQueueHead } from "./sched/wait.ts";
export { Sysctls } from "./sysctl.ts";
export { Clock, Hrtimer } from "./time/hrtimer.ts";
export { EPOLL_CLOEXEC, EPOLL_EVENT_SIZE, Epoll, EpollCtl } from "./uapi/epoll.ts";
export { Errno, type ErrnoName, errnoName } from "./uapi/errno.ts";
export { Fcntl, Open } from "./uapi/fcntl.ts";
export { Poll } from "./uapi/poll.ts";
export { Af, Msg, Shut, So, Sock } from "./uapi/socket.ts";
export { Nr, type SyscallName } from "./uapi/unistd.ts";
