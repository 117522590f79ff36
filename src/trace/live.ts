/**
 * Calls of programs on the model, printed while they happen, as strace would: each with its task, its time and its outcome.
 */
import type { SyscallName } from "../kernel/uapi/unistd.ts";
import { type Signature, signature } from "./abi/index.ts";
import { signals } from "./abi/symbols.ts";
import type { CallLine, Line, TimeStamp } from "./ast.ts";
import { sym } from "./build.ts";
import { CallDecoder } from "./call-decoder.ts";
import { parseLine } from "./parser.ts";
import { type Rendered, renderCall } from "./render.ts";
import { Stamp } from "./values.ts";

const NSEC_PER_SEC = 1_000_000_000n;
const BARE_FLAGS = "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS";
const THREAD_FLAGS: string = `${BARE_FLAGS}|CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID`;
const PROCESS_FLAGS = "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD";

/** User memory, as a tracer sees it. */
export interface LiveMemory {
  /** A copy of at most `length` bytes; null where nothing is mapped. */
  peek(addr: number, length: number): Uint8Array | null;
}

/** What a tracer asks of the machine. */
export interface LiveClock {
  /** ns since the epoch at boot. */
  readonly bootEpochNs: bigint;
  /** ns since boot. */
  readonly nowNs: number;
}

/** Reads a call's memory when it is asked; what the call found at its entry is kept. */
class LiveDecoder extends CallDecoder {
  readonly #memory: LiveMemory;
  /** What lay at each address at the entry. */
  readonly #found: Map<number, Uint8Array | null> = new Map();

  constructor(args: readonly number[], memory: LiveMemory) {
    super(args, []);
    this.#memory = memory;
  }

  override before(addr: number, length: number): Uint8Array | null {
    const known = this.#found.get(addr);
    if (known !== undefined && (known === null || known.length >= length)) return known?.subarray(0, length) ?? null;
    if (this.ret !== null) return known ?? null;
    const bytes = this.#memory.peek(addr, length);
    this.#found.set(addr, bytes);
    return bytes;
  }

  override after(addr: number, length: number): Uint8Array | null {
    return this.#memory.peek(addr, length);
  }
}

/** A call in progress. */
interface OpenCall {
  readonly signature: Signature;
  readonly decoder: LiveDecoder;
  readonly time: TimeStamp;
  readonly sinceNs: number;
  /** At the entry. */
  readonly entry: Rendered;
  /** Its first half has been printed. */
  halved: boolean;
}

/** Prints calls; told of them by whoever runs programs. */
export class LiveTrace {
  readonly #clock: LiveClock;
  readonly #print: (line: Line) => void;
  readonly #open: Map<number, OpenCall> = new Map();
  /** Tasks whose beginning has been printed. */
  readonly #begun: Set<number> = new Set();
  /** The task whose call was entered last, if nothing of it is printed yet. */
  #pending: number | null = null;

  constructor(clock: LiveClock, print: (line: Line) => void) {
    this.#clock = clock;
    this.#print = print;
  }

  /** @param args - the six registers. */
  enter(tid: number, name: SyscallName, args: readonly number[], memory: LiveMemory): void {
    this.#printHalf();
    const known = signature(name);
    if (known === null) throw new RangeError(`${name}: the language does not know this system call`);
    this.#begin(tid);
    const decoder = new LiveDecoder(args, memory);
    const { nowNs } = this.#clock;
    const time = this.#stamp(nowNs);
    const entry = renderCall(known, [], decoder);
    this.#open.set(tid, { signature: known, decoder, time, sinceNs: nowNs, entry, halved: false });
    this.#pending = tid;
  }

  exit(tid: number, result: number): void {
    const call = this.#open.get(tid);
    if (call === undefined) return;
    this.#open.delete(tid);
    if (this.#pending === tid) this.#pending = null;
    else this.#printHalf();
    call.decoder.ret = result;
    const { nowNs } = this.#clock;
    const durationNs = nowNs - call.sinceNs;
    const { args, inputs, result: outcome } = renderCall(call.signature, [], call.decoder);
    if (!call.halved) {
      this.#print({ ...callLine(tid, call), args, unfinished: false, result: outcome, durationNs });
      return;
    }
    const time = this.#stamp(nowNs);
    const { name } = call.signature;
    this.#print({
      type: "resumed",
      line: 0,
      task: String(tid),
      time,
      name,
      args: args.slice(inputs),
      result: outcome,
      durationNs,
    });
  }

  spawned(parent: number, child: number, how: "thread" | "bare thread" | "process"): void {
    this.#printHalf();
    this.#begin(parent);
    this.#begun.add(child);
    const flags = { thread: THREAD_FLAGS, "bare thread": BARE_FLAGS, process: PROCESS_FLAGS }[how];
    this.#printMade(parent, `clone(child_stack=NULL, flags=${flags}) = ${child}`);
  }

  /** A process that no task has made begins as one that strace starts: with its execve. */
  #begin(tid: number): void {
    if (this.#begun.has(tid)) return;
    this.#begun.add(tid);
    this.#printMade(tid, 'execve("program", ["program"], NULL) = 0');
  }

  /** A call that programs on the model do not make: the machine has done it for them. */
  #printMade(tid: number, text: string): void {
    const line = parseLine(text, 0);
    if (line.type !== "call") return;
    this.#print({ ...line, task: String(tid), time: this.#stamp(this.#clock.nowNs), durationNs: 0 });
  }

  /** @param status - a wait status. */
  ended(tid: number, status: number): void {
    const call = this.#open.get(tid);
    this.#open.delete(tid);
    if (this.#pending === tid) this.#pending = null;
    else this.#printHalf();
    if (call !== undefined && !call.halved) {
      const died = { values: [sym("?")], errnos: [null], text: null, output: null };
      this.#print({ ...callLine(tid, call), args: call.entry.args, unfinished: false, result: died });
    }
    const signal = status & 0x7f;
    this.#print({
      type: "exit",
      line: 0,
      task: String(tid),
      time: this.#stamp(this.#clock.nowNs),
      how: signal === 0 ? "exited" : "killed",
      status: (status >> 8) & 0xff,
      signal: signal === 0 ? null : (signals.nameOf(BigInt(signal)) ?? String(signal)),
      core: false,
    });
  }

  /** Calls that sleep at the end. */
  finish(): void {
    this.#printHalf();
  }

  #printHalf(): void {
    const tid = this.#pending;
    this.#pending = null;
    const call = tid === null ? undefined : this.#open.get(tid);
    if (tid === null || call === undefined) return;
    call.halved = true;
    const { args, inputs } = call.entry;
    this.#print({ ...callLine(tid, call), args: args.slice(0, inputs), unfinished: true });
  }

  #stamp(nowNs: number): TimeStamp {
    const ns = this.#clock.bootEpochNs + BigInt(nowNs);
    return new Stamp("unix", Number(ns / NSEC_PER_SEC), Number(ns % NSEC_PER_SEC), 9);
  }
}

function callLine(tid: number, { signature: { name }, time }: OpenCall): CallLine {
  return {
    type: "call",
    line: 0,
    task: String(tid),
    time,
    name,
    args: [],
    unfinished: false,
    result: null,
    durationNs: null,
  };
}
