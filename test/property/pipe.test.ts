import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkPipe } from "../../src/kernel/fs/pipe.ts";
import type { PipeFile } from "../../src/kernel/fs/pipe-file.ts";
import { sysPipe2 } from "../../src/syscalls/pipe.ts";
import { sysRead, sysWrite } from "../../src/syscalls/rw.ts";
import { ARENA, Machine, shown } from "../helpers/files.ts";

const PAGE = 4096;
const NONBLOCK = 0o4000;
const DIRECT = 0o40000;
const DATA = ARENA + 0x1000;
const INTO = ARENA + 0x60000;
const IN2 = 0x41;
const OUT2 = 0x104;

interface Slot {
  readonly bytes: number[];
  readonly packet: boolean;
  /** Bytes ever written to it, read or not. */
  used: number;
}

/** A pipe as a person would write it after reading the rules P-01 to P-30, with arrays. */
class NaivePipe {
  slots: Slot[] = [];
  size = 16;
  packet = false;

  get unread(): number[] {
    return this.slots.flatMap((slot) => slot.bytes);
  }

  write(data: number[]): number | string {
    if (data.length === 0) return 0;
    let rest = data;
    const odd = data.length % PAGE;
    const last = this.slots.at(-1);
    if (last !== undefined && odd !== 0 && !last.packet && last.used + odd <= PAGE) {
      last.bytes.push(...rest.slice(0, odd));
      last.used += odd;
      rest = rest.slice(odd);
    }
    while (rest.length > 0 && this.slots.length < this.size) {
      const bytes = rest.slice(0, PAGE);
      this.slots.push({ bytes, packet: this.packet, used: bytes.length });
      rest = rest.slice(PAGE);
    }
    return rest.length === data.length ? "EAGAIN" : data.length - rest.length;
  }

  read(count: number): number[] | string {
    if (count === 0) return [];
    if (this.slots.length === 0) return "EAGAIN";
    const out: number[] = [];
    for (let slot = this.slots[0]; slot !== undefined && out.length < count; slot = this.slots[0]) {
      out.push(...slot.bytes.splice(0, count - out.length));
      if (slot.packet || slot.bytes.length === 0) this.slots.shift();
      if (slot.packet) break;
    }
    return out;
  }

  resize(pages: number): number | string {
    const size = 2 ** Math.ceil(Math.log2(Math.max(1, pages)));
    if (size < this.slots.length) return "EBUSY";
    this.size = size;
    return size * PAGE;
  }
}

type Op = readonly ["write" | "read" | "resize" | "packet", number];

/** Sizes near the edges of pages are the interesting ones. */
const size = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 20000 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 12 }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: -2, max: 2 }))
      .map(([pages, off]) => pages * PAGE + off),
  },
);
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: size.map((n): Op => ["write", n]) },
  { weight: 5, arbitrary: size.map((n): Op => ["read", n]) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 64 }).map((n): Op => ["resize", n]) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 1 }).map((n): Op => ["packet", n]) },
);

describe("pipe", () => {
  it("P-01 to P-13, P-25, P-29, P-30: agrees with a naive pipe after every call", () => {
    const m = new Machine();
    let next = 0;
    fc.assert(
      fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
        expect(sysPipe2(m.task, ARENA, NONBLOCK)).toBe(0);
        const [r, w] = [m.peek32(ARENA), m.peek32(ARENA + 4)];
        const writer = m.file(w) as PipeFile;
        const naive = new NaivePipe();
        for (const [what, n] of ops) {
          if (what === "write") {
            const data = Array.from({ length: n }, () => next++ & 0xff);
            m.poke(DATA, data);
            expect(shown(sysWrite(m.task, w, DATA, n))).toBe(naive.write(data));
          } else if (what === "read") {
            const got = sysRead(m.task, r, INTO, n);
            const expected = naive.read(n);
            expect(got < 0 ? shown(got) : [...m.peek(INTO, got)]).toEqual(expected);
          } else if (what === "resize") {
            expect(shown(writer.pipe.setSize(writer, m.task.process, n * PAGE))).toBe(naive.resize(n));
          } else {
            naive.packet = n === 1;
            writer.flags = n === 1 ? writer.flags | DIRECT : writer.flags & ~DIRECT;
          }
          checkPipe(writer.pipe);
          expect(writer.pipe.unread).toBe(naive.unread.length);
          expect(m.mask(r)).toBe(naive.slots.length > 0 ? IN2 : 0);
          expect(m.mask(w)).toBe(naive.slots.length < naive.size ? OUT2 : 0);
        }
        for (const fd of [r, w]) m.task.process.files.take(fd)?.put();
      }),
      { numRuns: 100 },
    );
    expect(m.task.process.user.pipeBufs).toBe(0);
  });

  it("a pipe in steady state takes no new page", () => {
    const m = new Machine();
    sysPipe2(m.task, ARENA, NONBLOCK);
    const [r, w] = [m.peek32(ARENA), m.peek32(ARENA + 4)];
    const { pipe } = m.file(r) as PipeFile;
    const pages = new Set<unknown>();
    for (let i = 0; i < 1000; i += 1) {
      sysWrite(m.task, w, DATA, 5000);
      for (let at = pipe.tail; at !== pipe.head; at += 1) pages.add(pipe.slot(at).page);
      sysRead(m.task, r, INTO, 5000);
    }
    expect(pages.size).toBe(2);
  });
});
