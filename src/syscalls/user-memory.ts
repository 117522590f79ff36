/**
 * The user memory of a port program: mapped as `UserLayout` says, read and written from outside.
 *
 * Counterpart: `src/native-bridge/agent/memory.c`, which maps the same ranges on a real kernel.
 */
import { copyBytes, type Mm, Prot } from "../kernel/mm/mm.ts";
import { type PortProgram, type Register, type Step, UserLayout } from "./port.ts";

/** Pages that a compact machine has behind what its program names. */
const SPARE_PAGES = 4;

/** What a program needs of the user memory; made once, and used by one run after the other. */
interface CompactMemory {
  readonly arena: Uint8Array;
  /** It names an address outside of the arena: the other ranges are there too. */
  readonly others: boolean;
}

const compactMemories: WeakMap<PortProgram, CompactMemory> = new WeakMap<PortProgram, CompactMemory>();

function compactMemory(program: PortProgram): CompactMemory {
  let memory = compactMemories.get(program);
  if (memory === undefined) {
    memory = { arena: new Uint8Array(arenaBytesOf(program)), others: program.steps.some(leavesArena) };
    compactMemories.set(program, memory);
  } else memory.arena.fill(0);
  return memory;
}

function leavesArena(step: Step): boolean {
  const leaves = (value: Register): boolean => typeof value === "number" && value >= UserLayout.edge;
  if (step.op === "call") return step.args.some(leaves);
  return (step.op === "poke" || step.op === "peek") && leaves(step.addr);
}

/** How much of the arena a program needs: whatever its steps put there or read, and some pages behind. */
function arenaBytesOf(program: PortProgram): number {
  let top: number = UserLayout.arena;
  for (const step of program.steps) {
    if (step.op !== "poke" && step.op !== "peek") continue;
    const end = step.addr + (step.op === "poke" ? step.bytes.length : step.length);
    if (end <= UserLayout.arena + UserLayout.arenaBytes) top = Math.max(top, end);
  }
  const pages = Math.ceil((top - UserLayout.arena) / UserLayout.pageSize) + SPARE_PAGES;
  return Math.min(UserLayout.arenaBytes, pages * UserLayout.pageSize);
}

/** Maps what `UserLayout` says. @param program - map only what it names; null for all of it. */
export function mapUserMemory(mm: Mm, program: PortProgram | null): void {
  const compact = program === null ? null : compactMemory(program);
  const { arena, arenaBytes, edge, edgeEnd, readOnly, frozen, frozenPages, pageSize } = UserLayout;
  if (compact === null) mm.map(arena, arenaBytes, Prot.RW);
  else mm.map(arena, compact.arena.length, Prot.RW, false, compact.arena);
  if (compact?.others === false) return;
  mm.map(edge, edgeEnd - edge, Prot.RW);
  mm.map(readOnly, pageSize, Prot.READ);
  mm.map(frozen, frozenPages * pageSize, Prot.RW, true);
}

/** Writes as much as is mapped: protection does not matter, this is the debugger's way in. */
export function poke(mm: Mm, addr: number, bytes: Uint8Array): void {
  const vma = mm.find(addr);
  if (vma !== null) copyBytes(vma.bytes, addr - vma.start, bytes, 0, Math.min(bytes.length, vma.end - addr));
}

/** Reads; null unless all of it is mapped, in one range. */
export function peek(mm: Mm, addr: number, length: number): Uint8Array | null {
  const vma = mm.find(addr);
  if (vma === null || addr + length > vma.end) return null;
  return vma.bytes.slice(addr - vma.start, addr - vma.start + length);
}
