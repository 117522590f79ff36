/**
 * The symbol tables of the calls' arguments.
 *
 * Counterpart: the headers under `include/uapi`; order within a table: strace's `xlat` tables. Numbers that the kernel
 * model needs too come from `src/kernel/uapi`.
 */
import { EPIOCGPARAMS, EPIOCSPARAMS, EPOLL_CLOEXEC, Epoll, EpollCtl } from "../../kernel/uapi/epoll.ts";
import { Errno } from "../../kernel/uapi/errno.ts";
import {
  AT_FDCWD,
  CloseRange,
  EventfdFlags,
  Fcntl,
  FD_CLOEXEC,
  Mode,
  Open,
  Seek,
  Splice,
} from "../../kernel/uapi/fcntl.ts";
import { Poll } from "../../kernel/uapi/poll.ts";
import { Af, Ioctl, Msg, Shut, SOL_SOCKET, SOL_TCP, So, Sock } from "../../kernel/uapi/socket.ts";
import { defineSymbols, SymbolTable } from "./symbol-table.ts";

/** `EPOLLIN` and its like. */
export const epollEvents: SymbolTable = new SymbolTable({
  EPOLLIN: Epoll.IN,
  EPOLLPRI: Epoll.PRI,
  EPOLLOUT: Epoll.OUT,
  EPOLLERR: Epoll.ERR,
  EPOLLHUP: Epoll.HUP,
  EPOLLNVAL: Epoll.NVAL,
  EPOLLRDNORM: Epoll.RDNORM,
  EPOLLRDBAND: Epoll.RDBAND,
  EPOLLWRNORM: Epoll.WRNORM,
  EPOLLWRBAND: Epoll.WRBAND,
  EPOLLMSG: Epoll.MSG,
  EPOLLRDHUP: Epoll.RDHUP,
  EPOLLEXCLUSIVE: Epoll.EXCLUSIVE,
  EPOLLWAKEUP: Epoll.WAKEUP,
  EPOLLONESHOT: Epoll.ONESHOT,
  EPOLLET: Epoll.ET,
});

/** Operations of `epoll_ctl`. */
export const epollCtls: SymbolTable = new SymbolTable({
  EPOLL_CTL_ADD: EpollCtl.ADD,
  EPOLL_CTL_DEL: EpollCtl.DEL,
  EPOLL_CTL_MOD: EpollCtl.MOD,
});

/** Flags of `epoll_create1`. */
export const epollCreateFlags: SymbolTable = new SymbolTable({ EPOLL_CLOEXEC });

/** `POLLIN` and its like. */
export const pollFlags: SymbolTable = new SymbolTable({
  POLLIN: Poll.IN,
  POLLPRI: Poll.PRI,
  POLLOUT: Poll.OUT,
  POLLERR: Poll.ERR,
  POLLHUP: Poll.HUP,
  POLLNVAL: Poll.NVAL,
  POLLRDNORM: Poll.RDNORM,
  POLLRDBAND: Poll.RDBAND,
  POLLWRNORM: Poll.WRNORM,
  POLLWRBAND: Poll.WRBAND,
  POLLMSG: Poll.MSG,
  POLLREMOVE: 0x1000,
  POLLRDHUP: Poll.RDHUP,
  POLL_BUSY_LOOP: 0x8000,
});

/** The access mode in the flags of `open`. */
export const openAccessModes: SymbolTable = new SymbolTable({
  O_RDONLY: Open.RDONLY,
  O_WRONLY: Open.WRONLY,
  O_RDWR: Open.RDWR,
  O_ACCMODE: Open.ACCMODE,
});

/** The flags of `open` beside the access mode. */
export const openFlags: SymbolTable = new SymbolTable({
  O_CREAT: Open.CREAT,
  O_EXCL: Open.EXCL,
  O_NOCTTY: Open.NOCTTY,
  O_TRUNC: Open.TRUNC,
  O_APPEND: Open.APPEND,
  O_NONBLOCK: Open.NONBLOCK,
  O_SYNC: 0o4010000,
  __O_SYNC: 0o4000000,
  O_DSYNC: Open.DSYNC,
  O_DIRECT: Open.DIRECT,
  O_LARGEFILE: Open.LARGEFILE,
  O_NOFOLLOW: Open.NOFOLLOW,
  O_NOATIME: Open.NOATIME,
  O_CLOEXEC: Open.CLOEXEC,
  O_PATH: Open.PATH,
  O_TMPFILE: 0o20200000,
  __O_TMPFILE: 0o20000000,
  O_DIRECTORY: Open.DIRECTORY,
  FASYNC: Open.ASYNC,
  O_ASYNC: Open.ASYNC,
  O_NDELAY: Open.NONBLOCK,
});

