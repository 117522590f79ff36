/**
 * What a new process shares with its parent.
 *
 * Counterpart: `include/uapi/linux/sched.h`.
 */

/** Flags of clone(2): those that a program can notice. */
export const Clone = { VM: 0x100, FILES: 0x400, SIGHAND: 0x800, PIDFD: 0x1000, VFORK: 0x4000 } as const;
