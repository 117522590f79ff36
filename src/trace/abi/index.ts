/**
 * The signature of every system call of the language.
 */
import { epollCalls } from "./epoll.ts";
import { fdCalls } from "./fd.ts";
import { fileCalls } from "./file.ts";
import { pollCalls } from "./poll.ts";
import { processCalls } from "./process.ts";
import { signalCalls } from "./signal.ts";
import type { Signature } from "./signature.ts";
import { socketCalls } from "./socket.ts";
import { timeCalls } from "./time.ts";
import { timerCalls } from "./timer.ts";

const table: ReadonlyMap<string, Signature> = new Map(
  [epollCalls, fdCalls, fileCalls, pollCalls, processCalls, signalCalls, socketCalls, timeCalls, timerCalls]
    .flat()
    .map((signature) => [signature.name, signature]),
);

/** What a call takes and gives; null for a call that the language does not know. */
export function signature(name: string): Signature | null {
  return table.get(name) ?? null;
}

/** Names of the known calls. */
export function signatureNames(): string[] {
  return [...table.keys()];
}

export { paramTypes, registerOf, type Signature } from "./signature.ts";
