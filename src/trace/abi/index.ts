/**
 * The signature of every system call of the language.
 */
import { epollCalls } from "./epoll.ts";
import { fdCalls } from "./fd.ts";
import { pollCalls } from "./poll.ts";
import type { Signature } from "./signature.ts";
import { timeCalls } from "./time.ts";

const table: ReadonlyMap<string, Signature> = new Map(
  [epollCalls, fdCalls, pollCalls, timeCalls].flat().map((signature) => [signature.name, signature]),
);

/** What a call takes and gives; null for a call that the language does not know. */
export function signature(name: string): Signature | null {
  return table.get(name) ?? null;
}

/** Names of the known calls. */
export function signatureNames(): string[] {
  return [...table.keys()];
}

export { type Param, paramTypes, type ResultOutput, type Signature } from "./signature.ts";
