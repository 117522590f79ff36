/**
 * The language of the native agent: frames of bytes over a pair of streams, little-endian.
 *
 * A frame is `u32 length of the rest, u32 id, u8 type, body`. The agent greets with type 0 (id 0): a text of
 * `key=value` lines. The client asks with type 1, a program; the agent answers each, in order, with type 2 and the id of
 * the question, the results.
 *
 * Program: `i32 uid, i32 nofile` (-1: as it is), `u64 watchdogNs, u32 slots`, `u32` sysctls (each `u16 length, name, u16
 * length, value`), `u32` steps. A step is `u8 op` and its fields in the order of `Step` in port.ts; tasks, call numbers
 * are `u16`, addresses `u64`, lengths and slots `u32` (-1: none), a register `u8 0, i64 value` or `u8 1, u32 slot`.
 *
 * Results: `u32` steps, each `u8 flags` (1: `i64 ret` follows; 2: `u32 length, bytes`; 4: `u16` woken tasks, each `u16`);
 * then `u8 end, u16 length, reason`.
 *
 * Type 3 asks for many runs: `u32 runs, u64 seed`, then a program. The answer, type 4: `u32 runs, u32` different results, each
 * `u32 count, u32 length`, and the body of a type 2. The seed staggers the calls of a race, run by run. Of an fdinfo these
 * results have the item lines only, as far as they are the same in every run.
 *
 * Counterpart: `agent/protocol.c`.
 */
import { Nr } from "../kernel/uapi/unistd.ts";
import type { PortProgram, PortResult, RaceTally, Register, Setup, Step, StepResult } from "../syscalls/port.ts";

/** Version of the protocol; the greeting of an agent must name the same one. */
export const PROTOCOL_VERSION = 3;

/** Longest frame that an agent accepts or sends, in bytes. */
export const MAX_FRAME_BYTES: number = 64 * 1024 * 1024;

/** Frame types. */
export const FrameType = { GREETING: 0, RUN: 1, RESULT: 2, TALLY: 3, TALLIED: 4 } as const;

/** Bytes in front of a frame's body: length, id, type. */
export const FRAME_HEADER_BYTES = 9;

const Op = {
  poke: 1,
  pokeSlot: 2,
  call: 3,
  await: 4,
  blocked: 5,
  peek: 6,
  peekSlot: 7,
  thaw: 8,
  spawn: 9,
  fdinfo: 10,
  pollMask: 11,
  settle: 12,
  race: 13,
} as const;

const ENDS = ["done", "unsupported", "timeout", "crashed"] as const;

const TWO_32 = 2 ** 32;

/** The call number that no kernel has: what a name outside of the table is sent as, for the agent to refuse. */
const NO_CALL = 0xffff;

/** A frame under construction: grows, and is handed out as one buffer. */
class FrameWriter {
  #buffer: Buffer = Buffer.allocUnsafe(1024);
  #at = FRAME_HEADER_BYTES;

  #room(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (this.#at > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#at));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#buffer[at] = value;
  }

  u16(value: number): void {
    const at = this.#room(2);
    this.#buffer.writeUInt16LE(value, at);
  }

  /** Also takes negative numbers: two's complement. */
  u32(value: number): void {
    const at = this.#room(4);
    this.#buffer.writeUInt32LE(value >>> 0, at);
  }

  /** Any integer that a double holds exactly, negative or above 2^63: modulo 2^64. */
  u64(value: number): void {
    const at = this.#room(8);
    this.#buffer.writeUInt32LE(value >>> 0, at);
    this.#buffer.writeUInt32LE(Math.floor(value / TWO_32) >>> 0, at + 4);
  }

  bytes(value: Uint8Array): void {
    const at = this.#room(value.length);
    this.#buffer.set(value, at);
  }

  text(value: string): void {
    const bytes = Buffer.from(value);
    this.u16(bytes.length);
    this.bytes(bytes);
  }

  finish(type: number): Buffer {
    this.#buffer.writeUInt32LE(this.#at - 4, 0);
    this.#buffer.writeUInt32LE(0, 4);
    this.#buffer[8] = type;
    return this.#buffer.subarray(0, this.#at);
  }
}

function writeRegister(out: FrameWriter, register: Register): void {
  if (typeof register === "number") {
    out.u8(0);
    out.u64(register);
  } else {
    out.u8(1);
    out.u32(register.slot);
  }
}

function writeCall(out: FrameWriter, step: Extract<Step, { op: "call" }>): void {
  out.u16(step.task);
  out.u16(Nr[step.name] ?? NO_CALL);
  out.u8(step.wait ? 1 : 0);
  out.u32(step.slot ?? -1);
  out.u8(step.args.length);
  for (const register of step.args) writeRegister(out, register);
}

