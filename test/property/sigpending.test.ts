/** Pending sets against a naive model: a list of what was sent, in order. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { checkSigPending, SigInfo, SigPending } from "../../src/kernel/signal/sigpending.ts";
import { Sigset } from "../../src/kernel/signal/sigset.ts";
import { Si, Sig } from "../../src/kernel/uapi/signal.ts";

const signal = fc.integer({ min: 1, max: Sig.MAX }).filter((sig) => sig !== Sig.KILL);
const step = fc.oneof(
  fc.record({ op: fc.constant("send" as const), sig: signal }),
  fc.record({ op: fc.constant("take" as const), blocked: fc.uniqueArray(signal) }),
  fc.record({ op: fc.constant("flush" as const), set: fc.uniqueArray(signal, { maxLength: 8 }) }),
);

/** Faults, then the others by number: what `next_signal` takes. */
const FAULTS: readonly number[] = [4, 5, 7, 8, 11, 31];

function naiveNext(pending: readonly { readonly sig: number }[], blocked: readonly number[]): number {
  const open = pending.map(({ sig }) => sig).filter((sig) => !blocked.includes(sig));
  const low = open.filter((sig) => sig <= 32);
  const faults = low.filter((sig) => FAULTS.includes(sig));
  const from = faults.length > 0 ? faults : low.length > 0 ? low : open;
  return from.length === 0 ? 0 : Math.min(...from);
}

function setOf(sigs: readonly number[]): Sigset {
  const set = new Sigset();
  for (const sig of sigs) set.add(sig);
  return set;
}

it("S-03 a pending set gives what a list of everything sent would give", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pending = new SigPending();
      let naive: { readonly sig: number; readonly nr: number }[] = [];
      for (const [nr, action] of steps.entries()) {
        if (action.op === "send") {
          const { sig } = action;
          const duplicate = sig < Sig.RTMIN && naive.some((other) => other.sig === sig);
          expect(pending.holds(sig)).toBe(duplicate);
          if (duplicate) continue;
          const info = new SigInfo(sig, Si.USER);
          info.pid = nr;
          pending.add(sig, info);
          naive.push({ sig, nr });
        } else if (action.op === "take") {
          const next = pending.signal.nextOutside(setOf(action.blocked));
          expect(next).toBe(naiveNext(naive, action.blocked));
          if (next === 0) continue;
          const oldest = naive.find(({ sig }) => sig === next);
          expect(pending.collect(next).pid).toBe(oldest?.nr);
          naive = naive.filter((other) => other !== oldest);
        } else {
          pending.flush(setOf(action.set));
          naive = naive.filter(({ sig }) => !action.set.includes(sig));
        }
        checkSigPending(pending);
        const members = Array.from({ length: Sig.MAX }, (_, i) => i + 1).filter((sig) => pending.signal.has(sig));
        expect(members).toEqual([...new Set(naive.map(({ sig }) => sig))].sort((a, b) => a - b));
      }
    }),
  );
});

it("sets of signals: each operation as on sets of numbers", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 64 })),
      fc.uniqueArray(fc.integer({ min: 1, max: 64 })),
      (a, b) => {
        const numbers = (set: Sigset) => Array.from({ length: 64 }, (_, i) => i + 1).filter((sig) => set.has(sig));
        const apply = (change: (set: Sigset) => void) => {
          const set = setOf(a);
          change(set);
          return numbers(set);
        };
        const all = Array.from({ length: 64 }, (_, i) => i + 1);
        expect(apply((set) => set.or(setOf(b)))).toEqual(all.filter((sig) => a.includes(sig) || b.includes(sig)));
        expect(apply((set) => set.and(setOf(b)))).toEqual(all.filter((sig) => a.includes(sig) && b.includes(sig)));
        expect(apply((set) => set.andNot(setOf(b)))).toEqual(all.filter((sig) => a.includes(sig) && !b.includes(sig)));
        expect(apply((set) => set.invert())).toEqual(all.filter((sig) => !a.includes(sig)));
        expect(setOf(a).anyOutside(setOf(b))).toBe(a.some((sig) => !b.includes(sig)));
        const bytes = new DataView(new ArrayBuffer(8));
        setOf(a).store(bytes, 0);
        const back = new Sigset();
        back.load(bytes, 0);
        expect([back.equals(setOf(a)), BigInt(`0x${back}`)]).toEqual([true, bytes.getBigUint64(0, true)]);
      },
    ),
  );
});
