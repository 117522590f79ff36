/**
 * One recorded call between its entry and its exit, and how far the model has come with it.
 */
import { Elsewhere, Unmodelled } from "../kernel/lib/assert.ts";
import { UdpSock } from "../kernel/net/inet/udp-sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { BLOCKED, type Task, TaskState } from "../kernel/sched/task.ts";
import { errnoName } from "../kernel/uapi/errno.ts";
import { type Syscall, syscallTable } from "../syscalls/table.ts";
import { decodeEvents, evalBig, evalInt, exitOf, field } from "../trace/abi/evaluate.ts";
import { signature } from "../trace/abi/index.ts";
import { declare, type Signature } from "../trace/abi/signature.ts";
import type { Expr } from "../trace/ast.ts";
import { matches } from "../trace/compare.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { printExpr } from "../trace/printer.ts";
import { type EncodedCall, encodeCall, TraceDecoder, Unreadable, unflatten } from "./arguments.ts";
import { CONSUMERS, STAMP_ERROR_NS } from "./knowledge.ts";
import type { ReplayTask } from "./machine.ts";
import { STATUS, sameTimeLeft, USAGE, withoutSpeed } from "./outputs.ts";
import { type PortMap, type PortSpace, portIn } from "./ports.ts";
import { firstFile, newDescriptors } from "./records.ts";
import { UNKNOWN_BYTE } from "./user-area.ts";

/** `idle`: not begun on the model. `sleeping`: the model's task sleeps in it. `refused`: not modelled. */
export type Progress = "idle" | "sleeping" | "returned" | "refused";

/** Where the recording and the model differ. */
export interface Difference {
  readonly field: string;
  readonly recorded: string;
  readonly predicted: string;
}

const TEXT_MAX = 200;

/** restart_syscall takes no arguments (as pause), and goes on with a sleep that a signal has ended. */
const RESTART: KnownCall = { signature: declare("pause", []), run: restart };

export interface KnownCall {
  readonly signature: Signature;
  readonly run: Syscall;
}

/** The signature and the code of a call that the model knows, or null. */
export function knownCall(name: string): KnownCall | null {
  if (name === "restart_syscall") return RESTART;
  const known = signature(name);
  const run = known === null ? undefined : syscallTable[known.name];
  return known === null || run === undefined ? null : { signature: known, run };
}

/** `restart_syscall`. @throws Unmodelled - the call that was interrupted has left nothing to go on with. */
function restart(task: Task): number {
  const { restartBlock } = task;
  if (restartBlock === null) throw new Unmodelled("restart_syscall of a call that the model has not made");
  return restartBlock.execute(task);
}

/** One event of a recorded epoll_wait. */
export interface WantedEvent {
  /** Without sign, as are the two halves of its datum. */
  readonly events: number;
  readonly low: number;
  readonly high: number;
}

export class ActiveCall {
  readonly record: CallRecord;
  readonly owner: ReplayTask;
  /** What was recorded: errno, result, new descriptors in the order of their allocation. */
  errno: string | null = null;
  value: number | null = null;
  descriptors: readonly number[] = [];
  progress: Progress = "idle";
  /** Result, meaningful once returned. */
  ret = 0;
  /** It was refused because its answer tells of the recorded machine. */
  elsewhere = false;
  /** Why it was refused. */
  reason = "";
  readonly #signature: Signature;
  readonly #run: Syscall;
  readonly #ports: PortMap;
  /** Its new numbers have shown inherited descriptors. */
  inferred = false;
  /** The recording has told something here that it had not told before: an ephemeral port. */
  learnt = false;
  /** A read that is to find no more than this: the rest had not arrived. */
  limit: number | null = null;
  /** Free numbers that it does not get, since others had them while it was under way. */
  passedOver: readonly number[] = [];
  /** A write of an eventfd that is held until a read tells whether it has counted it. */
  awaitsSum = false;
  /** It was given the recorded events although their order is not possible. */
  disorder = false;
  #encoded: EncodedCall | null = null;
  #events: readonly WantedEvent[] | null | undefined;

  constructor(owner: ReplayTask, record: CallRecord, known: KnownCall, ports: PortMap) {
    this.owner = owner;
    this.record = record;
    this.#ports = ports;
    this.#signature = known.signature;
    this.#run = known.run;
    this.readResult();
  }

  /** A call that did not end for very long was entered before its result had been read. */
  readResult(): void {
    const { record } = this;
    const [value] = record.result?.values ?? [];
    this.errno = record.result?.errnos[0] ?? null;
    this.value = value === undefined ? null : evalInt(value);
    this.descriptors = newDescriptors(record);
    this.#events = undefined;
  }

