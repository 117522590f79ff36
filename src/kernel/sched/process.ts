/**
 * What the threads of a process share.
 *
 * Counterpart: `struct signal_struct`, `struct files_struct`, `struct mm_struct`, `struct cred` as reached from a task.
 */
import type { FdTable } from "../fs/fdtable.ts";
import type { Mm } from "../mm/mm.ts";

/** `struct user_struct`: the per-user counters. */
export class UserStruct {
  readonly uid: number;
  /** `epoll_watches`: items in all epolls that this user created. */
  epollWatches = 0;
  /** `pipe_bufs`: pages that this user's pipes may hold. */
  pipeBufs = 0;
  /** `unix_inflight`: descriptors in messages that nobody has received yet. */
  unixInflight = 0;

  constructor(uid: number) {
    this.uid = uid;
  }
}

export class Process {
  /** `tgid`: what getpid returns. */
  readonly tgid: number;
  readonly parent: Process | null;
  readonly files: FdTable;
  readonly mm: Mm;
  readonly user: UserStruct;
  /** Bit n-1 set: signal n is ignored (`SIG_IGN`). Bits 0..30 only: what the present files can raise. */
  ignoredSignals: number;

  /**
   * `capable(CAP_SYS_RESOURCE)`: lifts pipe-max-size and hard limits. The reference machine's root lacks it, as root in
   * most containers does.
   */
  capSysResource = false;

  constructor(tgid: number, parent: Process | null, files: FdTable, mm: Mm, user: UserStruct) {
    this.tgid = tgid;
    this.parent = parent;
    this.files = files;
    this.mm = mm;
    this.user = user;
    this.ignoredSignals = parent?.ignoredSignals ?? 0;
  }

  /** `capable`: the model knows root and everybody else. */
  get privileged(): boolean {
    return this.user.uid === 0;
  }
}