/** Flags of `pipe2` and `dup3`: those of `open`, with a name of its own for the notification pipe. */
export const pipeFlags: SymbolTable = new SymbolTable({
  O_NOTIFICATION_PIPE: Open.NOTIFICATION_PIPE,
  O_NONBLOCK: Open.NONBLOCK,
  O_DIRECT: Open.DIRECT,
  O_CLOEXEC: Open.CLOEXEC,
});

/** Flags of the `…at` calls. */
export const atFlags: SymbolTable = new SymbolTable({
  AT_SYMLINK_NOFOLLOW: 0x100,
  AT_REMOVEDIR: 0x200,
  AT_SYMLINK_FOLLOW: 0x400,
  AT_NO_AUTOMOUNT: 0x800,
  AT_EMPTY_PATH: 0x1000,
});

/** Commands of `fcntl`. */
export const fcntlCommands: SymbolTable = new SymbolTable({
  F_DUPFD: Fcntl.DUPFD,
  F_GETFD: Fcntl.GETFD,
  F_SETFD: Fcntl.SETFD,
  F_GETFL: Fcntl.GETFL,
  F_SETFL: Fcntl.SETFL,
  F_GETLK: Fcntl.GETLK,
  F_SETLK: Fcntl.SETLK,
  F_SETLKW: Fcntl.SETLKW,
  F_SETOWN: Fcntl.SETOWN,
  F_GETOWN: Fcntl.GETOWN,
  F_SETSIG: Fcntl.SETSIG,
  F_GETSIG: Fcntl.GETSIG,
  F_SETOWN_EX: 15,
  F_GETOWN_EX: 16,
  F_GETOWNER_UIDS: 17,
  F_OFD_GETLK: 36,
  F_OFD_SETLK: 37,
  F_OFD_SETLKW: 38,
  F_SETLEASE: 1024,
  F_GETLEASE: 1025,
  F_NOTIFY: 1026,
  F_DUPFD_QUERY: Fcntl.DUPFD_QUERY,
  F_CREATED_QUERY: 1028,
  F_CANCELLK: 1029,
  F_DUPFD_CLOEXEC: Fcntl.DUPFD_CLOEXEC,
  F_SETPIPE_SZ: Fcntl.SETPIPE_SZ,
  F_GETPIPE_SZ: Fcntl.GETPIPE_SZ,
  F_ADD_SEALS: Fcntl.ADD_SEALS,
  F_GET_SEALS: Fcntl.GET_SEALS,
});

/** Descriptor flags. */
export const fdFlags: SymbolTable = new SymbolTable({ FD_CLOEXEC });

/** Seals of a memfd. */
export const sealFlags: SymbolTable = new SymbolTable({
  F_SEAL_SEAL: 1,
  F_SEAL_SHRINK: 2,
  F_SEAL_GROW: 4,
  F_SEAL_WRITE: 8,
  F_SEAL_FUTURE_WRITE: 16,
});

/** Origins of `lseek`. */
export const whence: SymbolTable = new SymbolTable({
  SEEK_SET: Seek.SET,
  SEEK_CUR: Seek.CUR,
  SEEK_END: Seek.END,
  SEEK_DATA: Seek.DATA,
  SEEK_HOLE: Seek.HOLE,
});

/** File types in `st_mode` and `mknod`. */
export const fileTypes: SymbolTable = new SymbolTable({
  S_IFIFO: Mode.IFIFO,
  S_IFCHR: Mode.IFCHR,
  S_IFDIR: Mode.IFDIR,
  S_IFBLK: Mode.IFBLK,
  S_IFREG: Mode.IFREG,
  S_IFLNK: Mode.IFLNK,
  S_IFSOCK: Mode.IFSOCK,
});

