/**
 * How long things take: virtual time for what the model does in none.
 *
 * Counterpart: none. The figures are round numbers of the order of a current machine; what they decide (which of two threads is
 * first, how many rounds sysmon makes) is as arbitrary on a real one. Same figures, same run.
 */

import type { TracerCosts } from "./tracer.ts";

/** All in ns. */
export interface CostModel {
  /** Go code between two operations of a goroutine. */
  readonly step: number;
  /** One pass of the scheduler. */
  readonly schedule: number;
  /** A look at all P's for something to steal. */
  readonly search: number;
  /** From a P's release to the look behind it. */
  readonly release: number;
  /** The way in and out of a system call. */
  readonly syscall: number;
  /** What a call does beyond that, by name. */
  readonly calls: { readonly [name: string]: number };
  /** Each byte that a read or write moves. */
  readonly byte: number;
  /** From the wake-up of a sleeping thread to its first instruction. */
  readonly wakeup: number;
  /** What a sleep that ends by its time-out overruns by: the timer slack of an ordinary thread. */
  readonly slack: number;
  /** A stop of the world by the garbage collector. */
  readonly gcPause: number;
  /** From `schedinit` to the first thread: what the runtime does to get ready. */
  readonly start: number;
  /** What the program's packages do before main. */
  readonly init: number;
  /** From the clone of a thread to its first instruction, and how much longer that is for the first thread, sysmon's. */
  readonly threadStart: number;
  readonly sysmonStart: number;
  /** Who traces the program; null for nobody. */
  readonly tracer: TracerCosts | null;
}

export const defaultCosts: CostModel = {
  step: 3_000,
  schedule: 200,
  search: 100,
  release: 100,
  syscall: 300,
  byte: 0.25,
  calls: {
    accept4: 20_000,
    bind: 2_000,
    clone: 15_000,
    close: 25_000,
    connect: 60_000,
    epoll_ctl: 2_000,
    epoll_pwait: 700,
    futex: 1_500,
    listen: 2_000,
    read: 700,
    socket: 15_000,
    write: 5_000,
  },
  wakeup: 5_000,
  slack: 55_000,
  gcPause: 30_000,
  start: 0,
  init: 0,
  threadStart: 0,
  sysmonStart: 0,
  tracer: null,
};

/**
 * Under `strace -f -yy`: measured on the recordings in `test/runtime/go/recordings`. What the kernel itself does for a call is what
 * stands there between its two stops, without them.
 */
export const straceCosts: CostModel = {
  ...defaultCosts,
  step: 2_500,
  schedule: 800,
  calls: {
    accept4: 3_000,
    bind: 11_000,
    clone: 30_000,
    close: 14_000,
    connect: 23_000,
    epoll_ctl: 2_000,
    epoll_pwait: 1_000,
    futex: 2_000,
    listen: 20_000,
    getpeername: 6_000,
    getsockname: 10_000,
    getsockopt: 6_000,
    read: 6_000,
    socket: 5_000,
    write: 16_000,
  },
  slack: 141_000,
  start: 3_500_000,
  init: 950_000,
  threadStart: 100_000,
  sysmonStart: 2_800_000,
  tracer: { notice: 4_000, handle: 11_000, change: 7_000, lookup: 277_000, lateOneIn: 190, late: 400_000 },
};

/**
 * A table by its name, with figures of one's own: `strace`, or `strace,lookup=300000,slack=90000`.
 *
 * @throws RangeError that says what there is.
 */
export function costsNamed(text: string): CostModel {
  const [name = "", ...figures] = text.split(",");
  let table = costTables[name];
  if (table === undefined) throw new RangeError(`costs '${name}': there are ${Object.keys(costTables).join(" and ")}`);
  for (const figure of figures) table = withFigure(table, figure);
  return table;
}

const costTables: { readonly [name: string]: CostModel } = { plain: defaultCosts, strace: straceCosts };
/** An hour. */
const FIGURE_MAX_NS = 3.6e12;

function withFigure(table: CostModel, text: string): CostModel {
  const [name = "", value = ""] = text.split("=");
  const ns = Number(value);
  if (!/^\d+$/u.test(value) || ns > FIGURE_MAX_NS) {
    throw new RangeError(`costs: '${text}' is no figure: NAME=NANOSECONDS, whole and up to an hour`);
  }
  if (name === "lateOneIn" && ns < 2) throw new RangeError("costs: lateOneIn is a number of stops, at least 2");
  if (table.tracer !== null && name in table.tracer) return { ...table, tracer: { ...table.tracer, [name]: ns } };
  if (name in table.calls) return { ...table, calls: { ...table.calls, [name]: ns } };
  if (name !== "tracer" && name !== "calls" && name in table) return { ...table, [name]: ns };
  const names = [...Object.keys(table), ...Object.keys(table.tracer ?? {}), ...Object.keys(table.calls)];
  throw new RangeError(
    `costs: no figure '${name}'; there are ${names.filter((n) => n !== "tracer" && n !== "calls").join(", ")}`,
  );
}
