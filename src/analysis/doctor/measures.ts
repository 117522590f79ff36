/**
 * How well a loop does: wake-ups for each useful event (D-022), time from readiness to service (D-023).
 */
import { Kind } from "../../kernel/causal-kinds.ts";
import { Epoll } from "../../kernel/uapi/epoll.ts";
import { indexOf } from "../explain/history.ts";
import { type Finding, kinds } from "./finding.ts";
import { COUNTERS, evidenceOf, isArrival, isWait, type Patient, type Step } from "./patient.ts";

/** One loop: a task and the epoll that it waits on. */
export interface LoopMeasure {
  readonly task: string | null;
  readonly epfd: number | null;
  /** Waits that ended. */
  readonly waits: number;
  /** Those that reported nothing. */
  readonly empty: number;
  /** Events reported, and those after which the task did something with their descriptor that worked. */
  readonly events: number;
  readonly useful: number;
  /** Times the task was woken; null without any sleep. */
  readonly wakeups: number;
  /** From the call that made a descriptor ready to the first use that worked, in ms; null without times. */
  readonly service: Percentiles | null;
  /** The slowest descriptors, slowest first. */
  readonly slowest: readonly SlowFd[];
}

export interface Percentiles {
  readonly n: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

export interface SlowFd extends Percentiles {
  readonly fd: number;
  /** Line of its slowest service. */
  readonly line: number;
}

/** A wait's events served. */
interface Service {
  readonly fd: number;
  readonly ms: number;
  readonly from: number;
  readonly to: Step;
}

const SLOWEST_SHOWN = 5;
/** Wake-ups for a useful event, and a number of them, that are worth a note. */
const WAKEUPS_MAX = 2;
const WAKEUPS_MIN = 32;
/** A slow service: p99 above, with so many samples. */
const SLOW_MS = 100;
const SAMPLES_MIN = 20;

interface Loop {
  readonly step: Step;
  readonly waits: Step[];
  events: number;
  useful: number;
  readonly services: Service[];
}

function loopsOf(patient: Patient): Map<string, Loop> {
  const { log } = patient.evidence;
  const loops = new Map<string, Loop>();
  for (const step of patient.steps) {
    if (!isWait(step) || step.file === 0) continue;
    const key = `${step.task} ${step.file}`;
    const loop = loops.get(key) ?? { step, waits: [], events: 0, useful: 0, services: [] };
    loops.set(key, loop);
    loop.waits.push(step);
    const delivered = patient.history.ofCall(step.id).filter((id) => log.kind(id) === Kind.DELIVERED);
    if (delivered.length === 0) continue;
    const next = patient.nextWait(step.task, step.file, step.end)?.id ?? log.end;
    for (const event of delivered) {
      if (!patient.isTrusted(log.item(log.subject(event)).file) || isBareWakeUp(patient, event)) continue;
      loop.events += 1;
      const use = firstUse(patient, event, next);
      if (use === null) continue;
      loop.useful += 1;
      noteService(patient, loop, event, use);
    }
  }
  return loops;
}

/** A counter that is watched edge-triggered has done all that it is for when it has woken the loop: nobody need read it. */
function isBareWakeUp(patient: Patient, event: number): boolean {
  const { log } = patient.evidence;
  const item = log.subject(event);
  const link = log.file(log.item(item).file)?.link ?? "";
  return COUNTERS.test(link) && (patient.maskAt(item, event) & Epoll.ET) !== 0;
}

/**
 * What was done because of an event: the first call on its description that worked, by anybody, before the task waits again.
 * Asking for SO_ERROR answers a connection that has come about, and close a hang-up.
 */
function firstUse(patient: Patient, event: number, next: number): Step | null {
  const { file } = patient.evidence.log.item(patient.evidence.log.subject(event));
  return patient.between(file, event, next).find((step) => (step.ret ?? -1) >= 0) ?? null;
}

function noteService(patient: Patient, loop: Loop, event: number, use: Step): void {
  const { log } = patient.evidence;
  const ready = readySince(patient, event);
  const cause = ready === 0 ? null : patient.stepOf(ready);
  if (cause === null) return;
  const ms = patient.msBetween(cause, use);
  if (ms !== null && ms >= 0) loop.services.push({ fd: log.item(log.subject(event)).fd, ms, from: ready, to: use });
}

/**
 * The first wake-up (or ADD, MOD) since the report before that found the item ready: one that is level-triggered may be on the
 * list already. 0 when it was only put back: it waited for service before.
 */
function readySince(patient: Patient, event: number): number {
  const { log } = patient.evidence;
  const events = patient.history.ofItem(log.subject(event));
  let ready = 0;
  for (let index = indexOf(events, event) - 1; index >= 0; index -= 1) {
    const id = events[index] as number;
    const kind = log.kind(id);
    if (kind === Kind.DELIVERED || kind === Kind.DROPPED) break;
    if (isArrival(log, id)) ready = id;
  }
  return ready;
}

function measure(patient: Patient, { step, waits, events, useful, services }: Loop): LoopMeasure {
  const { log } = patient.evidence;
  const ended = waits.filter(({ end }) => end < log.end);
  const slept = waits.flatMap(({ id }) => patient.history.ofCall(id).filter((event) => log.kind(event) === Kind.WAITS));
  return {
    task: patient.taskName(step),
    epfd: step.fd,
    waits: ended.length,
    empty: ended.filter(({ ret }) => ret === 0).length,
    events,
    useful,
    wakeups: slept.length,
    service: percentiles(services.map(({ ms }) => ms)),
    slowest: slowestOf(services),
  };
}

function percentiles(values: readonly number[]): Percentiles | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number);
  return { n: sorted.length, p50_ms: at(0.5), p99_ms: at(0.99) };
}