/** Set-id and sticky bits of a mode. */
export const modeBits: SymbolTable = new SymbolTable({ S_ISUID: 0o4000, S_ISGID: 0o2000, S_ISVTX: 0o1000 });

/** Flags of `splice`, `tee`, `vmsplice`. */
export const spliceFlags: SymbolTable = new SymbolTable({
  SPLICE_F_MOVE: Splice.MOVE,
  SPLICE_F_NONBLOCK: Splice.NONBLOCK,
  SPLICE_F_MORE: Splice.MORE,
  SPLICE_F_GIFT: Splice.GIFT,
});

/** Flags of `close_range`. */
export const closeRangeFlags: SymbolTable = new SymbolTable({
  CLOSE_RANGE_UNSHARE: CloseRange.UNSHARE,
  CLOSE_RANGE_CLOEXEC: CloseRange.CLOEXEC,
});

/** Flags of `preadv2`, `pwritev2`. */
export const rwfFlags: SymbolTable = new SymbolTable({
  RWF_HIPRI: 1,
  RWF_DSYNC: 2,
  RWF_SYNC: 4,
  RWF_NOWAIT: 8,
  RWF_APPEND: 16,
  RWF_NOAPPEND: 32,
  RWF_ATOMIC: 64,
});

/** Flags of `eventfd2`. */
export const eventfdFlags: SymbolTable = new SymbolTable({
  EFD_SEMAPHORE: EventfdFlags.SEMAPHORE,
  EFD_CLOEXEC: EventfdFlags.CLOEXEC,
  EFD_NONBLOCK: EventfdFlags.NONBLOCK,
});

/** Flags of `memfd_create`. */
export const memfdFlags: SymbolTable = new SymbolTable({
  MFD_CLOEXEC: 1,
  MFD_ALLOW_SEALING: 2,
  MFD_HUGETLB: 4,
  MFD_NOEXEC_SEAL: 8,
  MFD_EXEC: 16,
});

/** Modes of `fallocate`. */
export const fallocateModes: SymbolTable = new SymbolTable({
  FALLOC_FL_KEEP_SIZE: 1,
  FALLOC_FL_PUNCH_HOLE: 2,
  FALLOC_FL_NO_HIDE_STALE: 4,
  FALLOC_FL_COLLAPSE_RANGE: 8,
  FALLOC_FL_ZERO_RANGE: 16,
  FALLOC_FL_INSERT_RANGE: 32,
  FALLOC_FL_UNSHARE_RANGE: 64,
});

/** Address families. */
export const addressFamilies: SymbolTable = new SymbolTable({
  AF_UNSPEC: Af.UNSPEC,
  AF_UNIX: Af.UNIX,
  AF_INET: Af.INET,
  AF_INET6: Af.INET6,
  AF_NETLINK: Af.NETLINK,
  AF_LOCAL: Af.UNIX,
  AF_PACKET: 17,
  AF_RDS: 21,
  AF_CAN: 29,
  AF_BLUETOOTH: 31,
  AF_ALG: 38,
  AF_VSOCK: 40,
  AF_QIPCRTR: 42,
});

/** Socket types without flags. */
export const socketTypes: SymbolTable = new SymbolTable({
  SOCK_STREAM: Sock.STREAM,
  SOCK_DGRAM: Sock.DGRAM,
  SOCK_RAW: Sock.RAW,
  SOCK_RDM: 4,
  SOCK_SEQPACKET: Sock.SEQPACKET,
  SOCK_DCCP: 6,
  SOCK_PACKET: 10,
});

/** Flags in a socket type, and of `accept4`. */
export const socketFlags: SymbolTable = new SymbolTable({
  SOCK_CLOEXEC: Sock.CLOEXEC,
  SOCK_NONBLOCK: Sock.NONBLOCK,
});

/** Protocols of AF_INET and AF_INET6. */
export const inetProtocols: SymbolTable = new SymbolTable({
  IPPROTO_IP: 0,
  IPPROTO_ICMP: 1,
  IPPROTO_TCP: 6,
  IPPROTO_UDP: 17,
  IPPROTO_IPV6: 41,
  IPPROTO_ICMPV6: 58,
  IPPROTO_SCTP: 132,
  IPPROTO_UDPLITE: 136,
  IPPROTO_RAW: 255,
  IPPROTO_MPTCP: 262,
});