  /** The events of an epoll_wait as recorded; null where they were not. */
  get events(): readonly WantedEvent[] | null {
    if (this.#events === undefined) this.#events = this.#decodeEvents();
    return this.#events;
  }

  #decodeEvents(): readonly WantedEvent[] | null {
    if (this.errno !== null || this.value === null) return null;
    if (this.value === 0) return [];
    const array = this.record.args[1];
    const events = array === undefined ? null : decodeEvents(array);
    if (events === null || events.length !== this.value) return null;
    return events.map(({ events: mask, data }) => {
      return { events: mask, low: Number(data & 0xffff_ffffn), high: Number(data >> 32n) };
    });
  }

  get #portSpace(): PortSpace {
    return this.#ports.of(firstFile(this.owner, this.record));
  }

  get isConsumer(): boolean {
    return CONSUMERS.has(this.record.name);
  }

  /** It waits for a child, and what it was asked for is printed in its second half, which is still far away. */
  get isPartial(): boolean {
    const { name, phase, args } = this.record;
    return phase === "entered" && name.startsWith("wait") && args.length < this.#signature.params.length;
  }

  /** It changes nothing at all. */
  get isQuestion(): boolean {
    return /^p?poll$|select/.test(this.record.name);
  }

  /** Some of its content was cut off in the recording. */
  get opaque(): boolean {
    return this.#encoded?.opaque ?? false;
  }

  /** It was refused, and the recording does not show all that may have been wrong. */
  get untold(): boolean {
    return this.#encoded?.untold ?? false;
  }

  /** Whether the call left no trace on the model, so that it may be tried again later in its interval. */
  get isRepeatable(): boolean {
    if (this.progress === "returned") return this.ret < 0 || (this.ret === 0 && this.isConsumer) || this.isQuestion;
    return this.progress === "idle";
  }

  /** Enters the call on the model. */
  start(): void {
    const { owner } = this;
    if (owner.task.call !== null || owner.task.state !== TaskState.RUNNING) {
      // a damaged recording: the end of its previous call is missing
      this.progress = "refused";
      this.reason = "the task is in another call";
      return;
    }
    try {
      owner.task.kernel.actor = this.record;
      const ret = this.execute();
      this.progress = ret === BLOCKED ? "sleeping" : "returned";
      this.ret = ret;
      if (ret === BLOCKED) owner.task.body = { resume: (_task, result) => this.#returned(result) };
    } catch (error) {
      if (!(error instanceof Unmodelled || error instanceof Unreadable)) throw error;
      this.progress = "refused";
      this.elsewhere = error instanceof Elsewhere;
      this.reason = error.message;
    }
  }

  /** Makes the call on the model. @returns its result, or `BLOCKED`. */
  protected execute(): number {
    const { owner } = this;
    // select answers in its own arguments, so that a second try must not start from the first one's answer
    if (this.isQuestion) this.#encoded = null;
    const { args, phase } = this.record;
    const partial = phase === "entered";
    this.#encoded ??= encodeCall(this.#signature, args, owner.area, this.#portSpace, this.errno, partial);
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = this.#encoded.registers;
    const { observer } = owner.task.kernel;
    if (observer !== null) observer.entered(owner.task, this.record, a);
    const { files } = owner.task.process;
    for (const fd of this.passedOver) files.reserve(fd);
    let ret: number;
    try {
      ret = this.#run(owner.task, a, b, this.limit ?? c, d, e, f);
    } finally {
      for (const fd of this.passedOver) files.unreserve(fd);
    }
    if (observer !== null && ret !== BLOCKED) observer.returned(owner.task, ret);
    return ret;
  }

  #returned(result: number): void {
    this.progress = "returned";
    this.ret = result;
  }

  /** Lets the model's task run as far as it can at the present time. */
  settle(): void {
    const { task } = this.owner;
    try {
      task.kernel.actor = this.record;
      while (this.progress === "sleeping" && task.state === TaskState.RUNNING) task.kernel.runTask(task);
    } catch (error) {
      if (!(error instanceof Unmodelled)) throw error;
      this.progress = "refused";
      this.reason = error.message;
    }
  }

  /** Ends a sleep as a signal does. */
  interrupt(): void {
    if (this.progress !== "sleeping") return;
    const { task } = this.owner;
    task.signalPending = true;
    task.wakeUp();
    this.settle();
    task.signalPending = false;
  }

  /** Compares what the model gave with what was recorded; null when they agree. */
  difference(opaque: boolean): Difference | null {
    const recorded = this.record.result;
    if (recorded === null) return null;
    if (this.progress === "sleeping") {
      return { field: "result", recorded: recordedResult(this.record), predicted: "still asleep" };
    }
    const { errno } = this;
    const value = recorded.values[0];
    const expected = value === undefined ? null : evalBig(value);
    const agrees =
      errno === null
        ? expected !== null && BigInt.asIntN(64, expected) === BigInt(this.ret)
        : errnoName(-this.ret) === errno;
    if (!agrees) return { field: "result", recorded: recordedResult(this.record), predicted: resultText(this.ret) };
    return this.ret < 0 ? null : this.#outputDifference(opaque);
  }

  /** The first bytes that the call left behind its second argument; null when it left none. */
  bytesRead(length: number): Uint8Array | null {
    const buf = this.#encoded?.registers[1];
    return buf === undefined || this.ret < length ? null : this.owner.area.read(buf, length);
  }

  /** Whether an output that strace has not decoded is what lies behind the argument. */
  #holds(index: number, bytes: Uint8Array): boolean {
    const addr = this.#encoded?.registers[index] ?? 0;
    const found = this.owner.area.read(addr, bytes.length);
    return found?.every((byte, i) => byte === bytes[i]) ?? false;
  }

  #outputDifference(opaque: boolean): Difference | null {
    const { owner } = this;
    const encoded = this.#encoded;
    if (encoded === null) return null;
    const socket = this.record.name === "getsockname" ? firstFile(owner, this.record) : null;
    const decoder = new TraceDecoder(this.ret, encoded.registers, owner.area);
    for (const [index, type] of encoded.types.entries()) {
      const recorded = this.record.args[index];
      if (recorded === undefined || !type.output) continue;
      const expected = exitOf(recorded);
      const found = unflatten(type.fromWord(BigInt(encoded.registers[index] ?? 0), decoder));
      if (this.#portSpace.learn(expected, found, socket ?? senderOf(owner, this.record, found))) this.learnt = true;
      const actual = this.#portSpace.toRecorded(found);
      const { name } = this.#signature.params[index] as { readonly name: string };
      if (isAddress(expected) || name === USAGE || name === STATUS || matches(withoutSpeed(expected), actual)) continue;
      if (expected.kind === "str" && actual.kind !== "str" && this.#holds(index, expected.bytes)) continue;
      if ((opaque && matchesKnown(expected, actual)) || sameTimeLeft(expected, actual, STAMP_ERROR_NS)) continue;
      return { field: name, recorded: shorten(printExpr(expected)), predicted: shorten(printExpr(actual)) };
    }
    const described = this.#signature.describe?.(decoder) ?? null;
    const recordedOutput = this.record.result?.output ?? null;
    if (recordedOutput !== null && described !== null && described.output !== null) {
      if (!matches(withoutSpeed(recordedOutput), described.output)) {
        const predicted = shorten(printExpr(described.output));
        return { field: "output", recorded: shorten(printExpr(recordedOutput)), predicted };
      }
    }
    return null;
  }
}

