/**
 * Socket numbers.
 *
 * Counterpart: `include/linux/socket.h`, `include/linux/net.h`, `include/uapi/asm-generic/socket.h`, `sockios.h`.
 */
export const Af = { UNSPEC: 0, UNIX: 1, INET: 2, INET6: 10, NETLINK: 16 } as const;

export const Sock = {
  STREAM: 1,
  DGRAM: 2,
  RAW: 3,
  SEQPACKET: 5,
  TYPE_MASK: 0xf,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
} as const;

export const Shut = { RD: 0, WR: 1, RDWR: 2 } as const;

export const Msg = {
  OOB: 0x1,
  PEEK: 0x2,
  DONTROUTE: 0x4,
  CTRUNC: 0x8,
  TRUNC: 0x20,
  DONTWAIT: 0x40,
  EOR: 0x80,
  WAITALL: 0x100,
  CONFIRM: 0x800,
  ERRQUEUE: 0x2000,
  NOSIGNAL: 0x4000,
  MORE: 0x8000,
  WAITFORONE: 0x10000,
  ZEROCOPY: 0x4000000,
  /** Inside the kernel only: the data is the pages of a splice. */
  SPLICE_PAGES: 0x8000000,
  CMSG_CLOEXEC: 0x40000000,
} as const;

/** Types of control messages at level `SOL_SOCKET`. */
export const Scm = { RIGHTS: 1, CREDENTIALS: 2 } as const;

export const SOL_SOCKET = 1;
export const SOL_IP = 0;
export const SOL_TCP = 6;
export const SOL_IPV6 = 41;

export const So = {
  DEBUG: 1,
  REUSEADDR: 2,
  TYPE: 3,
  ERROR: 4,
  DONTROUTE: 5,
  BROADCAST: 6,
  SNDBUF: 7,
  RCVBUF: 8,
  KEEPALIVE: 9,
  OOBINLINE: 10,
  NO_CHECK: 11,
  PRIORITY: 12,
  LINGER: 13,
  BSDCOMPAT: 14,
  DETACH_FILTER: 27,
  REUSEPORT: 15,
  PASSCRED: 16,
  PEERCRED: 17,
  RCVLOWAT: 18,
  SNDLOWAT: 19,
  RCVTIMEO: 20,
  SNDTIMEO: 21,
  PEERNAME: 28,
  ACCEPTCONN: 30,
  SNDBUFFORCE: 32,
  RCVBUFFORCE: 33,
  MARK: 36,
  PROTOCOL: 38,
  DOMAIN: 39,
  PEEK_OFF: 42,
  SELECT_ERR_QUEUE: 45,
  MEMINFO: 55,
  INCOMING_NAPI_ID: 56,
  COOKIE: 57,
  ZEROCOPY: 60,
  RCVTIMEO_NEW: 66,
  SNDTIMEO_NEW: 67,
  BUF_LOCK: 72,
  PASSPIDFD: 76,
  PASSRIGHTS: 83,
} as const;

export const Ioctl = {
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  FIONREAD: 0x541b,
  TIOCOUTQ: 0x5411,
  TIOCPKT: 0x5420,
  TIOCGPTN: 0x80045430,
  TIOCSPTLCK: 0x40045431,
  FIONBIO: 0x5421,
  FIONCLEX: 0x5450,
  FIOCLEX: 0x5451,
  FIOASYNC: 0x5452,
  SIOCATMARK: 0x8905,
  SIOCOUTQ: 0x5411,
  SIOCOUTQNSD: 0x894b,
} as const;