/** Protocols of AF_NETLINK. */
export const netlinkProtocols: SymbolTable = new SymbolTable({
  NETLINK_ROUTE: 0,
  NETLINK_USERSOCK: 2,
  NETLINK_SOCK_DIAG: 4,
  NETLINK_KOBJECT_UEVENT: 15,
  NETLINK_GENERIC: 16,
});

/** Directions of `shutdown`. */
export const shutdownModes: SymbolTable = new SymbolTable({ SHUT_RD: Shut.RD, SHUT_WR: Shut.WR, SHUT_RDWR: Shut.RDWR });

/** Flags of the send and receive calls. */
export const msgFlags: SymbolTable = new SymbolTable({
  MSG_OOB: Msg.OOB,
  MSG_PEEK: Msg.PEEK,
  MSG_DONTROUTE: Msg.DONTROUTE,
  MSG_CTRUNC: Msg.CTRUNC,
  MSG_PROBE: 0x10,
  MSG_TRUNC: Msg.TRUNC,
  MSG_DONTWAIT: Msg.DONTWAIT,
  MSG_EOR: Msg.EOR,
  MSG_WAITALL: Msg.WAITALL,
  MSG_FIN: 0x200,
  MSG_SYN: 0x400,
  MSG_CONFIRM: Msg.CONFIRM,
  MSG_RST: 0x1000,
  MSG_ERRQUEUE: Msg.ERRQUEUE,
  MSG_NOSIGNAL: Msg.NOSIGNAL,
  MSG_MORE: Msg.MORE,
  MSG_WAITFORONE: Msg.WAITFORONE,
  MSG_BATCH: 0x40000,
  MSG_ZEROCOPY: Msg.ZEROCOPY,
  MSG_FASTOPEN: 0x20000000,
  MSG_CMSG_CLOEXEC: Msg.CMSG_CLOEXEC,
});

/** Levels of socket options and control messages. */
export const socketLevels: SymbolTable = new SymbolTable({
  SOL_IP: 0,
  SOL_SOCKET,
  SOL_TCP,
  SOL_UDP: 17,
  SOL_IPV6: 41,
  SOL_ICMPV6: 58,
  SOL_SCTP: 132,
  SOL_RAW: 255,
  SOL_PACKET: 263,
  SOL_NETLINK: 270,
  SOL_VSOCK: 287,
});

/** Options of SOL_SOCKET. */
export const socketOptions: SymbolTable = new SymbolTable({
  SO_DEBUG: 1,
  SO_REUSEADDR: So.REUSEADDR,
  SO_TYPE: So.TYPE,
  SO_ERROR: So.ERROR,
  SO_DONTROUTE: 5,
  SO_BROADCAST: So.BROADCAST,
  SO_SNDBUF: So.SNDBUF,
  SO_RCVBUF: So.RCVBUF,
  SO_KEEPALIVE: So.KEEPALIVE,
  SO_OOBINLINE: So.OOBINLINE,
  SO_NO_CHECK: 11,
  SO_PRIORITY: 12,
  SO_LINGER: So.LINGER,
  SO_BSDCOMPAT: 14,
  SO_REUSEPORT: So.REUSEPORT,
  SO_PASSCRED: So.PASSCRED,
  SO_PEERCRED: So.PEERCRED,
  SO_RCVLOWAT: So.RCVLOWAT,
  SO_SNDLOWAT: So.SNDLOWAT,
  SO_RCVTIMEO_OLD: So.RCVTIMEO,
  SO_SNDTIMEO_OLD: So.SNDTIMEO,
  SO_RCVTIMEO: So.RCVTIMEO,
  SO_SNDTIMEO: So.SNDTIMEO,
  SO_BINDTODEVICE: 25,
  SO_ATTACH_FILTER: 26,
  SO_DETACH_FILTER: 27,
  SO_PEERNAME: 28,
  SO_TIMESTAMP_OLD: 29,
  SO_TIMESTAMP: 29,
  SO_ACCEPTCONN: So.ACCEPTCONN,
  SO_PEERSEC: 31,
  SO_SNDBUFFORCE: So.SNDBUFFORCE,
  SO_RCVBUFFORCE: So.RCVBUFFORCE,
  SO_PASSSEC: 34,
  SO_MARK: 36,
  SO_PROTOCOL: So.PROTOCOL,
  SO_DOMAIN: So.DOMAIN,
  SO_RXQ_OVFL: 40,
  SO_PEEK_OFF: So.PEEK_OFF,
  SO_BUSY_POLL: 46,
  SO_MAX_PACING_RATE: 47,
  SO_INCOMING_CPU: 49,
  SO_INCOMING_NAPI_ID: 56,
  SO_COOKIE: 57,
  SO_PEERGROUPS: 59,
  SO_ZEROCOPY: 60,
  SO_PREFER_BUSY_POLL: 69,
  SO_BUSY_POLL_BUDGET: 70,
  SO_PASSPIDFD: 76,
  SO_PEERPIDFD: 77,
});

