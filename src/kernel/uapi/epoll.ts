/**
 * epoll's numbers.
 *
 * Counterpart: `include/uapi/linux/eventpoll.h`.
 */
export const Epoll = {
  IN: 0x1,
  PRI: 0x2,
  OUT: 0x4,
  ERR: 0x8,
  HUP: 0x10,
  NVAL: 0x20,
  RDNORM: 0x40,
  RDBAND: 0x80,
  WRNORM: 0x100,
  WRBAND: 0x200,
  MSG: 0x400,
  RDHUP: 0x2000,
  /** Bit 28, 29, 30, 31. The last makes the number negative as a 32-bit integer: masks here are int32. */
  EXCLUSIVE: 0x10000000,
  WAKEUP: 0x20000000,
  ONESHOT: 0x40000000,
  ET: -0x80000000,
} as const;

export const EpollCtl = { ADD: 1, DEL: 2, MOD: 3 } as const;

/** Bytes of one `struct epoll_event` on x86-64: packed, `events` at 0, `data` at 4. */
export const EPOLL_EVENT_SIZE = 12;

export const EPOLL_CLOEXEC = 0o2000000;

/** `ioctl` requests on an epoll descriptor: `struct epoll_params`, 8 bytes. */
export const EPIOCSPARAMS = 0x40088a01;
export const EPIOCGPARAMS = 0x80088a02;
