/**
 * What two runs of one program must have in common, though their threads, times, ports and addresses differ: the life of each
 * descriptor, from the call that makes it to its close, as a sequence of calls and results.
 */
import { firstFd } from "../replay/records.ts";
import { CallJoiner, type CallRecord, type Expr, evalInt, parseText, printExpr } from "../trace/index.ts";

export interface Lives {
  /** One text per descriptor, sorted: two runs agree when these are equal. */
  readonly lives: readonly string[];
  /** Positive time-outs of epoll_pwait, in their order. */
  readonly timeouts: readonly number[];
  /** Number of calls by name. */
  readonly counts: ReadonlyMap<string, number>;
  /** Every time-out, number of events, and errno that epoll_pwait has shown. */
  readonly polls: readonly string[];
}

export interface LifeOptions {
  /** Leave out what failed with EAGAIN: how often a goroutine tries too early depends on who runs when. */
  readonly withoutAgain?: boolean;
  /** Sums of bytes instead of single reads and writes of streams. */
  readonly summed?: boolean;
}

/** Calls that are part of a descriptor's life. */
const KEPT = new Set(
  "socket bind listen connect accept4 getsockname getpeername setsockopt getsockopt shutdown read write close fcntl epoll_ctl".split(
    " ",
  ),
);
const MAKES = new Set(["socket", "accept4", "openat"]);
/** Start-up of the real runtime, which no model of the scheduler has. */
const IGNORED_PATH = /\/sys\/kernel\/mm/u;

export function livesOf(text: string, options: LifeOptions = {}): Lives {
  const joiner = new CallJoiner();
  const reader = new LifeReader(options);
  for (const line of parseText(text)) {
    const record = joiner.push(line);
    if (record !== null && record.phase === "returned") reader.call(record);
  }
  return reader.finish();
}

class LifeReader {
  readonly #options: LifeOptions;
  readonly #open: Map<number, string[]> = new Map();
  readonly #closed: string[] = [];
  readonly #timeouts: number[] = [];
  readonly #polls: string[] = [];
  readonly #counts: Map<string, number> = new Map();

  constructor(options: LifeOptions) {
    this.#options = options;
  }

  call(record: CallRecord): void {
    const { name } = record;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    if (name === "epoll_pwait") {
      const timeout = intOf(record.args[3]) ?? 0;
      if (timeout > 0) this.#timeouts.push(timeout);
      this.#polls.push(`${timeout}:${resultOf(record)}`);
      return;
    }
    const result = resultOf(record);
    if (MAKES.has(name) && /^\d+$/u.test(result)) this.#begin(record, Number(result));
    if (KEPT.has(name) && name !== "socket") this.#note(record, result);
  }

  #begin(record: CallRecord, fd: number): void {
    const { name, args } = record;
    const what = name === "accept4" ? "accept4" : args.slice(0, 3).map(plain).join(" ");
    this.#open.set(fd, [`${name} ${what}`]);
  }

  #note(record: CallRecord, result: string): void {
    const { name, args } = record;
    const fd = name === "epoll_ctl" ? intOf(args[2]) : firstFd(record);
    if (fd === null || (this.#options.withoutAgain === true && result === "EAGAIN")) return;
    let life = this.#open.get(fd);
    if (life === undefined) {
      if (fd > 2) return;
      life = [`descriptor ${fd}`];
      this.#open.set(fd, life);
    }
    life.push(textOf(record, result));
    if (name === "close") {
      this.#open.delete(fd);
      this.#closed.push(this.#join(life));
    }
  }

  #join(life: readonly string[]): string {
    return (this.#options.summed === true ? summed(life) : life).join("\n");
  }

  finish(): Lives {
    for (const life of this.#open.values()) this.#closed.push(this.#join(life));
    const lives = this.#closed.filter((life) => !IGNORED_PATH.test(life)).sort();
    return { lives, timeouts: this.#timeouts, counts: this.#counts, polls: this.#polls };
  }
}

function resultOf(record: CallRecord): string {
  const errno = record.result?.errnos[0];
  if (errno !== undefined && errno !== null) return errno;
  const value = record.result?.values[0];
  return value === undefined ? "?" : String(intOf(value) ?? plain(value));
}

function intOf(expr: Expr | undefined): number | null {
  return expr === undefined ? null : evalInt(expr);
}

/** An argument without its notes. */
function plain(expr: Expr | undefined): string {
  return expr === undefined ? "" : printExpr(expr).replace(/<[^>]*>/gu, "");
}

/** The call without what differs from run to run: addresses, ports, numbers of descriptors. */
function textOf(record: CallRecord, result: string): string {
  const { name, args } = record;
  switch (name) {
    case "epoll_ctl": {
      const events = args[3] === undefined ? "" : (/events=([A-Z|]+)/u.exec(printExpr(args[3]))?.[1] ?? "");
      return `${plain(args[1])} ${events} = ${result}`;
    }
    case "accept4":
      return `accept4 = ${/^\d+$/u.test(result) ? "fd" : result}`;
    case "read":
    case "write":
      return `${name} ${plain(args[2])} = ${result}`;
    case "setsockopt":
      return `setsockopt ${args.slice(1, 4).map(plain).join(" ")} = ${result}`;
    case "getsockopt":
      return `getsockopt ${args.slice(1, 4).map(plain).join(" ")} = ${result}`;
    case "listen":
    case "shutdown":
      return `${name} ${plain(args[1])} = ${result}`;
    case "fcntl":
      return `fcntl ${args.slice(1).map(plain).join(" ")} = ${result === "0" ? "0" : "flags"}`;
    default:
      return `${name} = ${result}`;
  }
}

/** Neighbouring reads and writes as sums; what a refused write still had to send hangs on them. */
function summed(life: readonly string[]): string[] {
  const out: string[] = [];
  let name = "";
  let total = 0;
  const flush = (): void => {
    if (name !== "") out.push(`${name} ${total > 65_536 ? "many" : total}`);
    name = "";
    total = 0;
  };
  for (const text of life) {
    const match = /^(read|write) \d+ = (\d+)$/u.exec(text);
    if (match === null || match[2] === "0") {
      flush();
      out.push(text.replace(/^write \d+ = EAGAIN$/u, "write = EAGAIN"));
      continue;
    }
    if (match[1] !== name) flush();
    name = match[1] as string;
    total += Number(match[2]);
  }
  flush();
  return out;
}

/** How two runs differ, life by life. */
export interface LivesCompared {
  /** Lives that both have. */
  readonly matched: number;
  /** Lives that only the first, or only the second, has. */
  readonly onlyA: readonly string[];
  readonly onlyB: readonly string[];
}

/** Each life counts once: three equal ones want three partners. */
export function compareLives(a: readonly string[], b: readonly string[]): LivesCompared {
  const left = new Map<string, number>();
  for (const life of b) left.set(life, (left.get(life) ?? 0) + 1);
  const onlyA: string[] = [];
  for (const life of a) {
    const count = left.get(life) ?? 0;
    if (count === 0) onlyA.push(life);
    left.set(life, Math.max(0, count - 1));
  }
  const onlyB = [...left].flatMap(([life, count]) => Array<string>(count).fill(life));
  return { matched: a.length - onlyA.length, onlyA, onlyB };
}