/** Options of SOL_TCP. */
export const tcpOptions: SymbolTable = new SymbolTable({
  TCP_NODELAY: 1,
  TCP_MAXSEG: 2,
  TCP_CORK: 3,
  TCP_KEEPIDLE: 4,
  TCP_KEEPINTVL: 5,
  TCP_KEEPCNT: 6,
  TCP_SYNCNT: 7,
  TCP_LINGER2: 8,
  TCP_DEFER_ACCEPT: 9,
  TCP_WINDOW_CLAMP: 10,
  TCP_INFO: 11,
  TCP_QUICKACK: 12,
  TCP_CONGESTION: 13,
  TCP_USER_TIMEOUT: 18,
  TCP_REPAIR: 19,
  TCP_FASTOPEN: 23,
  TCP_TIMESTAMP: 24,
  TCP_NOTSENT_LOWAT: 25,
  TCP_FASTOPEN_CONNECT: 30,
  TCP_ULP: 31,
  TCP_INQ: 36,
});

/** Options of SOL_IP. */
export const ipOptions: SymbolTable = new SymbolTable({
  IP_TOS: 1,
  IP_TTL: 2,
  IP_PKTINFO: 8,
  IP_MTU_DISCOVER: 10,
  IP_RECVERR: 11,
  IP_FREEBIND: 15,
  IP_TRANSPARENT: 19,
  IP_BIND_ADDRESS_NO_PORT: 24,
  IP_MULTICAST_TTL: 33,
  IP_MULTICAST_LOOP: 34,
});

/** Options of SOL_IPV6. */
export const ipv6Options: SymbolTable = new SymbolTable({
  IPV6_ADDRFORM: 1,
  IPV6_UNICAST_HOPS: 16,
  IPV6_MTU_DISCOVER: 23,
  IPV6_RECVERR: 25,
  IPV6_V6ONLY: 26,
  IPV6_RECVPKTINFO: 49,
});

/** Options of SOL_UDP. */
export const udpOptions: SymbolTable = new SymbolTable({
  UDP_CORK: 1,
  UDP_ENCAP: 100,
  UDP_NO_CHECK6_TX: 101,
  UDP_NO_CHECK6_RX: 102,
  UDP_SEGMENT: 103,
  UDP_GRO: 104,
});

/** Control message types of SOL_SOCKET. */
export const scmTypes: SymbolTable = new SymbolTable({
  SCM_RIGHTS: 1,
  SCM_CREDENTIALS: 2,
  SCM_SECURITY: 3,
  SCM_PIDFD: 4,
});

