/**
 * What has arrived at a descriptor, as the reads that come show it.
 */
import type { File } from "../kernel/fs/file.ts";
import { InetSock } from "../kernel/net/inet/inet-sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { evalInt, exitOf, field } from "../trace/abi/evaluate.ts";
import type { Expr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine } from "./machine.ts";
import { noteEnds } from "./ports.ts";
import { firstFd, NOTHING } from "./records.ts";
import { UNKNOWN_BYTE } from "./user-area.ts";

/** Events that are looked through for what a descriptor's next calls show. */
const LOOK = 4_000;
const READS: ReadonlySet<string> = new Set("read readv recv recvfrom recvmsg".split(" "));
const WAITS = /^epoll_p?wait|^p?poll$|select/;
const MSG_PEEK = 2;

/** More than this does not wait in any receive buffer (`tcp_rmem[2]`): a longer read is a mistake. */
const ARRIVAL_MAX = 6 * 1024 * 1024;

/** Something that came in by one connection, all at once as far as anybody can tell. */
export interface Arrival {
  readonly bytes: Uint8Array;
  /** The stream has ended behind the bytes. */
  readonly ended: boolean;
  /** The connection was torn down. */
  readonly reset: boolean;
  /** The calls that show it. */
  readonly proofs: readonly CallRecord[];
}

/** The calls that have this description as their first argument, from `first` on; none behind its close. */
export function* callsOn(
  machine: Machine,
  future: Lookahead,
  file: File,
  first: CallRecord | null,
): Generator<CallRecord, void, undefined> {
  if (first !== null) yield first;
  for (const event of future.ahead(LOOK)) {
    if (event.kind !== "enter" || event.call === first) continue;
    const fd = firstFd(event.call);
    const owner = fd === null ? undefined : machine.tasks.get(event.call.task);
    if (fd === null || owner === undefined || owner.task.process.files.getRaw(fd) !== file) continue;
    if (event.call.name === "close") return;
    yield event.call;
  }
}

/** The kernel has chosen a port for a socket that connects: the next note of the descriptor tells which. */
export function learnPort(machine: Machine, future: Lookahead, file: File | null): void {
  if (!(file instanceof SocketFile) || !(file.sk instanceof InetSock)) return;
  for (const later of callsOn(machine, future, file, null)) {
    const [arg] = later.args;
    if (arg === undefined || noteEnds(arg) === null) continue;
    machine.ports.know(arg, file.sk.num);
    return;
  }
}

/**
 * What the next reads of a stream show to have arrived: up to the first that found nothing, or that came behind a wait.
 *
 * @param now - the read that is asked about; null for a wait.
 */
export function nextArrival(machine: Machine, future: Lookahead, file: File, now: CallRecord | null): Arrival | null {
  const chunks: Uint8Array[] = [];
  const proofs: CallRecord[] = [];
  let total = 0;
  let ended = false;
  let reset = false;
  let wasShort = false;
  for (const record of readsOn(machine, future, file, now)) {
    const errno = record.result?.errnos[0] ?? null;
    const length = evalInt(record.result?.values[0] ?? NOTHING);
    if (wasShort && errno === null && length !== null && length > 0) break;
    if (errno === "ECONNRESET") reset = true;
    if (errno !== null || length === null || total + length > ARRIVAL_MAX) break;
    if (isPeek(record)) {
      proofs.push(record);
      continue;
    }
    proofs.push(record);
    if (length === 0) ended = true;
    if (length <= 0) break;
    chunks.push(contentOf(record, length));
    total += length;
    wasShort = length < roomOf(record); // what comes behind had not arrived then, but the end may have
  }
  if (chunks.length === 0 && !ended && !reset) return null;
  const bytes = new Uint8Array(total);
  let place = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, place);
    place += chunk.length;
  }
  return { bytes, ended, reset, proofs };
}

