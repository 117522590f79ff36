/**
 * Who speaks in a recording without a pid column.
 *
 * On a terminal (no `-o`) strace names the pid only while it traces more than one task. So a line without one belongs to the
 * only task there is, and a pid that nobody announced (`strace: Process 12 attached`) is that of the first task, whose earlier
 * lines stand without it. The first task keeps the name null throughout.
 *
 * Counterpart: strace `strace.c` (`printleader`, `nprocs`).
 */
import type { Line } from "./ast.ts";

const ATTACHED = /^(?:\S*strace: )?Process (\d+) attached/u;

/** Gives every line its task. Does nothing until strace says that it attached a process. */
export class TaskResolver {
  /** Tasks that run, as they are called from now on; the first task is in it while it runs. */
  readonly #live: Set<string | null> = new Set();
  /** Pid of the first task, once a line names it. */
  #firstPid: string | null = null;
  #active = false;
  /** A task has shown itself: if before any announcement, strace started it itself. */
  #begun = false;

  /** The line itself, or a copy under the right task. */
  resolve(line: Line): Line {
    if (line.type === "note") this.#attach(line.text);
    if (line.type !== "call" && line.type !== "resumed" && line.type !== "signal" && line.type !== "exit") return line;
    this.#begun = true;
    if (!this.#active) return line;
    const task = line.task === null ? this.#only() : this.#named(line.task);
    if (line.type === "exit") this.#live.delete(task);
    return task === line.task ? line : { ...line, task };
  }

  #attach(text: string): void {
    const found = ATTACHED.exec(text);
    if (found === null) return;
    if (!this.#active && this.#begun) this.#live.add(null);
    this.#active = true;
    this.#live.add(found[1]!);
  }

  /** The task of a line without a pid. */
  #only(): string | null {
    if (this.#live.size !== 1) return null;
    const [only] = this.#live;
    return only ?? null;
  }

  #named(pid: string): string | null {
    if (this.#live.has(pid)) return pid;
    if (this.#firstPid === null && this.#live.has(null)) this.#firstPid = pid;
    return pid === this.#firstPid ? null : pid;
  }
}