/** Requests of `ioctl`. */
export const ioctlRequests: SymbolTable = new SymbolTable({
  SIOCGIFNAME: 0x8910,
  SIOCGIFCONF: 0x8912,
  SIOCGIFFLAGS: 0x8913,
  SIOCSIFFLAGS: 0x8914,
  SIOCGIFADDR: 0x8915,
  SIOCSIFADDR: 0x8916,
  SIOCGIFDSTADDR: 0x8917,
  SIOCGIFBRDADDR: 0x8919,
  SIOCGIFNETMASK: 0x891b,
  SIOCSIFNETMASK: 0x891c,
  SIOCGIFMETRIC: 0x891d,
  SIOCGIFMTU: 0x8921,
  SIOCSIFMTU: 0x8922,
  SIOCSIFHWADDR: 0x8924,
  SIOCGIFHWADDR: 0x8927,
  SIOCGIFINDEX: 0x8933,
  SIOCGIFTXQLEN: 0x8942,
  SIOCSIFTXQLEN: 0x8943,
  SIOCETHTOOL: 0x8946,
  TCGETS: Ioctl.TCGETS,
  TCSETS: Ioctl.TCSETS,
  TIOCOUTQ: Ioctl.TIOCOUTQ,
  TCSETSW: 0x5403,
  TCSETSF: 0x5404,
  TCSBRK: 0x5409,
  TCFLSH: 0x540b,
  TIOCSCTTY: 0x540e,
  TIOCGPGRP: 0x540f,
  TIOCSPGRP: 0x5410,
  TIOCGWINSZ: 0x5413,
  TIOCSWINSZ: 0x5414,
  TIOCNOTTY: 0x5422,
  TIOCGSID: 0x5429,
  TIOCPKT: Ioctl.TIOCPKT,
  TIOCGPTN: Ioctl.TIOCGPTN,
  TIOCSPTLCK: Ioctl.TIOCSPTLCK,
  FIONREAD: Ioctl.FIONREAD,
  TIOCINQ: Ioctl.FIONREAD,
  FIONBIO: Ioctl.FIONBIO,
  FIONCLEX: Ioctl.FIONCLEX,
  FIOCLEX: Ioctl.FIOCLEX,
  FIOASYNC: Ioctl.FIOASYNC,
  SIOCATMARK: Ioctl.SIOCATMARK,
  SIOCOUTQ: Ioctl.SIOCOUTQ,
  SIOCINQ: Ioctl.FIONREAD,
  SIOCOUTQNSD: Ioctl.SIOCOUTQNSD,
  TFD_IOC_SET_TICKS: 0x40085400,
  EPIOCSPARAMS,
  EPIOCGPARAMS,
});

/** The direction in an `ioctl` request without a name: `_IOC(_IOC_READ, 0x8a, 0x2, 0x8)`. */
export const ioctlDirections: SymbolTable = new SymbolTable({ _IOC_NONE: 0, _IOC_WRITE: 1, _IOC_READ: 2 });

/** Kinds of owners of `F_SETOWN_EX`. */
export const ownerTypes: SymbolTable = new SymbolTable({ F_OWNER_TID: 0, F_OWNER_PID: 1, F_OWNER_PGRP: 2 });

/** Clocks. */
export const clocks: SymbolTable = new SymbolTable({
  CLOCK_REALTIME: 0,
  CLOCK_MONOTONIC: 1,
  CLOCK_PROCESS_CPUTIME_ID: 2,
  CLOCK_THREAD_CPUTIME_ID: 3,
  CLOCK_MONOTONIC_RAW: 4,
  CLOCK_REALTIME_COARSE: 5,
  CLOCK_MONOTONIC_COARSE: 6,
  CLOCK_BOOTTIME: 7,
  CLOCK_REALTIME_ALARM: 8,
  CLOCK_BOOTTIME_ALARM: 9,
  CLOCK_TAI: 11,
});

/** Flags of `clock_nanosleep`. */
export const timerFlags: SymbolTable = new SymbolTable({ TIMER_ABSTIME: 1 });

/** Flags of `timerfd_create` and `timerfd_settime`: strace knows one table for both. */
export const timerfdFlags: SymbolTable = new SymbolTable({
  TFD_TIMER_ABSTIME: 1,
  TFD_TIMER_CANCEL_ON_SET: 2,
  TFD_CLOEXEC: Open.CLOEXEC,
  TFD_NONBLOCK: Open.NONBLOCK,
});

/** Flags of `signalfd4`. */
export const signalfdFlags: SymbolTable = new SymbolTable({ SFD_CLOEXEC: Open.CLOEXEC, SFD_NONBLOCK: Open.NONBLOCK });

/** What `rt_sigprocmask` does. */
export const sigprocmaskHow: SymbolTable = new SymbolTable({ SIG_BLOCK: 0, SIG_UNBLOCK: 1, SIG_SETMASK: 2 });

/** Dispositions that are no address. */
export const sigHandlers: SymbolTable = new SymbolTable({ SIG_DFL: 0, SIG_IGN: 1 });

