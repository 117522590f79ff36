/**
 * open, fcntl, pipe, splice flags and seek origins.
 *
 * Counterpart: `include/uapi/asm-generic/fcntl.h`, `include/uapi/linux/fcntl.h`, `include/linux/pipe_fs_i.h`.
 */
export const Open = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  ACCMODE: 3,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DSYNC: 0o10000,
  ASYNC: 0o20000,
  DIRECT: 0o40000,
  LARGEFILE: 0o100000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  SYNC: 0o4000000,
  TMPFILE: 0o20000000,
  NOTIFICATION_PIPE: 0o200,
} as const;

export const Fcntl = {
  DUPFD: 0,
  GETFD: 1,
  SETFD: 2,
  GETFL: 3,
  SETFL: 4,
  GETLK: 5,
  SETLK: 6,
  SETLKW: 7,
  SETOWN: 8,
  GETOWN: 9,
  SETSIG: 10,
  GETSIG: 11,
  DUPFD_QUERY: 1027,
  DUPFD_CLOEXEC: 1030,
  SETPIPE_SZ: 1031,
  GETPIPE_SZ: 1032,
  ADD_SEALS: 1033,
  GET_SEALS: 1034,
} as const;

export const FD_CLOEXEC = 1;
export const AT_FDCWD = -100;
export const AT_REMOVEDIR = 0x200;
/** Longest path with its end byte, and longest name in it. */
export const PATH_MAX = 4096;
export const NAME_MAX = 255;

export const MemfdFlags = { CLOEXEC: 1, ALLOW_SEALING: 2, HUGETLB: 4, NOEXEC_SEAL: 8, EXEC: 0x10 } as const;

/** Seals of a memfd. */
export const Seal = { SEAL: 1, SHRINK: 2, GROW: 4, WRITE: 8, FUTURE_WRITE: 0x10, EXEC: 0x20, ALL: 0x3f } as const;

export const Seek = { SET: 0, CUR: 1, END: 2, DATA: 3, HOLE: 4 } as const;

export const CloseRange = { UNSHARE: 2, CLOEXEC: 4 } as const;

export const Splice = { MOVE: 1, NONBLOCK: 2, MORE: 4, GIFT: 8 } as const;

/** File type bits of `st_mode`. */
export const Mode = {
  IFMT: 0o170000,
  IFSOCK: 0o140000,
  IFLNK: 0o120000,
  IFREG: 0o100000,
  IFBLK: 0o060000,
  IFDIR: 0o040000,
  IFCHR: 0o020000,
  IFIFO: 0o010000,
} as const;

export const EventfdFlags = { SEMAPHORE: 1, NONBLOCK: 0o4000, CLOEXEC: 0o2000000 } as const;

/** Largest number of bytes that one read or write moves: `MAX_RW_COUNT`, `INT_MAX & PAGE_MASK`. */
export const MAX_RW_COUNT = 0x7ffff000;
export const UIO_MAXIOV = 1024;
