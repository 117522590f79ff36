/**
 * The state of a race as a short text: two races with the same text go on in the same way, whoever runs next.
 *
 * Every object that can be reached is gone through, field by field, and numbered in the order in which it is met, so that the
 * shape counts and no address. Two states may get different texts although nobody could tell them apart (a counter, what is
 * left in an object that is over); that costs time and loses nothing. The other way round would lose outcomes, so whatever
 * cannot be looked into makes a state that equals no other: classes with a private field that their method `privateFields` does
 * not name, and functions but for the very same one. What remains is chance: the texts are 128 bits of a hash.
 */
import { EpollWaitCall } from "../kernel/fs/eventpoll/send-events.ts";
import { FdTable } from "../kernel/fs/fdtable.ts";
import { DeviceInode } from "../kernel/fs/mem.ts";
import { ProcInode } from "../kernel/fs/procfs.ts";
import { Kernel } from "../kernel/kernel.ts";
import { PageAllocator } from "../kernel/mm/page.ts";
import { Net } from "../kernel/net/net.ts";
import { SkbPool } from "../kernel/net/skbuff.ts";
import { Task } from "../kernel/sched/task.ts";
import { Clock, Hrtimer } from "../kernel/time/hrtimer.ts";
import { Race } from "../syscalls/race.ts";

/**
 * Fields that say nothing of what will happen: constants; whoever drives and watches; objects that are over and kept for
 * reuse; the order in which tasks were woken, since in a race their turn is somebody else's choice; marks that are set right
 * before they are read; the order of arming, which the clock's own list shows.
 */
const LEFT_OUT: ReadonlyMap<object, readonly string[]> = new Map<object, readonly string[]>([
  [
    Kernel.prototype,
    [
      ...[
        "profile",
        "chooser",
        "exploring",
        "actor",
        "runqueue",
        "contended",
        "epollWaitFree",
        "pollFree",
        "selectFree",
      ],
      ...["#observer", "#userExits"], // a way to user mode is its task's call while it has a state
    ],
  ],
  [ProcInode.prototype, ["content"]], // goes with the place in the tree
  [Race.prototype, ["#steps"]],
  [Task.prototype, ["body", "runLink"]],
  [Clock.prototype, ["observer", "#seq"]],
  [PageAllocator.prototype, ["#free"]],
  [SkbPool.prototype, ["#free", "#count"]],
  [EpollWaitCall.prototype, ["#free"]],
  [Net.prototype, ["#creds"]], // made from what a process is, when first asked for
  [DeviceInode.prototype, ["#open"]], // goes with the device's number
  [Hrtimer.prototype, ["seq", "index"]],
  [FdTable.prototype, ["get", "getRaw", "take", "replace", "reserve", "setCloexec"]], // methods, which the tracker replaces
]);

/** What a task in user mode keeps of its latest call. */
const OF_CALL: readonly string[] = ["regs", "restartBlock", "iter", "timedOut"];