/** Flags of `rt_sigaction`. */
export const sigactionFlags: SymbolTable = new SymbolTable({
  SA_RESTORER: 0x4000000,
  SA_ONSTACK: 0x8000000,
  SA_RESTART: 0x10000000,
  SA_INTERRUPT: 0x20000000,
  SA_NODEFER: 0x40000000,
  SA_RESETHAND: 1 << 31,
  SA_SIGINFO: 4,
  SA_NOCLDSTOP: 1,
  SA_NOCLDWAIT: 2,
});

/** Where a signal came from. */
export const siCodes: SymbolTable = new SymbolTable({
  SI_USER: 0,
  SI_KERNEL: 0x80,
  SI_QUEUE: -1,
  SI_TIMER: -2,
  SI_MESGQ: -3,
  SI_ASYNCIO: -4,
  SI_SIGIO: -5,
  SI_TKILL: -6,
});

/** What happened to a child. */
export const cldCodes: SymbolTable = new SymbolTable({
  CLD_EXITED: 1,
  CLD_KILLED: 2,
  CLD_DUMPED: 3,
  CLD_TRAPPED: 4,
  CLD_STOPPED: 5,
  CLD_CONTINUED: 6,
});

/** Flags of `inotify_init1`. */
export const inotifyInitFlags: SymbolTable = new SymbolTable({ IN_NONBLOCK: Open.NONBLOCK, IN_CLOEXEC: Open.CLOEXEC });

/** Masks of `inotify_add_watch`. */
export const inotifyMasks: SymbolTable = new SymbolTable({
  IN_ACCESS: 0x1,
  IN_MODIFY: 0x2,
  IN_ATTRIB: 0x4,
  IN_CLOSE_WRITE: 0x8,
  IN_CLOSE_NOWRITE: 0x10,
  IN_OPEN: 0x20,
  IN_MOVED_FROM: 0x40,
  IN_MOVED_TO: 0x80,
  IN_CREATE: 0x100,
  IN_DELETE: 0x200,
  IN_DELETE_SELF: 0x400,
  IN_MOVE_SELF: 0x800,
  IN_UNMOUNT: 0x2000,
  IN_Q_OVERFLOW: 0x4000,
  IN_IGNORED: 0x8000,
  IN_ONLYDIR: 0x1000000,
  IN_DONT_FOLLOW: 0x2000000,
  IN_EXCL_UNLINK: 0x4000000,
  IN_MASK_CREATE: 0x10000000,
  IN_MASK_ADD: 0x20000000,
  IN_ISDIR: 0x40000000,
  IN_ONESHOT: 1 << 31,
});

/** Flags of `pidfd_open`. */
export const pidfdFlags: SymbolTable = new SymbolTable({ PIDFD_NONBLOCK: Open.NONBLOCK, PIDFD_THREAD: Open.EXCL });

/** How `timer_create` notifies. */
export const sigevNotify: SymbolTable = new SymbolTable({
  SIGEV_SIGNAL: 0,
  SIGEV_NONE: 1,
  SIGEV_THREAD: 2,
  SIGEV_THREAD_ID: 4,
});

/** Timers of `setitimer`. */
export const itimers: SymbolTable = new SymbolTable({ ITIMER_REAL: 0, ITIMER_VIRTUAL: 1, ITIMER_PROF: 2 });

/** What the number given to `waitid` means. */
export const waitidTypes: SymbolTable = new SymbolTable({ P_ALL: 0, P_PID: 1, P_PGID: 2, P_PIDFD: 3 });

/** Options of `wait4`. */
export const sigaltstackFlags: SymbolTable = new SymbolTable({ SS_ONSTACK: 1, SS_DISABLE: 2, SS_AUTODISARM: 1 << 31 });
export const waitOptions: SymbolTable = new SymbolTable({
  WNOHANG: 1,
  WSTOPPED: 2,
  WEXITED: 4,
  WCONTINUED: 8,
  WNOWAIT: 0x1000000,
  __WNOTHREAD: 0x20000000,
  __WALL: 0x40000000,
  __WCLONE: 1 << 31,
});

/** Resources of `prlimit64`. */
export const resources: SymbolTable = new SymbolTable({
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
});

