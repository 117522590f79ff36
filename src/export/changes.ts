/**
 * What happened inside the kernel during one step, as data.
 *
 * Counterpart: none in Linux; the nearest thing is a tracepoint on each function of `fs/eventpoll.c` that changes something.
 * A description has no name of its own, so everything is named by the descriptor number that the script would use; the
 * number of a description that is closed by now is the last one it was known by.
 */
import type { Epitem } from "../kernel/fs/eventpoll/epitem.ts";
import type { Eventpoll } from "../kernel/fs/eventpoll/eventpoll.ts";
import type { File } from "../kernel/fs/file.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { KernelObserver, type QueueCause } from "../kernel/observer.ts";
import type { Task } from "../kernel/sched/task.ts";

/** A ready list as descriptor numbers, first to last; `more` counts those left out. */
export interface ListPicture {
  readonly fds: readonly number[];
  readonly more: number;
}

/** `ep` and `fd` are descriptor numbers; null for a description that never had one. Masks are int32. */
export type Change =
  | { readonly what: "inserted"; readonly ep: number | null; readonly fd: number; readonly events: number }
  | { readonly what: "erased"; readonly ep: number | null; readonly fd: number }
  | {
      readonly what: "queued";
      readonly ep: number | null;
      readonly fd: number;
      readonly list: "rdllist" | "ovflist";
      readonly cause: QueueCause;
      readonly now: ListPicture;
    }
  | { readonly what: "dropped"; readonly ep: number | null; readonly fd: number; readonly events: number }
  | {
      readonly what: "filtered";
      readonly ep: number | null;
      readonly fd: number;
      readonly events: number;
      readonly key: number;
      readonly why: "disarmed" | "mask" | "linked";
    }
  | { readonly what: "disarmed"; readonly ep: number | null; readonly fd: number }
  | { readonly what: "wake"; readonly fd: number | null; readonly key: number }
  | { readonly what: "slept"; readonly task: string }
  | { readonly what: "time"; readonly ns: number }
  | { readonly what: "woken"; readonly task: string };

/** Members of a list that a picture shows. */
const SHOWN_MAX = 16;

/** Collects the changes of a kernel. Attach it with `kernel.observer = log`. */
export class ChangeLog extends KernelObserver {
  readonly #tasks: readonly Task[];
  readonly #names: readonly string[];
  /** Last known number of a description, by `File.id`. */
  readonly #known = new Map<number, number>();
  #changes: Change[] = [];

  /** @param tasks - grows while the program runs. @param names - of the tasks, by the same index. */
  constructor(tasks: readonly Task[], names: readonly string[]) {
    super();
    this.#tasks = tasks;
    this.#names = names;
  }

  /** The changes since the last call. */
  take(): readonly Change[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  /** The number by which a description is known: the lowest that is open, else the last one. */
  fdOf(file: File | null): number | null {
    if (file === null) return null;
    const known = this.#known.get(file.id);
    for (const task of this.#tasks) {
      const { files } = task.process;
      if (known !== undefined && files.getRaw(known) === file) return known;
      for (let fd = 0; fd < files.end; fd += 1) {
        if (files.getRaw(fd) !== file) continue;
        this.#known.set(file.id, fd);
        return fd;
      }
    }
    return known ?? null;
  }

  /** The name of a task in the script. */
  nameOf(task: Task): string {
    return this.#names[this.#tasks.indexOf(task)] ?? task.comm;
  }

  #epOf(ep: Eventpoll): number | null {
    return this.fdOf(ep.file);
  }

  override rbInsert(ep: Eventpoll, epi: Epitem): void {
    // from now on its number is known, should it be closed without another look
    this.fdOf(epi.file);
    this.#changes.push({ what: "inserted", ep: this.#epOf(ep), fd: epi.fd, events: epi.events });
  }

  override rbErase(ep: Eventpoll, epi: Epitem): void {
    this.#changes.push({ what: "erased", ep: this.#epOf(ep), fd: epi.fd });
  }

  override queued(epi: Epitem, list: "rdllist" | "ovflist", cause: QueueCause): void {
    const now = list === "rdllist" ? pictureRdllist(epi.ep) : pictureOvflist(epi.ep);
    this.#changes.push({ what: "queued", ep: this.#epOf(epi.ep), fd: epi.fd, list, cause, now });
  }

  override dropped(epi: Epitem): void {
    this.#changes.push({ what: "dropped", ep: this.#epOf(epi.ep), fd: epi.fd, events: epi.events });
  }

  override filtered(epi: Epitem, key: number, why: "disarmed" | "mask" | "linked"): void {
    this.#changes.push({ what: "filtered", ep: this.#epOf(epi.ep), fd: epi.fd, events: epi.events, key, why });
  }

  override disarmed(epi: Epitem): void {
    this.#changes.push({ what: "disarmed", ep: this.#epOf(epi.ep), fd: epi.fd });
  }

  override wakeUp(file: File, key: number): void {
    this.#changes.push({ what: "wake", fd: this.fdOf(file), key });
  }

  override slept(task: Task): void {
    this.#changes.push({ what: "slept", task: this.nameOf(task) });
  }

  override woken(task: Task): void {
    this.#changes.push({ what: "woken", task: this.nameOf(task) });
  }
}

/** Starts to watch a kernel. */
export function watchKernel(kernel: Kernel, tasks: readonly Task[], names: readonly string[]): ChangeLog {
  const log = new ChangeLog(tasks, names);
  kernel.observer = log;
  return log;
}

/** The ready list, first to last. */
export function pictureRdllist(ep: Eventpoll): ListPicture {
  const fds: number[] = [];
  for (let node = ep.rdllist.first; node !== null && fds.length < SHOWN_MAX; node = node.next) fds.push(node.owner.fd);
  return { fds, more: ep.rdllist.length - fds.length };
}

/** The arrivals of a running scan in the order in which they came: the chain itself is newest first. */
export function pictureOvflist(ep: Eventpoll): ListPicture {
  const fds: number[] = [];
  for (let epi = ep.ovflist; epi !== null; epi = epi.next) fds.push(epi.fd);
  fds.reverse();
  return { fds: fds.slice(0, SHOWN_MAX), more: Math.max(0, fds.length - SHOWN_MAX) };
}
