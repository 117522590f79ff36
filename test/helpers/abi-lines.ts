/**
 * One or more lines for every system call of the language, as strace 6.1 printed them: from recordings, and from a program
 * that makes the rarer calls. Comments are taken out, and the names of requests that strace 6.1 does not know put in.
 */
export const ABI_LINES: readonly string[] = String.raw`
accept(5, {sa_family=AF_INET, sin_port=htons(48808), sin_addr=inet_addr("127.0.0.1")}, [16]) = 6
accept(3, 0x3, [16]) = -1 EINVAL (Invalid argument)
accept4(6, {sa_family=AF_INET, sin_port=htons(34109), sin_addr=inet_addr("127.0.0.1")}, [128 => 16], SOCK_NONBLOCK) = 18
accept4(25, NULL, NULL, SOCK_NONBLOCK|0x40) = -1 EINVAL (Invalid argument)
alarm(1) = 0
bind(3, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=0x000550}, 12) = 0
bind(25, {sa_family=AF_INET6, sin6_port=htons(0), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = 0
bind(23, {sa_family=AF_UNIX, sun_path=@"ab"}, 5) = 0
bind(21, {sa_family=AF_INET, sin_port=htons(18701), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
bind(24, {sa_family=AF_UNIX}, 2) = 0
clock_gettime(CLOCK_REALTIME, {tv_sec=1795430703, tv_nsec=549436343}) = 0
clock_gettime(CLOCK_MONOTONIC, {tv_sec=2393, tv_nsec=318517732}) = 0
clock_nanosleep(CLOCK_REALTIME, 0, {tv_sec=0, tv_nsec=10950000}, NULL) = 0
close(3) = 0
close_range(100, 4294967295, CLOSE_RANGE_CLOEXEC) = 0
close_range(3, 5, 0) = 0
connect(22, {sa_family=AF_INET, sin_port=htons(18701), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 EINPROGRESS (Operation now in progress)
connect(24, {sa_family=AF_UNSPEC}, 2) = 0
connect(24, 0x7fff672e9260, 1) = -1 EINVAL (Invalid argument)
connect(24, {sa_family=AF_UNSPEC, sa_data="\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}, 16) = 0
dup(3) = 4
dup(3) = -1 EMFILE (Too many open files)
dup2(19999, 20000) = -1 EBADF (Bad file descriptor)
dup2(9, 1) = 1
dup3(0, 60, O_CLOEXEC) = 60
dup3(3, 101, 0) = -1 EBADF (Bad file descriptor)
epoll_create(1) = 5
epoll_create(-2147483648) = -1 EINVAL (Invalid argument)
epoll_create1(0) = 7
epoll_create1(EPOLL_CLOEXEC) = 3
epoll_ctl(7, EPOLL_CTL_ADD, 8, 0x10) = -1 EFAULT (Bad address)
epoll_ctl(14, EPOLL_CTL_ADD, 17, {events=EPOLLIN, data={u32=17, u64=17}}) = 0
epoll_ctl(7, EPOLL_CTL_DEL, 8, 0x7fff672e9634) = -1 ENOENT (No such file or directory)
epoll_ctl(7, 0x4d, 8, {events=EPOLLIN|EPOLLRDHUP|EPOLLEXCLUSIVE|EPOLLONESHOT|EPOLLET|0x4000, data={u32=1432778632, u64=1234605616436508552}}) = -1 EINVAL (Invalid argument)
epoll_ctl(7, EPOLL_CTL_ADD, 8, {events=EPOLLIN|EPOLLRDHUP|EPOLLEXCLUSIVE|EPOLLONESHOT|EPOLLET|0x4000, data={u32=1432778632, u64=1234605616436508552}}) = -1 EINVAL (Invalid argument)
epoll_ctl(7, EPOLL_CTL_DEL, 8, NULL) = -1 ENOENT (No such file or directory)
epoll_pwait(7, [], 1, 0, [USR1 RT_5], 8) = 0
epoll_pwait(14, [], 1024, 0, NULL, 8) = 0
epoll_pwait2(3, [{events=EPOLLHUP, data={u32=0, u64=0}}], 1, {tv_sec=0, tv_nsec=100000000}, NULL, 8) = 1
epoll_pwait2(5, [], 1, {tv_sec=0, tv_nsec=1000000}, NULL, 8) = 0
epoll_wait(7, NULL, 1, 0) = 0
epoll_wait(99, 0x7fff672e9634, 1, 0) = -1 EBADF (Bad file descriptor)
epoll_wait(13, [{events=EPOLLIN, data={u32=6, u64=6}}, {events=EPOLLIN, data={u32=5, u64=5}}], 32, -1) = 2
epoll_wait(7, 0x7fff672e9634, 0, 0) = -1 EINVAL (Invalid argument)
eventfd(3) = 5
eventfd2(0, EFD_CLOEXEC|EFD_NONBLOCK) = 8
eventfd2(0, 0) = 8
execve("/proc/self/exe", NULL, NULL) = 0
sigaltstack({ss_sp=NULL, ss_flags=SS_AUTODISARM, ss_size=8192}, {ss_sp=NULL, ss_flags=SS_DISABLE, ss_size=0}) = 0
exit(0) = ?
exit_group(3) = ?
fallocate(3, 0, 0, 314572800) = 0
fallocate(16, FALLOC_FL_KEEP_SIZE, 0, 10) = -1 EPERM (Operation not permitted)
fchmod(8, 04755) = -1 EOPNOTSUPP (Operation not supported)
fcntl(16, F_ADD_SEALS, F_SEAL_SHRINK|F_SEAL_GROW) = 0
fcntl(0, F_SETFD, FD_CLOEXEC) = 0
fcntl(0, F_SETSIG, SIGUSR1) = 0
fcntl(1, F_GETFL) = 0x8001 (flags O_WRONLY|O_LARGEFILE)
fcntl(12, F_SETPIPE_SZ, 8192) = -1 EBUSY (Device or resource busy)
fcntl(12, F_GETPIPE_SZ) = 65536
fcntl(0, F_GETSIG) = 10 (SIGUSR1)
fcntl(0, F_DUPFD_CLOEXEC, 50) = 50
fcntl(0, F_GETOWN_EX, {type=F_OWNER_TID, pid=0}) = 0
fcntl(0, 0x3e7, 0x5) = -1 EINVAL (Invalid argument)
fcntl(0, F_GETFL) = 0x8000 (flags O_RDONLY|O_LARGEFILE)
fcntl(16, F_GET_SEALS) = 0x6 (seals F_SEAL_SHRINK|F_SEAL_GROW)
fstat(7, {st_dev=makedev(0, 0x10), st_ino=1038, st_mode=0600, st_nlink=1, st_uid=0, st_gid=0, st_blksize=4096, st_blocks=0, st_size=0, st_atime=1795455895, st_atime_nsec=559422112, st_mtime=0, st_mtime_nsec=0, st_ctime=0, st_ctime_nsec=0}) = 0
fsync(7) = 0
ftruncate(3, 4096) = 0
futex(0x7fff672e936c, FUTEX_CMP_REQUEUE, 1, 2, 0x7fff672e936c, 1) = 0
futex(0x7fff672e936c, FUTEX_REQUEUE_PRIVATE, 1, 2, 0x7fff672e936c) = 0
futex(0x7fff672e936c, FUTEX_WAIT, 1, {tv_sec=0, tv_nsec=10}) = -1 ETIMEDOUT (Connection timed out)
futex(0x566fd88, FUTEX_WAKE_PRIVATE, 2147483647) = 0
futex(0x7fff672e936c, FUTEX_WAKE_BITSET_PRIVATE, 1, FUTEX_BITSET_MATCH_ANY) = 0
futex(0x7fff672e936c, FUTEX_WAIT_BITSET|FUTEX_CLOCK_REALTIME, 1, {tv_sec=0, tv_nsec=10}, 0x3) = -1 ETIMEDOUT (Connection timed out)
geteuid() = 0
getitimer(ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=0, tv_usec=999980}}) = 0
getitimer(0x9, 0x7fff652903c0) = -1 EINVAL (Invalid argument)
getpeername(7, {sa_family=AF_INET, sin_port=htons(42115), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0
getpeername(14, {sa_family=AF_INET, sin_port=htons(18353), sin_addr=inet_addr("127.0.0.1")}, [128 => 16]) = 0
getpid() = 20543
getppid() = 9344
getsockname(24, {sa_family=AF_UNIX, sun_path=@"a79a9"}, [110 => 8]) = 0
getsockname(23, {sa_family=AF_UNIX, sun_path=@"ab"}, [110 => 5]) = 0
getsockname(23, {sa_family=AF_UNIX, sun_path=@""}, [3 => 5]) = 0
getsockname(3, {sa_family=AF_NETLINK, nl_pid=18569, nl_groups=0x000550}, [12]) = 0
getsockname(24, {sa_family=AF_UNIX}, [110 => 2]) = 0
getsockname(21, {sa_family=AF_INET, sin_port=htons(18701), sin_addr=inet_addr("127.0.0.1")}, [128 => 16]) = 0
getsockopt(25, SOL_SOCKET, SO_ERROR, [0], [4]) = 0
getsockopt(25, SOL_TCP, TCP_CONGESTION, "bbr\0\0\0\0\0\0\0\0\0\0\0\0\0", [16]) = 0
getsockopt(25, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, [8]) = 0
getsockopt(3, SOL_SOCKET, SO_PEERCRED, {pid=20543, uid=0, gid=0}, [12]) = 0
getsockopt(6, SOL_TCP, TCP_KEEPIDLE, [7200], [4]) = 0
getsockopt(6, SOL_TCP, TCP_QUICKACK, [1], [4]) = 0
gettid() = 3756
getuid() = 0
inotify_add_watch(3, "tfile_7514", IN_ACCESS|IN_MODIFY|IN_ATTRIB|IN_CLOSE_WRITE|IN_CLOSE_NOWRITE|IN_OPEN|IN_MOVED_FROM|IN_MOVED_TO|IN_CREATE|IN_DELETE|IN_DELETE_SELF|IN_MOVE_SELF) = 1
inotify_init() = 4
inotify_init1(IN_NONBLOCK) = 3
inotify_rm_watch(3, 1) = 0
ioctl(12, FIONREAD, [13]) = 0
ioctl(5, TCSETS, {c_iflag=0x500, c_oflag=0x5, c_cflag=0xbf, c_lflag=ISIG|ICANON|ECHO, c_line=0, c_cc="\3\34\177\25\4\0\1\0\21\23\32\0\22\17\27\26\0\0\0"}) = 0
ioctl(7, TCGETS, 0x7fff672e96e0) = -1 EINVAL (Invalid argument)
ioctl(12, FIOCLEX) = 0
ioctl(3, EPIOCGPARAMS, {busy_poll_usecs=50, busy_poll_budget=8, prefer_busy_poll=1}) = 0
ioctl(4, TFD_IOC_SET_TICKS, [42]) = 0
ioctl(3, EPIOCSPARAMS, {busy_poll_usecs=50, busy_poll_budget=8, prefer_busy_poll=0}) = 0
ioctl(4, TIOCGPTN, [7]) = 0
ioctl(7, _IOC(_IOC_NONE, 0x56, 0x78, 0x1234), 0x7fff672e96e0) = -1 EINVAL (Invalid argument)
ioctl(12, FIONBIO, [1]) = 0
ioctl(4, TIOCSPTLCK, [0]) = 0
ioctl(4, TIOCPKT, [1]) = 0
ioctl(8, FIOASYNC, [1]) = -1 ENOTTY (Inappropriate ioctl for device)
kcmp(20543, 20543, KCMP_EPOLL_TFD, 8, {efd=7, tfd=8, toff=0}) = -1 ENOENT (No such file or directory)
kcmp(20543, 20543, KCMP_VM) = 0
kcmp(20543, 20543, KCMP_FILE, 1, 2) = 2
kill(14265, SIGTERM) = 0
kill(20545, SIGKILL) = 0
listen(25, 5) = 0
lseek(16, 5, SEEK_HOLE) = 6
lseek(19, 0, SEEK_SET) = 0
memfd_create("ltp_memfd", 0) = 4
memfd_create("x", MFD_CLOEXEC|MFD_ALLOW_SEALING) = 16
mkdir("d", 0700) = 0
mknod("d/n", S_IFIFO|0644) = 0
mknodat(AT_FDCWD, "d/c", S_IFCHR|0600, makedev(0x1, 0x3)) = 0
mknodat(AT_FDCWD, "d/n", S_IFIFO|0644) = 0
mq_open("q", O_RDONLY|O_CREAT, 0600, NULL) = 21
mq_timedsend(4, "high", 4, 7, {tv_sec=1, tv_nsec=0}) = 0
mq_timedreceive(4, "high", 8, [7], NULL) = 4
mq_getsetattr(4, {mq_flags=O_NONBLOCK, mq_maxmsg=0, mq_msgsize=0, mq_curmsgs=0}, {mq_flags=0, mq_maxmsg=2, mq_msgsize=8, mq_curmsgs=1}) = 0
mq_open("q", O_RDONLY) = 22
nanosleep({tv_sec=0, tv_nsec=5000}, NULL) = 0
open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY) = 3
open("/proc/sys/vm/overcommit_memory", O_RDONLY|O_CLOEXEC) = 3
openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3
openat(AT_FDCWD, "d/f", O_RDWR|O_CREAT, 0644) = 20
pause() = -1 EINTR (Interrupted system call)
pidfd_open(20544, 0) = 19
pidfd_open(6984, PIDFD_NONBLOCK) = 3
pidfd_send_signal(19, SIGCONT, NULL, 0) = 0
pipe([3, 4]) = 0
pipe2([9, 11], O_NONBLOCK|O_DIRECT) = 0
pipe2([12, 13], 0) = 0
poll(NULL, 0, 1) = 0 (Timeout)
poll([{fd=-1}], 1, 0) = 0 (Timeout)
ppoll([], 0, {tv_sec=0, tv_nsec=1000}, NULL, 8) = 0 (Timeout)
prctl(PR_GET_SECUREBITS) = 0
prctl(PR_SET_TIMERSLACK, 50000) = 0
prctl(PR_SET_NAME, "bio_lazy_free") = 0
pread64(3, "\332\332\376\312\0\0\1\0\0\0\0\0\1s\0\0\1s\0\0mF\t\0\373\331\t\0", 28, 0) = 28
preadv(16, [{iov_base="bcd", iov_len=3}, {iov_base="ef", iov_len=2}], 2, 1) = 5
preadv2(16, [{iov_base="", iov_len=3}], 1, -1, 0) = 0
preadv2(16, [{iov_base=0x7fff672e97d0, iov_len=3}, {iov_base=0x7fff672e97d3, iov_len=2}], 2, 1, RWF_NOWAIT) = -1 EOPNOTSUPP (Operation not supported)
prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0
prlimit64(0, RLIMIT_NOFILE, NULL, {rlim_cur=20000, rlim_max=20000}) = 0
pselect6(9, [], NULL, NULL, {tv_sec=0, tv_nsec=1000}, {sigmask=[USR1 RT_5], sigsetsize=8}) = 0 (Timeout)
pwrite64(5, "25958\n", 6, 0) = 6
pwritev(16, [{iov_base="bcd", iov_len=3}], 1, 4) = 3
pwritev2(16, [{iov_base="bcd", iov_len=3}], 1, 0, 0) = 3
read(5, "\1\0\0\0\0\0\0\0", 8) = 8
read(5, 0x7ffd192edfd0, 8) = -1 EAGAIN (Resource temporarily unavailable)
readv(9, [{iov_base="abc", iov_len=3}, {iov_base="d", iov_len=5}], 2) = 4
recvfrom(23, "hi", 10, MSG_DONTWAIT, {sa_family=AF_UNIX, sun_path=@"a79a9"}, [110 => 8]) = 2
recvfrom(5, "@\305\1 \0\1\0\0\0\0\0\1\1a\4test\0\0\1\0\1\0\0)\4\320\0\0\0\0\0\f\0\n\0\10\273\275\326d-660", 65552, MSG_DONTWAIT, {sa_family=AF_INET, sin_port=htons(39540), sin_addr=inet_addr("127.0.0.1")}, [128 => 16]) = 47
recvmmsg(23, 0x7fff672e9170, 2, MSG_DONTWAIT, {tv_sec=0, tv_nsec=999997015}) = -1 EAGAIN (Resource temporarily unavailable)
recvmsg(4, {msg_name={sa_family=AF_UNIX, sun_path="/tmp/s"}, msg_namelen=110 => 9, msg_iov=[{iov_base="a", iov_len=4}], msg_iovlen=1, msg_controllen=64 => 0, msg_flags=MSG_TRUNC}, 0) = 1
recvmsg(4, {msg_namelen=0}, MSG_DONTWAIT) = -1 EAGAIN (Resource temporarily unavailable)
recvmsg(4, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hel", iov_len=3}, {iov_base="lo", iov_len=2}], msg_iovlen=2, msg_control=[{cmsg_len=28, cmsg_level=SOL_SOCKET, cmsg_type=SCM_CREDENTIALS, cmsg_data={pid=20543, uid=0, gid=0}}, {cmsg_len=24, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[5, 6]}], msg_controllen=56, msg_flags=MSG_CMSG_CLOEXEC}, MSG_CMSG_CLOEXEC) = 5
rt_sigaction(SIGALRM, {sa_handler=0x5593b3752599, sa_mask=[], sa_flags=SA_RESTORER|SA_RESTART|SA_NODEFER, sa_restorer=0x7fe6d03fc050}, NULL, 8) = 0
rt_sigaction(SIGUSR2, {sa_handler=0x5593b3752599, sa_mask=[], sa_flags=SA_RESTORER|SA_RESTART|SA_NODEFER, sa_restorer=0x7fe6d03fc050}, NULL, 8) = 0
rt_sigpending([], 8) = 0
rt_sigprocmask(SIG_SETMASK, [], NULL, 8) = 0
rt_sigprocmask(SIG_BLOCK, ~[TERM RTMIN RT_1], NULL, 8) = 0
rt_sigprocmask(SIG_SETMASK, [USR1], NULL, 8) = 0
rt_sigprocmask(SIG_UNBLOCK, [RTMIN RT_1], NULL, 8) = 0
rt_sigqueueinfo(9348, SIGUSR1, {si_signo=SIGUSR1, si_code=SI_QUEUE, si_pid=9348, si_uid=5, si_int=7, si_ptr=0x7}) = 0
rt_sigsuspend([], 8) = -1 EINTR (Interrupted system call)
rt_sigtimedwait([SEGV], {si_signo=SIGSEGV, si_code=SI_KERNEL, si_addr=0x10}, NULL, 8) = 11 (SIGSEGV)
rt_sigtimedwait([USR1 USR2 CHLD], {si_signo=SIGUSR2, si_code=SI_TKILL, si_pid=9348, si_uid=0}, NULL, 8) = 12 (SIGUSR2)
rt_sigtimedwait([USR1 USR2 CHLD], {si_signo=SIGUSR1, si_code=SI_QUEUE, si_pid=9348, si_uid=5, si_int=7, si_ptr=0x7}, {tv_sec=0, tv_nsec=1000}, 8) = 10 (SIGUSR1)
rt_sigtimedwait([USR1 USR2 CHLD], {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=9349, si_uid=0, si_status=3, si_utime=0, si_stime=0}, {tv_sec=0, tv_nsec=1000}, 8) = 17 (SIGCHLD)
rt_sigtimedwait([USR1 USR2 CHLD], 0x7fff652902c0, {tv_sec=0, tv_nsec=1000}, 8) = -1 EAGAIN (Resource temporarily unavailable)
rt_sigtimedwait([USR1 USR2 CHLD], NULL, {tv_sec=0, tv_nsec=1000}, 8) = -1 EAGAIN (Resource temporarily unavailable)
rt_sigtimedwait([USR1 USR2 CHLD], {si_signo=SIGUSR1, si_code=SI_TIMER, si_timerid=0, si_overrun=0, si_int=3, si_ptr=0x3}, NULL, 8) = 10 (SIGUSR1)
rt_sigtimedwait([USR1 USR2 CHLD], {si_signo=SIGUSR1, si_code=SI_USER, si_pid=9348, si_uid=0}, NULL, 8) = 10 (SIGUSR1)
sched_yield() = 0
select(9, [8], NULL, NULL, {tv_sec=0, tv_usec=2}) = 0 (Timeout)
sendfile(13, 16, [18446744073709551615], 2) = -1 EINVAL (Invalid argument)
sendfile(13, 16, [1] => [3], 2) = 2
sendmmsg(24, [{msg_hdr={msg_name={sa_family=AF_UNIX, sun_path=@"ab"}, msg_namelen=5, msg_iov=[{iov_base="hid", iov_len=3}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, msg_len=3}, {msg_hdr={msg_name={sa_family=AF_UNIX, sun_path=@"ab"}, msg_namelen=5, msg_iov=[{iov_base="hid", iov_len=3}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, msg_len=3}], 2, 0) = 2
sendmmsg(-1, [{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, msg_controllen=0, msg_flags=0}}], 1, 0) = -1 EBADF (Bad file descriptor)
sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hel", iov_len=3}, {iov_base="lo", iov_len=2}], msg_iovlen=2, msg_control=[{cmsg_len=24, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[0, 1]}], msg_controllen=24, msg_flags=0}, 0) = 5
sendto(24, "hi", 2, 0, {sa_family=AF_UNIX, sun_path=@"ab"}, 5) = 2
sendto(5, "@\305\205\200\0\1\0\1\0\0\0\1\1a\4test\0\0\1\0\1\300\f\0\1\0\1\0\0\16\20\0\4\177\0\0\t\0\0)\4\320\0\0\0\0\0\0", 51, 0, {sa_family=AF_INET, sin_port=htons(39540), sin_addr=inet_addr("127.0.0.1")}, 16) = 51
setitimer(ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=0, tv_usec=0}}, NULL) = 0
setitimer(ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=1, tv_usec=0}}, NULL) = 0
setitimer(ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=1, tv_usec=5}}, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=0, tv_usec=0}}) = 0
setresuid(-1, 0, 4242) = 0
setsockopt(21, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
setsockopt(4, SOL_SOCKET, SO_PASSCRED, [1], 4) = 0
setsockopt(25, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, 8) = 0
setsockopt(20, SOL_TCP, TCP_NODELAY, [1], 4) = 0
setuid(0) = 0
shutdown(3, 0x9) = -1 EINVAL (Invalid argument)
shutdown(3, SHUT_WR) = 0
signalfd(-1, [INT TERM], 8) = 6
signalfd4(-1, [USR1 RT_5], 8, SFD_CLOEXEC) = 18
signalfd4(3, [USR2], 8, 0) = 3
socket(AF_INET, 0x4b, IPPROTO_IP) = -1 EINVAL (Invalid argument)
socket(AF_INET6, SOCK_STREAM, IPPROTO_IP) = 25
socket(AF_INET, SOCK_STREAM|0x40, IPPROTO_IP) = -1 EINVAL (Invalid argument)
socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, IPPROTO_IP) = 23
socket(AF_UNIX, SOCK_DGRAM, 0) = 23
socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0
splice(3, NULL, 6, NULL, 0, 0) = 0
splice(16, [0], 13, NULL, 3, SPLICE_F_MOVE|SPLICE_F_NONBLOCK) = 3
tee(12, 15, 2, SPLICE_F_NONBLOCK) = 2
tgkill(18571, 18571, SIGUSR1) = 0
tgkill(22367, 22367, SIGPIPE) = 0
time(NULL) = 1795456674
timer_create(CLOCK_REALTIME, {sigev_value={sival_int=3, sival_ptr=0x3}, sigev_signo=SIGUSR1, sigev_notify=SIGEV_THREAD_ID, sigev_notify_thread_id=9348}, [4]) = 0
timer_create(CLOCK_REALTIME, {sigev_value={sival_int=3, sival_ptr=0x3}, sigev_signo=10, sigev_notify=SIGEV_NONE}, [2]) = 0
timer_create(CLOCK_MONOTONIC, {sigev_value={sival_int=3, sival_ptr=0x3}, sigev_signo=SIGUSR1, sigev_notify=SIGEV_SIGNAL}, [0]) = 0
timer_create(CLOCK_REALTIME, {sigev_value={sival_int=3, sival_ptr=0x3}, sigev_signo=10, sigev_notify=0x4d}, 0x7fff6529026c) = -1 EINVAL (Invalid argument)
timer_create(CLOCK_REALTIME, NULL, [1]) = 0
timer_delete(99) = -1 EINVAL (Invalid argument)
timer_delete(0) = 0
timer_getoverrun(0) = 0
timer_gettime(0, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=0, tv_nsec=0}}) = 0
timer_settime(0, 0, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=0, tv_nsec=100000}}, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=0, tv_nsec=0}}) = 0
timer_settime(0, TIMER_ABSTIME, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=0, tv_nsec=100000}}, NULL) = 0
timerfd_create(CLOCK_MONOTONIC, 0) = 17
timerfd_create(CLOCK_REALTIME, 0) = 4
timerfd_gettime(17, {it_interval={tv_sec=0, tv_nsec=5}, it_value={tv_sec=0, tv_nsec=999901114}}) = 0
timerfd_settime(3, 0, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=0, tv_nsec=100000000}}, NULL) = 0
timerfd_settime(17, 0, {it_interval={tv_sec=0, tv_nsec=5}, it_value={tv_sec=1, tv_nsec=0}}, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=0, tv_nsec=0}}) = 0
tkill(9348, SIGUSR2) = 0
unlink("d/n") = 0
unlink("d/c") = 0
unlinkat(3, "mntpoint", AT_REMOVEDIR) = 0
unlinkat(3, "tmpfile1", 0) = 0
vmsplice(13, [{iov_base="hel", iov_len=3}, {iov_base="lo", iov_len=2}], 2, SPLICE_F_GIFT) = 5
wait4(20544, [{WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP}], WSTOPPED, NULL) = 20544
wait4(20544, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], WCONTINUED, NULL) = 20544
wait4(-1, [{WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV && WCOREDUMP(s)}], 0, NULL) = 20545
wait4(20545, [{WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL}], 0, NULL) = 20545
wait4(20544, 0x7fff672e9364, 0, NULL) = -1 ECHILD (No child processes)
waitid(P_ALL, 0, {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=9349, si_uid=0, si_status=3, si_utime=0, si_stime=0}, WNOHANG|WEXITED, NULL) = 0
waitid(P_PID, 77, {si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=77, si_uid=0, si_status=SIGKILL, si_utime=0, si_stime=0}, WEXITED, NULL) = 0
waitid(P_PID, 9349, {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=9349, si_uid=0, si_status=3, si_utime=0, si_stime=0}, WEXITED|WNOWAIT, NULL) = 0
write(16, "abcdef", 6) = 6
write(13, "abc", 3) = 3
writev(7, [{iov_base="\25\0\0\0\0\0\0\0\0\0\0\0", iov_len=12}], 1) = 12
`
  .trim()
  .split("\n");
