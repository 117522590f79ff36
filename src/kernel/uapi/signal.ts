/**
 * Signals: numbers, actions, codes.
 *
 * Counterpart: `include/uapi/asm-generic/signal.h`, `siginfo.h`, `arch/x86/include/uapi/asm/signal.h`, and the sets of
 * `include/linux/signal.h`.
 */

export const Sig = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  PWR: 30,
  SYS: 31,
  /** `SIGRTMIN` of the kernel: signals from here on are queued. */
  RTMIN: 32,
  /** `_NSIG`. */
  MAX: 64,
} as const;

/** `valid_signal`: 0 asks only whether a signal could be sent. */
export function validSignal(sig: number): boolean {
  return sig >= 0 && sig <= Sig.MAX;
}

/** `SIG_DFL`, `SIG_IGN`; any other handler is an address. */
export const SIG_DFL = 0n;
export const SIG_IGN = 1n;

/** `sa_flags` that change what the kernel does. */
export const Sa = {
  NOCLDSTOP: 0x1n,
  NOCLDWAIT: 0x2n,
  RESTART: 0x1000_0000n,
  NODEFER: 0x4000_0000n,
  RESETHAND: 0x8000_0000n,
} as const;

/** `UAPI_SA_FLAGS`: every flag that rt_sigaction keeps. */
export const UAPI_SA_FLAGS = 0xdc00_0c07n;

/** What rt_sigprocmask does with the set. */
export const SigHow = { BLOCK: 0, UNBLOCK: 1, SETMASK: 2 } as const;

/** `si_code`: who sent the signal. */
export const Si = { USER: 0, KERNEL: 0x80, QUEUE: -1, TIMER: -2, SIGIO: -5, TKILL: -6 } as const;

/** `si_code` of SIGCHLD. */
export const Cld = { EXITED: 1, KILLED: 2, DUMPED: 3, STOPPED: 5, CONTINUED: 6 } as const;

/** Flags of signalfd4. */
export const Sfd = { NONBLOCK: 0o4000, CLOEXEC: 0o2000000 } as const;

/** Bytes of a `sigset_t`: every call that takes one is told, and must be told this. */
export const SIGSET_SIZE = 8;

/** A signal's bit in the word of the signals 1 to 32. */
function bit(sig: number): number {
  return 1 << (sig - 1);
}

/** `SIG_KERNEL_ONLY_MASK`, `SIG_KERNEL_STOP_MASK`, `SIG_KERNEL_IGNORE_MASK`, `SYNCHRONOUS_MASK`: all below 33. */
const ONLY_MASK: number = bit(Sig.KILL) | bit(Sig.STOP);
/** Signals that stop a process by default. */
export const STOP_MASK: number = bit(Sig.STOP) | bit(Sig.TSTP) | bit(Sig.TTIN) | bit(Sig.TTOU);
const IGNORE_MASK: number = bit(Sig.CONT) | bit(Sig.CHLD) | bit(Sig.WINCH) | bit(Sig.URG);
/** Signals that a fault raises: delivered before all others. */
export const SYNCHRONOUS_MASK: number =
  bit(Sig.SEGV) | bit(Sig.BUS) | bit(Sig.ILL) | bit(Sig.TRAP) | bit(Sig.FPE) | bit(Sig.SYS);
const COREDUMP_MASK: number = SYNCHRONOUS_MASK | bit(Sig.QUIT) | bit(Sig.ABRT) | bit(Sig.XCPU) | bit(Sig.XFSZ);
/** SIGKILL and SIGSTOP: never blocked, caught or ignored. */
export const UNBLOCKABLE_MASK: number = ONLY_MASK;

function inMask(sig: number, mask: number): boolean {
  return sig < Sig.RTMIN && (mask & bit(sig)) !== 0;
}

/** `sig_kernel_only`: cannot be caught. */
export function sigKernelOnly(sig: number): boolean {
  return inMask(sig, ONLY_MASK);
}

/** `sig_kernel_stop`. */
export function sigKernelStop(sig: number): boolean {
  return inMask(sig, STOP_MASK);
}

/** `sig_kernel_ignore`: nothing happens by default. */
export function sigKernelIgnore(sig: number): boolean {
  return inMask(sig, IGNORE_MASK);
}

/** `sig_kernel_coredump`. */
export function sigKernelCoredump(sig: number): boolean {
  return inMask(sig, COREDUMP_MASK);
}

/** `ss_flags` of a `stack_t`. */
export const Ss = { ONSTACK: 1, DISABLE: 2, AUTODISARM: -0x8000_0000 } as const;
