/**
 * A program with a look at everything after each call: what poll(2) says of every descriptor, and its fdinfo.
 *
 * To look is to touch: polling an epoll drops stale entries from its ready list (E-179). Both worlds are looked at in the same
 * way, so they must still agree; but a script may come out otherwise than it does without the looks.
 */
import type { PortProgram, PortResult, Step, StepResult } from "../syscalls/port.ts";
import { pollFlags } from "../trace/abi/symbols.ts";
import { latin1, portableFdinfo } from "../trace/fdinfo.ts";
import { printExpr } from "../trace/printer.ts";
import type { Lowered } from "../trace/source-map.ts";
import { onlyDifferent } from "./judge.ts";

/** A look at one descriptor. */
interface Probe {
  /** Index of the script line behind which it stands. */
  readonly line: number;
  readonly call: string;
  readonly step: number;
  readonly fd: number;
  readonly what: "poll_mask" | "fdinfo";
}

/** A difference that a look showed. */
export interface StateFinding {
  readonly line: number;
  readonly call: string;
  readonly field: string;
  readonly model: string;
  readonly target: string;
}

const FIRST_FD = 3;
/** Most descriptors to look at: a look at each costs two steps a call. */
const FDS_MAX = 32;

/** A lowered script with looks between its steps. */
export class ProbedProgram {
  readonly program: PortProgram;
  readonly #lowered: Lowered;
  readonly #probes: readonly Probe[];
  readonly #isProbe: readonly boolean[];

  constructor(lowered: Lowered) {
    this.#lowered = lowered;
    const end = fdEnd(lowered);
    const steps: Step[] = [];
    const isProbe: boolean[] = [];
    const probes: Probe[] = [];
    const behind = probePoints(lowered);
    for (const [index, step] of lowered.program.steps.entries()) {
      steps.push(step);
      isProbe.push(false);
      const point = behind.get(index);
      if (point === undefined) continue;
      const { task, line, call } = point;
      for (let fd = FIRST_FD; fd < end; fd += 1) {
        probes.push({ line, call, fd, what: "poll_mask", step: steps.length });
        steps.push({ op: "pollMask", task, fd });
        probes.push({ line, call, fd, what: "fdinfo", step: steps.length });
        steps.push({ op: "fdinfo", task, fd });
        isProbe.push(true, true);
      }
    }
    this.program = { setup: lowered.program.setup, steps };
    this.#probes = probes;
    this.#isProbe = isProbe;
  }

  /** The result without the looks: that of the script itself. */
  strip(result: PortResult): PortResult {
    return { ...result, steps: result.steps.filter((_step, index) => !this.#isProbe[index]) };
  }

  /** Where the looks differ; only the first difference of each line. */
  compare(inModel: PortResult, inTarget: PortResult): StateFinding[] {
    const findings = new Map<number, StateFinding>();
    for (const probe of this.#probes) {
      const a = inModel.steps[probe.step];
      const b = inTarget.steps[probe.step];
      if (a === undefined || b === undefined || findings.has(probe.line)) continue;
      const text = (step: StepResult): string => (probe.what === "fdinfo" ? fdinfo(step) : pollMask(step));
      const { line, call, fd, what } = probe;
      if (text(a) === text(b)) continue;
      const [model, target] = what === "fdinfo" ? onlyDifferent(text(a), text(b)) : [text(a), text(b)];
      findings.set(line, { line, call, field: `${what}(${fd}) behind it`, model, target });
    }
    return [...findings.values()];
  }

  /** Why the looks make no sense for this script; null if they do. */
  get unfit(): string | null {
    const frozen = this.#lowered.plans.some((plan) => plan.kind === "query" && plan.name === "thaw");
    return frozen ? "a look would wait for the end of the scan that the script freezes" : null;
  }
}

/** Lines in ascending order: an epoll's items stand in that of addresses. */
function fdinfo({ bytes }: StepResult): string {
  return bytes === null ? "none" : portableFdinfo(latin1(bytes)).split("\n").sort().join("\n");
}

function pollMask({ ret }: StepResult): string {
  return printExpr(pollFlags.printFlags(BigInt.asUintN(16, BigInt(ret ?? 0))));
}

interface Point {
  readonly task: number;
  readonly line: number;
  readonly call: string;
}

/** The last step of each call that returned at once: then its task can look. */
function probePoints({ plans }: Lowered): Map<number, Point> {
  const points = new Map<number, Point>();
  for (const plan of plans) {
    if (plan.kind !== "call" || plan.resultStep !== plan.callStep) continue;
    points.set(plan.steps.to - 1, { task: plan.task, line: plan.line, call: plan.signature.name });
  }
  return points;
}

/** One more than the highest descriptor that the script can have: numbers are given out from the lowest up. */
function fdEnd({ plans }: Lowered): number {
  let opened = 0;
  for (const plan of plans) {
    if (plan.kind !== "call") continue;
    if (OPENS_ONE.test(plan.signature.name)) opened += 1;
    else if (OPENS_TWO.test(plan.signature.name)) opened += 2;
  }
  return FIRST_FD + Math.min(opened, FDS_MAX);
}

const OPENS_ONE =
  /^(open|openat|epoll_create1?|eventfd2?|timerfd_create|signalfd4?|dup[23]?|fcntl|socket|accept4?|memfd_create|pidfd_open|inotify_init1?)$/;
const OPENS_TWO = /^(pipe2?|socketpair)$/;