function writeStep(out: FrameWriter, step: Step): void {
  if (step.op === "network") throw new RangeError("a real machine has no simulated network");
  out.u8(Op[step.op]);
  switch (step.op) {
    case "poke":
      out.u64(step.addr);
      out.u32(step.bytes.length);
      out.bytes(step.bytes);
      break;
    case "pokeSlot":
      out.u64(step.addr);
      out.u8(step.size);
      out.u32(step.slot);
      break;
    case "call":
      writeCall(out, step);
      break;
    case "await":
    case "blocked":
      out.u16(step.task);
      break;
    case "peek":
      out.u64(step.addr);
      out.u32(step.length);
      break;
    case "peekSlot":
      out.u64(step.addr);
      out.u32(step.slot);
      break;
    case "thaw":
      out.u32(step.page);
      break;
    case "spawn":
      out.u16(step.task);
      out.u16(step.parent);
      out.u8(step.as === "process" ? 1 : 0);
      out.u32(step.flags);
      break;
    case "fdinfo":
    case "pollMask":
      out.u16(step.task);
      writeRegister(out, step.fd);
      break;
    case "settle":
      break;
    case "race":
      out.u16(step.lanes.length);
      for (const { task, steps, spins } of step.lanes) {
        out.u16(task);
        out.u32(steps);
        out.u32(spins);
      }
      break;
  }
}

function writeSetup(out: FrameWriter, setup: Setup): void {
  out.u32(setup.uid ?? -1);
  out.u32(setup.nofile ?? -1);
  out.u64(setup.watchdogNs);
  out.u32(setup.slots);
  out.u32(setup.sysctls.size);
  for (const [name, value] of setup.sysctls) {
    out.text(name);
    out.text(value);
  }
}

/** The frame that asks for a run of the program. Its id is still 0; see `setFrameId`. */
export function encodeProgram(program: PortProgram): Buffer {
  const out = new FrameWriter();
  writeProgram(out, program);
  return out.finish(FrameType.RUN);
}

/** The frame that asks for many runs. @param seed - a whole number */
export function encodeTally(program: PortProgram, runs: number, seed: number): Buffer {
  const out = new FrameWriter();
  out.u32(runs);
  out.u64(seed);
  writeProgram(out, program);
  return out.finish(FrameType.TALLY);
}

function writeProgram(out: FrameWriter, program: PortProgram): void {
  writeSetup(out, program.setup);
  out.u32(program.steps.length);
  for (const step of program.steps) writeStep(out, step);
}

/** Put the id into a frame. */
export function setFrameId(frame: Buffer, id: number): void {
  frame.writeUInt32LE(id, 4);
}

const NOBODY: readonly number[] = [];

/** Reads one after the other; a field behind the end is an error, never a silent zero. */
class FrameReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(body: Buffer) {
    this.#buffer = body;
  }

  u8(): number {
    const value = this.#buffer.readUInt8(this.#at);
    this.#at += 1;
    return value;
  }

  u16(): number {
    const value = this.#buffer.readUInt16LE(this.#at);
    this.#at += 2;
    return value;
  }

  u32(): number {
    const value = this.#buffer.readUInt32LE(this.#at);
    this.#at += 4;
    return value;
  }

  i64(): number {
    const low = this.#buffer.readUInt32LE(this.#at);
    const high = this.#buffer.readInt32LE(this.#at + 4);
    this.#at += 8;
    return high * TWO_32 + low;
  }

  /** A copy: the frame's own memory is reused. */
  bytes(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#buffer.length) throw new RangeError("a field ends behind its frame");
    const copy = new Uint8Array(this.#buffer.subarray(this.#at, end));
    this.#at = end;
    return copy;
  }
}

function readStepResult(from: FrameReader): StepResult {
  const flags = from.u8();
  const ret = flags & 1 ? from.i64() : null;
  const bytes = flags & 2 ? from.bytes(from.u32()) : null;
  let woke = NOBODY;
  if (flags & 4) woke = Array.from({ length: from.u16() }, () => from.u16());
  return { ret, bytes, woke };
}

/** @throws Error if the body is not what an agent sends. */
export function decodeResult(body: Buffer): PortResult {
  const from = new FrameReader(body);
  const count = from.u32();
  const steps: StepResult[] = [];
  for (let i = 0; i < count; i += 1) steps.push(readStepResult(from));
  const end = ENDS[from.u8()];
  if (end === undefined) throw new Error("the agent ended a program in an unknown way");
  return { steps, end, reason: Buffer.from(from.bytes(from.u16())).toString() };
}

/** @throws Error if the body is not what an agent sends. */
export function decodeTally(body: Buffer): RaceTally {
  const from = new FrameReader(body);
  const runs = from.u32();
  const results = Array.from({ length: from.u32() }, () => {
    const count = from.u32();
    return { count, result: decodeResult(Buffer.from(from.bytes(from.u32()))) };
  });
  return { runs, results };
}