const round = (ms: number): number => Number(ms.toFixed(3));

function slowestOf(services: readonly Service[]): SlowFd[] {
  const byFd = new Map<number, Service[]>();
  for (const service of services) {
    const list = byFd.get(service.fd);
    if (list === undefined) byFd.set(service.fd, [service]);
    else list.push(service);
  }
  const slow = [...byFd].map(([fd, list]) => {
    const worst = list.reduce((a, b) => (b.ms > a.ms ? b : a));
    return { fd, ...(percentiles(list.map(({ ms }) => ms)) as Percentiles), line: worst.to.line };
  });
  return slow.sort((a, b) => b.p99_ms - a.p99_ms).slice(0, SLOWEST_SHOWN);
}

/** The loops of a trace, the busiest first, and what is to say about them. */
export function measureLoops(patient: Patient): { loops: LoopMeasure[]; findings: Finding[] } {
  const loops: LoopMeasure[] = [];
  const findings: Finding[] = [];
  for (const loop of loopsOf(patient).values()) {
    const measured = measure(patient, loop);
    loops.push(measured);
    findings.push(...inVain(loop, measured), ...slow(patient, loop, measured));
  }
  return { loops: loops.sort((a, b) => b.events - a.events), findings };
}

function* inVain({ waits }: Loop, { events, useful, task, epfd }: LoopMeasure): Generator<Finding, void, undefined> {
  if (events < WAKEUPS_MIN || events <= useful * WAKEUPS_MAX) return;
  const empty = waits.filter((wait) => (wait.ret ?? 0) > 0).slice(0, 3);
  yield {
    kind: kinds.wakeups,
    severity: "note",
    message: `epoll ${epfd ?? "?"}: ${events} events, and ${useful} of them led to a call that did something`,
    evidence: empty.map((step) => evidenceOf(step, "one of the waits")),
    fd: epfd,
    task,
    count: events - useful,
  };
}

function* slow(
  patient: Patient,
  { services }: Loop,
  { service, task, epfd }: LoopMeasure,
): Generator<Finding, void, undefined> {
  if (service === null || service.n < SAMPLES_MIN || service.p99_ms < SLOW_MS) return;
  const worst = services.reduce((a, b) => (b.ms > a.ms ? b : a));
  yield {
    kind: kinds.latency,
    severity: "note",
    message: `epoll ${epfd ?? "?"}: from ready to served ${service.p50_ms} ms in the median, ${service.p99_ms} ms in one of 100`,
    evidence: [
      patient.at(worst.from, `fd ${worst.fd} becomes ready`),
      evidenceOf(worst.to, `and is served ${round(worst.ms)} ms later`),
    ],
    fd: worst.fd,
    task,
    count: service.n,
  };
}