/** A private field's declaration in the source text of a class. */
const PRIVATE_FIELD = /[{;\n]\s*(#[\w$]+)\s*[=;]/gu;

/** What is known of a class. */
interface Kind {
  readonly number: number;
  /** Names of the fields to look at, the same ones in every object; null for objects without a class, which differ. */
  readonly fields: readonly string[] | null;
  /** Methods that show private fields, the class's own first. */
  readonly shown: readonly (() => unknown[])[];
  /** It or a class that it extends keeps private fields to itself. */
  readonly opaque: boolean;
}

/** What stands in front of a value, so that a number is no text. */
const Tag = { FALSE: 2, TRUE: 3, TEXT: 4, BIG: 5, UNDEFINED: 6, NULL: 7, OBJECT: 8, FUNCTION: 9, REAL: 10 } as const;

/** Reads states that are compared among each other. */
export class StateReader {
  readonly #kinds = new Map<object, Kind>();
  /** Functions that have been met: the same ones in every machine, unless one belongs to a machine. */
  readonly #functions = new Map<object, number>();
  readonly #names = new Map<string, number>();
  /** Objects of the present state, in the order in which they are met. */
  readonly #objects: object[] = [];
  readonly #numbers = new Map<object, number>();
  readonly #real = new Float64Array(1);
  readonly #halves = new Int32Array(this.#real.buffer);
  readonly #hash = new Uint16Array(8);
  readonly #lanes = new Int32Array(this.#hash.buffer);
  #opaque = false;

  /** @returns the state of all that can be reached from `root`; null when a part of it cannot be looked into. */
  read(root: object, kernel: Kernel): string | null {
    this.#lanes.set([0x1e37_79b9, 0x05eb_ca6b, 0x42b2_ae35, 0x27d4_eb2f]);
    this.#opaque = false;
    this.#numbers.clear();
    this.#objects.length = 0;
    this.#value(kernel);
    this.#value(root);
    for (let at = 0; at < this.#objects.length && !this.#opaque; at += 1) this.#object(this.#objects[at] as object);
    return this.#opaque ? null : String.fromCharCode(...this.#hash);
  }

  #value(value: unknown): void {
    switch (typeof value) {
      case "number":
        this.#number(value);
        return;
      case "boolean":
        this.#mix(value ? Tag.TRUE : Tag.FALSE);
        return;
      case "string":
        this.#text(Tag.TEXT, value);
        return;
      case "bigint":
        this.#text(Tag.BIG, value.toString(36));
        return;
      case "undefined":
        this.#mix(Tag.UNDEFINED);
        return;
      case "object":
        if (value === null) this.#mix(Tag.NULL);
        else this.#reference(Tag.OBJECT, value, this.#numbers, this.#objects);
        return;
      case "function":
        this.#reference(Tag.FUNCTION, value, this.#functions, null);
        return;
      case "symbol":
        this.#opaque = true;
    }
  }

  #number(value: number): void {
    if ((value | 0) === value) {
      this.#mix(1);
      this.#mix(value);
      return;
    }
    this.#real[0] = value;
    this.#mix(Tag.REAL);
    this.#mix(this.#halves[0] as number);
    this.#mix(this.#halves[1] as number);
  }

  #text(tag: number, text: string): void {
    this.#mix(tag);
    this.#mix(text.length);
    for (let i = 0; i < text.length; i += 1) this.#mix(text.charCodeAt(i));
  }

  #reference(tag: number, object: object, numbers: Map<object, number>, queue: object[] | null): void {
    let number = numbers.get(object);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(object, number);
      queue?.push(object);
    }
    this.#mix(tag);
    this.#mix(number);
  }

  #object(object: object): void {
    if (Array.isArray(object)) {
      this.#mix(-1);
      this.#mix(object.length);
      for (const element of object) this.#value(element);
      return;
    }
    const kind = this.#kindOf(object);
    this.#mix(kind.number);
    if (kind.opaque) {
      this.#opaque = true;
    } else if (ArrayBuffer.isView(object)) {
      this.#mix(object.byteOffset);
      this.#mix(object.byteLength);
      this.#value(object.buffer);
    } else if (object instanceof ArrayBuffer) {
      this.#bytes(object);
    } else this.#fields(object, kind);
  }

  #fields(object: object, { fields, shown }: Kind): void {
    if (object instanceof Map || object instanceof Set) {
      this.#mix(object.size);
      for (const [key, value] of object.entries()) {
        this.#value(key);
        this.#value(value);
      }
    }
    const inUserMode = object instanceof Task && object.call === null;
    for (const key of fields ?? Object.keys(object)) {
      if (inUserMode && OF_CALL.includes(key)) continue;
      if (fields === null) this.#name(key);
      this.#value((object as Readonly<Record<string, unknown>>)[key]);
    }
    for (const privateFields of shown) this.#value(privateFields.call(object));
  }

  #name(key: string): void {
    let number = this.#names.get(key);
    if (number === undefined) {
      number = this.#names.size;
      this.#names.set(key, number);
    }
    this.#mix(number);
  }

  /** Word by word: this is where most of the time would go. */
  #bytes(buffer: ArrayBuffer): void {
    const words = new Int32Array(buffer, 0, buffer.byteLength >> 2);
    this.#mix(buffer.byteLength);
    let zeros = 0;
    for (let i = 0; i < words.length; i += 1) {
      const word = words[i] as number;
      if (word === 0) {
        zeros += 1;
        continue;
      }
      this.#mix(zeros);
      this.#mix(word);
      zeros = 0;
    }
    this.#mix(-1);
    for (const byte of new Uint8Array(buffer, words.length << 2)) this.#mix(byte);
  }

  #kindOf(object: object): Kind {
    const prototype: object = Object.getPrototypeOf(object) ?? Object.prototype;
    let kind = this.#kinds.get(prototype);
    if (kind === undefined) {
      kind = kindOf(object, prototype, this.#kinds.size);
      this.#kinds.set(prototype, kind);
    }
    return kind;
  }

  #mix(value: number): void {
    const lanes = this.#lanes;
    const a = Math.imul((lanes[0] as number) ^ value, 0x0100_0193);
    const b = Math.imul((lanes[1] as number) ^ (value + (a >>> 15)), 0x5bd1_e995);
    const c = Math.imul((lanes[2] as number) ^ (value + (b >>> 13)), 0x4c9e_2d51);
    lanes[0] = a;
    lanes[1] = b;
    lanes[2] = c;
    lanes[3] = Math.imul((lanes[3] as number) ^ (value + (c >>> 16)), 0x1b87_3593);
  }
}

function kindOf(object: object, prototype: object, number: number): Kind {
  const shown: (() => unknown[])[] = [];
  const leftOut: string[] = ["kernel"]; // there is one, and it is read first
  let opaque = false;
  for (let at: object | null = prototype; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    leftOut.push(...(LEFT_OUT.get(at) ?? []));
    const method: unknown = Object.getOwnPropertyDescriptor(at, "privateFields")?.value;
    if (typeof method === "function") shown.push(method as () => unknown[]);
    if (!showsAll(at.constructor, typeof method === "function" ? String(method) : "", leftOut)) opaque = true;
  }
  const fields = prototype === Object.prototype ? null : Object.keys(object).filter((key) => !leftOut.includes(key));
  return { number, fields, shown, opaque };
}

/** Whether a class has no private field but those that the text of its method names, or that are left out. */
function showsAll(kind: object, method: string, leftOut: readonly string[]): boolean {
  if (kind === WeakMap || kind === WeakSet || kind === WeakRef) return false;
  const names = [...Function.prototype.toString.call(kind).matchAll(PRIVATE_FIELD)].map(([, name = ""]) => name);
  return names.every((name) => leftOut.includes(name) || method.includes(`this.${name}`));
}