/** The UDP socket on this machine that a received datagram has come from. */
function senderOf(owner: ReplayTask, record: CallRecord, found: Expr): object | null {
  if (record.name !== "recvfrom" && record.name !== "recvmsg") return null;
  const receiver = firstFile(owner, record);
  if (!(receiver instanceof SocketFile) || !(receiver.sk instanceof UdpSock)) return null;
  const address = found.kind === "struct" ? (field(found, "msg_name", 0) ?? found) : found;
  const port = portIn(exitOf(address));
  const { net } = receiver.sk;
  return port === null ? null : (net.udp.lookup(net.addrs.loopback4, port, net.addrs.loopback4, 0)?.file ?? null);
}

/** An output that strace did not decode, or an address in place of one that was not written. */
function isAddress(expr: Expr): boolean {
  return (expr.kind === "int" && expr.base === 16) || (expr.kind === "sym" && expr.name === "NULL");
}

/** Strings agree where both are known: a byte that the recording never showed agrees with anything. */
function matchesKnown(expected: Expr, actual: Expr): boolean {
  if (expected.kind !== "str" || actual.kind !== "str") return false;
  const common = Math.min(expected.bytes.length, actual.bytes.length);
  for (let i = 0; i < common; i += 1) {
    if (actual.bytes[i] !== UNKNOWN_BYTE && expected.bytes[i] !== actual.bytes[i]) return false;
  }
  return expected.bytes.length <= actual.bytes.length;
}

function recordedResult(record: CallRecord): string {
  const { result } = record;
  const [value] = result?.values ?? [];
  const errno = result?.errnos[0] ?? null;
  return `${value === undefined ? "?" : printExpr(value)}${errno === null ? "" : ` ${errno}`}`;
}

function resultText(ret: number): string {
  return ret < 0 ? `-1 ${errnoName(-ret) ?? -ret}` : String(ret);
}

function shorten(text: string): string {
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}...` : text;
}