/** What `kcmp` compares. */
export const kcmpTypes: SymbolTable = new SymbolTable({
  KCMP_FILE: 0,
  KCMP_VM: 1,
  KCMP_FILES: 2,
  KCMP_FS: 3,
  KCMP_SIGHAND: 4,
  KCMP_IO: 5,
  KCMP_SYSVSEM: 6,
  KCMP_EPOLL_TFD: 7,
});

/** Options of `prctl` that matter here. */
export const prctlOptions: SymbolTable = new SymbolTable({
  PR_SET_PDEATHSIG: 1,
  PR_GET_PDEATHSIG: 2,
  PR_GET_DUMPABLE: 3,
  PR_SET_DUMPABLE: 4,
  PR_SET_NAME: 15,
  PR_GET_NAME: 16,
  PR_CAPBSET_READ: 23,
  PR_GET_SECUREBITS: 27,
  PR_SET_TIMERSLACK: 29,
  PR_GET_TIMERSLACK: 30,
  PR_SET_CHILD_SUBREAPER: 36,
  PR_SET_NO_NEW_PRIVS: 38,
  PR_GET_NO_NEW_PRIVS: 39,
});

const FUTEX_OPERATIONS = [
  "WAIT",
  "WAKE",
  "FD",
  "REQUEUE",
  "CMP_REQUEUE",
  "WAKE_OP",
  "LOCK_PI",
  "UNLOCK_PI",
  "TRYLOCK_PI",
  "WAIT_BITSET",
  "WAKE_BITSET",
  "WAIT_REQUEUE_PI",
  "CMP_REQUEUE_PI",
];

/** Operations of `futex`, with and without the private bit. */
export const futexOperations: SymbolTable = new SymbolTable(
  Object.fromEntries(
    FUTEX_OPERATIONS.flatMap((name, value) => [
      [`FUTEX_${name}`, value],
      [`FUTEX_${name}_PRIVATE`, value | 128],
    ]),
  ),
);

/** Bits beside a futex operation. */
export const futexFlags: SymbolTable = new SymbolTable({ FUTEX_CLOCK_REALTIME: 256, FUTEX_PRIVATE_FLAG: 128 });

/** Error numbers, where one stands as a value: the result of `SO_ERROR`. */
export const errnos: SymbolTable = new SymbolTable({ ...Errno });

const SIGNAL_NAMES = [
  "HUP",
  "INT",
  "QUIT",
  "ILL",
  "TRAP",
  "ABRT",
  "BUS",
  "FPE",
  "KILL",
  "USR1",
  "SEGV",
  "USR2",
  "PIPE",
  "ALRM",
  "TERM",
  "STKFLT",
  "CHLD",
  "CONT",
  "STOP",
  "TSTP",
  "TTIN",
  "TTOU",
  "URG",
  "XCPU",
  "XFSZ",
  "VTALRM",
  "PROF",
  "WINCH",
  "IO",
  "PWR",
  "SYS",
  "RTMIN",
];

/** Signals by their short name, as they stand in sets: `USR1`, `RTMIN`, `RT_1`. */
export const signalShortNames: readonly string[] = [
  "",
  ...SIGNAL_NAMES,
  ...Array.from({ length: 32 }, (_, i) => `RT_${i + 1}`),
];

/** Signals by their full name. */
export const signals: SymbolTable = new SymbolTable({
  ...Object.fromEntries(signalShortNames.slice(1).map((name, i) => [`SIG${name}`, i + 1])),
  SIGPOLL: 29,
  SIGCLD: 17,
  SIGIOT: 6,
  SIGRTMAX: 64,
});

defineSymbols({
  AT_FDCWD,
  NULL: 0,
  INADDR_ANY: 0,
  INADDR_LOOPBACK: 0x7f000001,
  FUTEX_BITSET_MATCH_ANY: 0xffffffff,
  SUID_DUMP_DISABLE: 0,
  SUID_DUMP_USER: 1,
  SUID_DUMP_ROOT: 2,
  INT_MAX: 0x7fffffff,
  INT_MIN: -0x80000000,
  UINT_MAX: 0xffffffff,
  RLIM64_INFINITY: 0xffff_ffff_ffff_ffffn,
  RLIM_INFINITY: 0xffff_ffff_ffff_ffffn,
});
