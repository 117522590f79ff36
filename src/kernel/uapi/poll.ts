/**
 * poll(2)'s numbers, which are epoll's with POLLNVAL and without epoll's private bits.
 *
 * Counterpart: `include/uapi/asm-generic/poll.h`.
 */
export const Poll = {
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
} as const;

/** What a file without a poll method reports: `DEFAULT_POLLMASK` of `include/linux/poll.h`. */
export const DEFAULT_POLLMASK = 0x145;
