/**
 * Descriptors that a process inherited show only by the numbers that new ones do not get. Such a proof falls when the program goes
 * on to use the number that it was not given, and not the one that it was: then the recorded result was wrong.
 */
import type { FdTable } from "../kernel/fs/fdtable.ts";
import { evalInt } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { firstFd, noteOf } from "./records.ts";

const KIND_CHARS = 4;

interface Proof {
  readonly record: CallRecord;
  /** The new number. */
  readonly fd: number;
  /** Lower ones that must have been taken. */
  readonly lower: readonly number[];
}

export class InheritedNumbers {
  readonly #proofs = new WeakMap<FdTable, Proof[]>();
  readonly #fallen: CallRecord[] = [];

  /** A call was given `fd` although `lower` ones seemed free. */
  add(files: FdTable, record: CallRecord, fd: number, lower: readonly number[]): void {
    const proofs = this.#proofs.get(files) ?? [];
    proofs.push({ record, fd, lower });
    this.#proofs.set(files, proofs);
  }

  /** Another call is given a number: that was under way, so nothing is inherited there. */
  allocated(files: FdTable, fd: number): void {
    const proofs = this.#proofs.get(files);
    if (proofs?.some(({ lower }) => lower.includes(fd))) {
      this.#proofs.set(
        files,
        proofs.filter(({ lower }) => !lower.includes(fd)),
      );
    }
  }

  /**
   * A call uses a number: the first use after a proof decides about it. To close what is not needed is no use, unless the
   * notes say that it is the very thing that the recording shows under the other number.
   */
  used(files: FdTable, record: CallRecord): void {
    const proofs = this.#proofs.get(files);
    if (proofs === undefined || proofs.length === 0) return;
    const closes = record.name.startsWith("close");
    for (const arg of record.args) {
      const isFd = arg === record.args[0] ? firstFd(record) !== null : arg.kind === "int" && arg.note !== null;
      const fd = isFd ? evalInt(arg) : null;
      if (closes && !proofs.some((proof) => proof.lower.includes(fd ?? -1) && isSameThing(noteOf(arg), proof.record)))
        continue;
      if (fd !== null) this.#decide(files, this.#proofs.get(files) ?? [], fd, noteOf(arg));
    }
  }

  #decide(files: FdTable, proofs: readonly Proof[], fd: number, note: string | null): void {
    const open = proofs.filter((proof) => proof.fd !== fd && !proof.lower.includes(fd));
    if (open.length === proofs.length) return;
    for (const { lower, record } of proofs) {
      const [value] = record.result?.values ?? [];
      const given = value === undefined ? null : noteOf(value);
      if (lower.includes(fd) && sameKind(note, given)) this.#fallen.push(record);
    }
    this.#proofs.set(files, open);
  }

  /** Calls whose results have turned out to be wrong since this was last asked. */
  takeFallen(): readonly CallRecord[] {
    return this.#fallen.length === 0 ? this.#fallen : this.#fallen.splice(0);
  }
}

/** `5<pipe:[7]>` and `6<pipe:[7]>` name one thing. A path does not: several descriptors of one file are common. */
function isSameThing(note: string | null, { result }: CallRecord): boolean {
  const [value] = result?.values ?? [];
  return note !== null && !note.startsWith("/") && value !== undefined && noteOf(value) === note;
}

/** The note of a socket changes while it lives, its first letters do not. */
function sameKind(a: string | null, b: string | null): boolean {
  return a === null || b === null || a.slice(0, KIND_CHARS) === b.slice(0, KIND_CHARS);
}
