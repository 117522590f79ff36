/**
 * Recordings of one task each, as `strace -ff` writes them, put together by their times.
 *
 * In such a file a call stands whole where it began, whatever other tasks did meanwhile. Here it is split again, as strace would
 * have done in one file: its second half stands where it ended, by its duration, or at the latest where its task went on.
 */
import type { CallLine, Line } from "./ast.ts";
import { Stamp } from "./values.ts";

/** One file of a set. */
export interface TaskLines {
  /** The pid in the file's name. */
  readonly task: string;
  readonly lines: AsyncIterator<Line>;
}

/** A line and the time of its place. */
interface Timed {
  readonly line: Line;
  readonly ns: number;
}

const NS_PER_S = 1_000_000_000;

/** The second from which all times are counted, so that they are exact. */
interface Origin {
  seconds: number | null;
}

/** The lines of one task, each with its time, and calls in halves. */
async function* timed({ task, lines }: TaskLines, origin: Origin): AsyncGenerator<Timed, void> {
  let held: Timed | null = null;
  let ns = 0;
  for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
    const { value } = next;
    if (value.type === "comment" || value.type === "blank" || value.type === "directive") continue;
    const line: Line = { ...value, task };
    if (line.time !== null) {
      origin.seconds ??= line.time.seconds;
      ns = (line.time.seconds - origin.seconds) * NS_PER_S + line.time.nanos;
    }
    if (held !== null) {
      yield { line: held.line, ns: Math.min(held.ns, ns) };
      held = null;
    }
    if (line.type !== "call" || line.unfinished || line.result === null) {
      yield { line, ns };
      continue;
    }
    yield { line: firstHalf(line), ns };
    held = {
      line: secondHalf(line, ns, origin),
      ns: line.durationNs === null ? Number.POSITIVE_INFINITY : ns + line.durationNs,
    };
  }
  if (held !== null) yield { line: held.line, ns: Number.isFinite(held.ns) ? held.ns : ns };
}

function firstHalf(line: CallLine): CallLine {
  return { ...line, unfinished: true, result: null, durationNs: null };
}

function secondHalf(line: CallLine, ns: number, origin: Origin): Line {
  const { line: number, task, time, name, result, durationNs } = line;
  const end = durationNs === null || time === null ? null : shifted(time.form, ns + durationNs, origin);
  return { type: "resumed", line: number, task, time: end, name, args: [], result: result!, durationNs };
}

function shifted(form: "unix" | "clock" | "relative", ns: number, origin: Origin): Stamp {
  const seconds = Math.floor(ns / NS_PER_S);
  return new Stamp(form, (origin.seconds ?? 0) + seconds, ns - seconds * NS_PER_S, 9);
}

/** The lines of a set in the order of their times (`-t`, `-ttt`); without times one file behind the other. */
export async function* mergeByTime(files: readonly TaskLines[]): AsyncGenerator<Line, void> {
  const origin: Origin = { seconds: null };
  const sources = files.map((file) => timed(file, origin));
  const heads: { next: Timed; readonly from: AsyncGenerator<Timed, void> }[] = [];
  for (const from of sources) {
    const first = await from.next();
    if (first.done !== true) heads.push({ next: first.value, from });
  }
  while (heads.length > 0) {
    let least = 0;
    for (let at = 1; at < heads.length; at += 1) if (heads[at]!.next.ns < heads[least]!.next.ns) least = at;
    const head = heads[least]!;
    yield head.next.line;
    const following = await head.from.next();
    if (following.done === true) heads.splice(least, 1);
    else head.next = following.value;
  }
}