/** The reads of a description until somebody who has read waits again. */
function* readsOn(
  machine: Machine,
  future: Lookahead,
  file: File,
  now: CallRecord | null,
): Generator<CallRecord, void, undefined> {
  let reader: string | null = null;
  let found = false;
  if (now !== null) {
    yield now;
    reader = now.task;
    found = true;
  }
  for (const event of future.ahead(LOOK)) {
    if (event.kind !== "enter") continue;
    const { call } = event;
    if (found && call.task === reader && WAITS.test(call.name)) return;
    const fd = firstFd(call);
    const owner = fd === null ? undefined : machine.tasks.get(call.task);
    if (fd === null || owner === undefined || owner.task.process.files.getRaw(fd) !== file) continue;
    if (call.name === "close") return;
    if (!READS.has(call.name)) continue;
    reader = call.task;
    found = true;
    yield call;
  }
}

function isPeek(record: CallRecord): boolean {
  const flags = record.name === "recvfrom" ? record.args[3] : record.name === "recvmsg" ? record.args[2] : undefined;
  return ((flags === undefined ? 0 : (evalInt(flags) ?? 0)) & MSG_PEEK) !== 0;
}

/** The bytes that a read gave; what the recording cut off is unknown. */
export function contentOf(record: CallRecord, length: number): Uint8Array {
  return contentIn(record.args[1], length);
}

function contentIn(buffer: Expr | undefined, length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(UNKNOWN_BYTE);
  let place = 0;
  for (const [part, size] of partsOf(buffer, length)) {
    const known = part.kind === "str" ? part.bytes.subarray(0, Math.min(size, length - place)) : new Uint8Array();
    bytes.set(known, place);
    place += size;
    if (place >= length) break;
  }
  return bytes;
}

/** A datagram as a receive shows it. */
export interface Received {
  readonly source: Expr;
  readonly bytes: Uint8Array;
}

/** The datagrams that a receive took; null when it took none, or one that is longer than any. */
export function datagramsOf(record: CallRecord, lengthMax: number): Received[] | null {
  const count = evalInt(record.result?.values[0] ?? NOTHING);
  if ((record.result?.errnos[0] ?? null) !== null || count === null || count < 0) return null;
  if (record.name !== "recvmmsg") {
    return count > lengthMax ? null : [{ source: sourceOf(record), bytes: contentOf(record, count) }];
  }
  const vector = exitOf(record.args[1] ?? NOTHING);
  const found: Received[] = [];
  for (const item of vector.kind === "array" ? vector.items.slice(0, count) : []) {
    const header = item.kind === "struct" ? field(item, "msg_hdr", 0) : null;
    const length = item.kind === "struct" ? evalInt(field(item, "msg_len", 1) ?? NOTHING) : null;
    if (header?.kind !== "struct" || length === null || length > lengthMax) return null;
    found.push({ source: exitOf(field(header, "msg_name", 0) ?? NOTHING), bytes: contentIn(header, length) });
  }
  return found;
}

/** The address that a receive was told; of several messages that of the first. */
export function sourceOf(record: CallRecord): Expr {
  const expr = exitOf((record.name === "recvfrom" ? record.args[4] : record.args[1]) ?? NOTHING);
  if (record.name === "recvmmsg") {
    const [first] = expr.kind === "array" ? expr.items : [];
    const header = first?.kind === "struct" ? field(first, "msg_hdr", 0) : null;
    return header?.kind === "struct" ? exitOf(field(header, "msg_name", 0) ?? NOTHING) : NOTHING;
  }
  return record.name === "recvmsg" && expr.kind === "struct" ? exitOf(field(expr, "msg_name", 0) ?? NOTHING) : expr;
}

/** How many bytes a read had room for; 0 where that is not known. */
export function roomOf(record: CallRecord): number {
  const [, , size] = record.args;
  if (/^read$|^recvfrom$/.test(record.name)) return evalInt(size ?? NOTHING) ?? 0;
  return partsOf(record.args[1], 0).reduce((sum, [, length]) => sum + length, 0);
}

function partsOf(arg: Expr | undefined, length: number): [Expr, number][] {
  const buffer = arg === undefined ? null : exitOf(arg);
  if (buffer === null) return [];
  if (buffer.kind === "str") return [[buffer, length]];
  const vector = buffer.kind === "struct" ? field(buffer, "msg_iov", 2) : buffer;
  if (vector?.kind !== "array") return [];
  return vector.items.map((item) => {
    const base = item.kind === "struct" ? field(item, "iov_base", 0) : null;
    const size = item.kind === "struct" ? field(item, "iov_len", 1) : null;
    return [base ?? NOTHING, size === null ? length : (evalInt(size) ?? length)];
  });
}
