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
  CMSG_CLOEXEC: 0x40000000,
} as const;

export const SOL_SOCKET = 1;
export const SOL_TCP = 6;

export const So = {
  REUSEADDR: 2,
  TYPE: 3,
  ERROR: 4,
  BROADCAST: 6,
  SNDBUF: 7,
  RCVBUF: 8,
  KEEPALIVE: 9,
  OOBINLINE: 10,
  LINGER: 13,
  REUSEPORT: 15,
  PASSCRED: 16,
  PEERCRED: 17,
  RCVLOWAT: 18,
  SNDLOWAT: 19,
  RCVTIMEO: 20,
  SNDTIMEO: 21,
  ACCEPTCONN: 30,
  SNDBUFFORCE: 32,
  RCVBUFFORCE: 33,
  PROTOCOL: 38,
  DOMAIN: 39,
  PEEK_OFF: 42,
} as const;

export const Ioctl = {
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  FIONREAD: 0x541b,
  TIOCOUTQ: 0x5411,
  FIONBIO: 0x5421,
  FIONCLEX: 0x5450,
  FIOCLEX: 0x5451,
  FIOASYNC: 0x5452,
  SIOCATMARK: 0x8905,
  SIOCOUTQ: 0x5411,
  SIOCOUTQNSD: 0x894b,
} as const;
