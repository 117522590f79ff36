/**
 * From a recorded call to registers and memory, and back.
 *
 * The signatures of src/trace/abi do the work; this is what they need to put a recorded call into the model's memory.
 */
import type { Decoder, Encoder, WordType } from "../trace/abi/context.ts";
import { entryOf, evalBig, evalInt } from "../trace/abi/evaluate.ts";
import type { Image, Word } from "../trace/abi/image.ts";
import { paramTypes, type Signature } from "../trace/abi/signature.ts";
import type { AtExpr, Expr, StrExpr } from "../trace/ast.ts";
import { hex } from "../trace/build.ts";
import { printExpr } from "../trace/printer.ts";
import { NAMED_BY_PATH } from "./knowledge.ts";
import type { PortSpace } from "./ports.ts";
import { BUFFER_MAX, type UserArea } from "./user-area.ts";

/** Below this an integer in hexadecimal is a number; above, an address in the recorded process. */
const LOWEST_ADDRESS = 0x1000_0000n;

/**
 * Stands for a slash in the names of sockets and FIFOs: the directories of the recorded machine are not known, so each path
 * becomes one name in the model's working directory.
 */
const SLASH = "/".charCodeAt(0);
const FLAT_SLASH = 1;

/** A path as the model knows it. */
export function flatten(expr: StrExpr): StrExpr {
  return { ...expr, bytes: expr.bytes.map((byte) => (byte === SLASH ? FLAT_SLASH : byte)) };
}

/** Turns the model's names in a socket address back into paths. */
export function unflatten(expr: Expr): Expr {
  switch (expr.kind) {
    case "named":
      return { ...expr, value: expr.name === "sun_path" ? unflattenName(expr.value) : unflatten(expr.value) };
    case "array":
      return { ...expr, items: expr.items.map(unflatten) };
    case "struct":
      return { ...expr, fields: expr.fields.map(unflatten) };
    default:
      return expr;
  }
}

function unflattenName(expr: Expr): Expr {
  if (expr.kind !== "str") return expr;
  return { ...expr, bytes: expr.bytes.map((byte) => (byte === FLAT_SLASH ? SLASH : byte)) };
}

/** A recorded argument that cannot be turned into a value: abbreviated, or of a form that nobody knows. */
export class Unreadable extends Error {}

/** The time-out of epoll_pwait2. */
const TIMEOUT = 3;
const FRESH: AtExpr = { kind: "at", place: "fresh", offset: 0, content: null };

/** A call in the model's terms. */
export interface EncodedCall {
  readonly types: readonly WordType[];
  readonly registers: readonly number[];
  /** Some of the content was cut off in the recording. */
  readonly opaque: boolean;
  /** It was refused, and the recording does not show all that may have been wrong. */
  readonly untold: boolean;
}

/**
 * Puts the inputs of a call into `area`.
 *
 * @param errno - as recorded: with EFAULT addresses stay what they are, and point nowhere.
 * @param partial - what strace prints when the call returns is not known yet: outputs get memory all the same.
 * @throws Unreadable
 */
export function encodeCall(
  signature: Signature,
  args: readonly Expr[],
  area: UserArea,
  ports: PortSpace,
  errno: string | null,
  partial: boolean,
): EncodedCall {
  area.reset();
  const pathIndex = NAMED_BY_PATH.get(signature.name);
  const lengths = new Map<StrExpr, number>();
  const mapped = args.map((arg, index) => {
    if (index === pathIndex && arg.kind === "str") return flatten(arg);
    measure(arg, args[index + 1], lengths);
    return ports.toModel(prepare(arg));
  });
  const prepared = errno === "EFAULT" ? mapped : mapped.map(relocate);
  const encoder = new TraceEncoder(prepared, signature, area, lengths);
  const types = paramTypes(signature, (index) => encoder.argValue(index));
  const registers = types.map((type, index) => {
    // an address of which nobody knows what lies behind it stays a number
    const shown = type.target === null ? mapped[index] : prepared[index];
    const expr = shown ?? (partial && type.output ? FRESH : undefined);
    const word = expr === undefined ? signature.params[index]?.missing : type.toWord(expr, encoder);
    if (word === undefined || word === null) throw new Unreadable(`${signature.name} without argument ${index + 1}`);
    if (typeof word === "number") return word;
    if (typeof word !== "bigint") throw new Unreadable("a name in a recording");
    return Number(BigInt.asIntN(64, word));
  });
  area.settle();
  // strace tells this call's time-out behind it, and only of one that succeeded
  const isHidden = signature.name === "epoll_pwait2" && prepared[TIMEOUT] === FRESH;
  const isCut = args.some((arg) => arg.kind === "str" && arg.truncated && !lengths.has(arg));
  const untold = errno === "EINVAL" && (isHidden || isCut);
  return { types, registers, opaque: lengths.size > 0, untold };
}

