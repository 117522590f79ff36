/**
 * Which calls a replay has to do with, by name.
 *
 * A call that stands in none of these lists, and that the model does not know, counts as `unsupported`: it is better to
 * count a harmless call too much than to pass over one that matters.
 */

/** Nothing to do with descriptors, sockets, polling, timers or signals: memory, identity, limits, scheduling, time of day. */
export const IGNORED: ReadonlySet<string> = new Set(
  `access acct add_key adjtimex arch_prctl clock_adjtime brk capget capset chdir chmod chown chroot clock_getres clock_gettime clock_settime
  creat_module faccessat faccessat2 fadvise64 fchdir fchmodat fchown fchownat fdatasync fgetxattr flistxattr flock
  fremovexattr fsetxattr fstatfs fsync futex futex_waitv getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups
  getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrusage getsid gettid gettimeofday
  getuid getxattr get_thread_area ioperm iopl ioprio_get ioprio_set kcmp keyctl landlock_add_rule landlock_restrict_self lchown lgetxattr link
  linkat listxattr llistxattr lremovexattr lsetxattr lstat madvise mbind membarrier mincore mkdir mkdirat mlock mlock2
  mlockall mmap modify_ldt mount mprotect mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at newfstatat personality
  pivot_root pkey_alloc pkey_free pkey_mprotect prctl readahead readlink readlinkat removexattr request_key rename renameat renameat2
  rmdir rseq sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
  sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_mempolicy
  set_robust_list set_tid_address setdomainname setfsgid setfsuid setgid setgroups sethostname setns setpgid setpriority
  setregid setresgid setresuid setreuid setsid setuid setxattr shmat shmctl shmdt shmget semctl semget semop
  semtimedop sync_file_range
  stat statfs statx symlink symlinkat sync syncfs sysinfo syslog time times truncate umask umount2 uname
  unshare utime utimensat utimes ustat vhangup getitimer get_robust_list get_mempolicy migrate_pages move_pages
  process_vm_readv process_vm_writev bpf`.split(/\s+/),
);

/** Calls that make or end tasks; the replay follows them, and their results are ids from outside. */
export const LIFECYCLE: ReadonlySet<string> = new Set(
  "clone clone3 fork vfork execve execveat exit exit_group".split(" "),
);

/** Calls that show or change RLIMIT_NOFILE. */
export const LIMITS: ReadonlySet<string> = new Set("getrlimit prlimit64 setrlimit".split(" "));

/** Calls whose success depends on the disk; a descriptor that they give is still the lowest free one. */
export const OPENS: ReadonlySet<string> = new Set("open openat openat2 creat".split(" "));

/**
 * Calls that name a file by its path, and which argument that is. The model knows the names that the recording itself has
 * made, of sockets and FIFOs; any other path is the disk's affair.
 */
export const NAMED_BY_PATH: ReadonlyMap<string, number> = new Map([
  ["creat", 0],
  ["mknod", 0],
  ["mknodat", 1],
  ["open", 0],
  ["openat", 1],
  ["openat2", 1],
  ["unlink", 0],
  ["unlinkat", 1],
]);

/** Calls outside the model that give a descriptor. */
export const GIVES_FD: ReadonlySet<string> = new Set(
  `fanotify_init fsmount fsopen fspick io_uring_setup landlock_create_ruleset memfd_secret mq_open open_by_handle_at
  open_tree perf_event_open pidfd_getfd userfaultfd bpf inotify_init inotify_init1 memfd_create pidfd_open signalfd
  signalfd4 timerfd_create socket accept accept4 epoll_create epoll_create1 eventfd eventfd2`.split(/\s+/),
);

/** Calls on a file's content, position or attributes: on a description outside the model they tell nothing about it. */
export const CONTENT: ReadonlySet<string> = new Set(
  `read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek fstat ftruncate fallocate fchmod ioctl
  sendfile copy_file_range splice fsync`.split(/\s+/),
);

/** Calls that take from somebody else: they may sleep, and take what is there when they end rather than when they begin. */
export const CONSUMERS: ReadonlySet<string> = new Set(
  `accept accept4 epoll_wait epoll_pwait epoll_pwait2 poll ppoll pselect6 read readv recvfrom recvmmsg recvmsg select
  pause preadv preadv2 rt_sigsuspend rt_sigtimedwait splice tee wait4 waitid`.split(/\s+/),
);

/**
 * How much a time stamp of strace may be off: entry plus duration agrees with the exit's own stamp to within 0.2 ms in 98 of
 * 100 pairs of the captured corpus.
 */
export const STAMP_ERROR_NS = 1_000_000;
