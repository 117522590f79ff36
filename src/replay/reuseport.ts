/**
 * Which socket of a SO_REUSEPORT group gets a connection or a datagram: Linux hashes with a secret, so any may. The recording tells: the
 * one whose taker comes first, of those that nothing waiting in the queues is for.
 */
import type { Chooser } from "../kernel/choice.ts";
import type { File } from "../kernel/fs/file.ts";
import { TcpSock } from "../kernel/net/inet/tcp-sock.ts";
import { Sock } from "../kernel/net/sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { CallRecord } from "../trace/pairs.ts";
import { learnPort } from "./arrivals.ts";
import { HORIZON, type Lookahead } from "./lookahead.ts";
import type { Machine } from "./machine.ts";
import { firstFile } from "./records.ts";

const TAKES: ReadonlySet<string> = new Set("accept accept4 read readv recv recvfrom recvmmsg recvmsg".split(" "));

export class ReuseportChooser implements Chooser {
  readonly #others: Chooser;
  readonly #future: Lookahead;
  /** Set as soon as it exists: it is made with this chooser. */
  machine: Machine | null = null;

  /** @param others - decides whatever else is open. */
  constructor(others: Chooser, future: Lookahead) {
    this.#others = others;
    this.#future = future;
  }

  choose(site: string, count: number, among?: readonly object[]): number {
    const group = site.endsWith(".reuseport") ? (among ?? []) : [];
    return this.#firstToTake(group) ?? this.#others.choose(site, count, among);
  }

  #firstToTake(group: readonly object[]): number | null {
    const { machine } = this;
    if (machine === null || group.length === 0) return null;
    const waiting = group.map(queued);
    const file = comingFile(machine);
    learnPort(machine, this.#future, file);
    const port = file !== null && file.sk instanceof TcpSock ? file.sk.num : null;
    let first: number | null = null;
    for (const event of this.#future.ahead(HORIZON)) {
      if (event.kind !== "exit" || !TAKES.has(event.call.name) || event.call.result?.errnos[0] != null) continue;
      const index = groupIndex(machine, event.call, group);
      if (index === -1) continue;
      if (port !== null && machine.ports.peerPort(event.call) === port) return index;
      const left = waiting[index] as number;
      waiting[index] = left - 1;
      if (left === 0) first ??= index;
    }
    return first;
  }
}

/** Which socket of the group a call has as its first argument; -1 for none. */
function groupIndex(machine: Machine, record: CallRecord, group: readonly object[]): number {
  const owner = machine.tasks.get(record.task);
  const file: File | null = owner === undefined ? null : firstFile(owner, record);
  return file === null ? -1 : group.findIndex((sk) => sk instanceof Sock && sk.file === file);
}

/** The socket whose call sends what comes: an accept that shows its port was for it. */
function comingFile(machine: Machine): SocketFile | null {
  const { actor } = machine.kernel;
  const owner = actor instanceof CallRecord ? machine.tasks.get(actor.task) : undefined;
  if (!(actor instanceof CallRecord) || owner === undefined) return null;
  const file = firstFile(owner, actor);
  return file instanceof SocketFile ? file : null;
}

/** What a socket's takers will find before anything new. */
function queued(sk: object): number {
  if (sk instanceof TcpSock) return (sk.listenState?.accepted.length ?? 0) + (sk.listenState?.requests.size ?? 0);
  return sk instanceof Sock ? sk.receiveQueue.length : 0;
}