/** Recorded addresses mean nothing here: an argument that shows only one gets fresh memory of the right size. */
function relocate(expr: Expr): Expr {
  if (expr.kind !== "int" || expr.base !== 16 || expr.value < LOWEST_ADDRESS) return expr;
  return FRESH;
}

/** Names of sockets as the model knows them. */
function prepare(expr: Expr): Expr {
  switch (expr.kind) {
    case "named": {
      const isPath = expr.name === "sun_path" && expr.value.kind === "str";
      const value = isPath ? flatten(expr.value as StrExpr) : prepare(expr.value);
      return value === expr.value ? expr : { ...expr, value };
    }
    case "array": {
      const items = expr.items.map(prepare);
      return items.some((item, index) => item !== expr.items[index]) ? { ...expr, items } : expr;
    }
    case "struct": {
      const fields = expr.fields.map(prepare);
      return fields.some((field, index) => field !== expr.fields[index]) ? { ...expr, fields } : expr;
    }
    default:
      return expr;
  }
}

/**
 * Notes how long the strings are that the recording cut off, where that is known: behind them, or beside them in an iovec.
 *
 * @param next - what stands behind the expression.
 */
function measure(expr: Expr, next: Expr | undefined, lengths: Map<StrExpr, number>): void {
  switch (expr.kind) {
    case "str": {
      const length = expr.truncated && next !== undefined ? evalInt(entryOf(next)) : null;
      if (length !== null && length > expr.bytes.length) lengths.set(expr, Math.min(length, BUFFER_MAX));
      return;
    }
    case "named":
      if (expr.name !== "sun_path") measure(expr.value, next, lengths);
      return;
    case "array":
      for (const item of expr.items) measure(item, undefined, lengths);
      return;
    case "struct":
      for (const [index, field] of expr.fields.entries()) measure(field, expr.fields[index + 1], lengths);
      return;
    default:
      return;
  }
}

class TraceEncoder implements Encoder {
  readonly #args: readonly Expr[];
  readonly #signature: Signature;
  readonly #area: UserArea;
  readonly #lengths: ReadonlyMap<StrExpr, number>;

  constructor(args: readonly Expr[], signature: Signature, area: UserArea, lengths: ReadonlyMap<StrExpr, number>) {
    this.#args = args;
    this.#signature = signature;
    this.#area = area;
    this.#lengths = lengths;
  }

  lengthOf(expr: StrExpr): number {
    return this.#lengths.get(expr) ?? expr.bytes.length;
  }

  arg(index: number): Expr | null {
    const expr = this.#args[index];
    return expr === undefined ? null : entryOf(expr);
  }

  argValue(index: number): number | null {
    const expr = this.arg(index);
    if (expr === null) return this.#signature.params[index]?.missing ?? null;
    const boxed = expr.kind === "array" && expr.items.length === 1 ? expr.items[0] : expr;
    return boxed === undefined ? null : evalInt(entryOf(boxed));
  }

  word(expr: Expr): Word {
    const value = evalBig(entryOf(expr));
    return value ?? this.fail(expr, printExpr(expr), "a number");
  }

  /** The signatures cap a buffer at 1 MiB; a call that was told of more may use more. */
  reserve(size: number): number {
    const length = size >= 1024 * 1024 ? Math.max(size, this.argValue(2) ?? 0) : size;
    return this.#area.reserve(length);
  }

  place(_expr: AtExpr, room: number): number {
    return this.reserve(room);
  }

  poke(addr: number, image: Image): void {
    const { content, size } = image;
    if (content === null) this.#area.write(addr, image.bytes);
    else this.#area.writeCut(addr, content, size);
  }

  /** Nothing to do: the model's memory is there to be looked at. */
  output(): void {}

  expect(): void {}

  hasUnbound(): boolean {
    return false;
  }

  fail(_expr: Expr, found: string, expected: string): never {
    throw new Unreadable(`${found}, where ${expected} was needed`);
  }
}

/** Reads back what a call left in memory. */
export class TraceDecoder implements Decoder {
  readonly ret: number;
  readonly #registers: readonly number[];
  readonly #area: UserArea;

  constructor(ret: number, registers: readonly number[], area: UserArea) {
    this.ret = ret;
    this.#registers = registers;
    this.#area = area;
  }

  arg(index: number): number {
    return this.#registers[index] ?? 0;
  }

  /** What the call changed is compared as it is behind the call; the rest still stands as it was put there. */
  before(addr: number, length: number): Uint8Array | null {
    return this.#area.read(addr, length);
  }

  after(addr: number, length: number): Uint8Array | null {
    return this.#area.read(addr, length);
  }

  address(addr: bigint): Expr {
    return hex(addr);
  }
}
