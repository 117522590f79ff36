/**
 * Terminal numbers.
 *
 * Counterpart: `include/uapi/asm-generic/termbits.h`, `termbits-common.h`, `ioctls.h`.
 */

/** Requests of terminals, besides those that other files know too (`Ioctl`). */
export const Tioc = {
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  TCSETSW: 0x5403,
  TCSETSF: 0x5404,
  OUTQ: 0x5411,
  INQ: 0x541b,
  PKT: 0x5420,
  GPTN: 0x80045430,
  SPTLCK: 0x40045431,
  GPKT: 0x80045438,
  GPTLCK: 0x80045439,
} as const;

/** What a read of a master in packet mode begins with. */
export const Pkt = {
  DATA: 0,
  FLUSHREAD: 0x1,
  FLUSHWRITE: 0x2,
  STOP: 0x4,
  START: 0x8,
  NOSTOP: 0x10,
  DOSTOP: 0x20,
} as const;

/** `c_iflag`. */
export const Iflag = {
  IGNBRK: 0o1,
  BRKINT: 0o2,
  IGNPAR: 0o4,
  PARMRK: 0o10,
  INPCK: 0o20,
  ISTRIP: 0o40,
  INLCR: 0o100,
  IGNCR: 0o200,
  ICRNL: 0o400,
  IUCLC: 0o1000,
  IXON: 0o2000,
  IXANY: 0o4000,
  IUTF8: 0o40000,
} as const;

/** `c_oflag`. */
export const Oflag = {
  OPOST: 0o1,
  OLCUC: 0o2,
  ONLCR: 0o4,
  OCRNL: 0o10,
  ONOCR: 0o20,
  ONLRET: 0o40,
  TABDLY: 0o14000,
} as const;

/** `c_cflag`. */
export const Cflag = {
  B38400: 0o17,
  CSIZE: 0o60,
  CS8: 0o60,
  CREAD: 0o200,
  PARENB: 0o400,
  ADDRB: 0o4000000000,
} as const;

/** `c_lflag`. */
export const Lflag = {
  ISIG: 0o1,
  ICANON: 0o2,
  ECHO: 0o10,
  ECHOE: 0o20,
  ECHOK: 0o40,
  ECHONL: 0o100,
  NOFLSH: 0o200,
  ECHOCTL: 0o1000,
  ECHOPRT: 0o2000,
  ECHOKE: 0o4000,
  IEXTEN: 0o100000,
  EXTPROC: 0o200000,
} as const;

/** Places in `c_cc`. */
export const Cc = {
  INTR: 0,
  QUIT: 1,
  ERASE: 2,
  KILL: 3,
  EOF: 4,
  TIME: 5,
  MIN: 6,
  START: 8,
  STOP: 9,
  SUSP: 10,
  EOL: 11,
  REPRINT: 12,
  WERASE: 14,
  LNEXT: 15,
  EOL2: 16,
} as const;
