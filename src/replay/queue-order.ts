/**
 * Queues whose order the recording leaves open.
 *
 * Two calls whose intervals overlap may have taken effect in either order, and what they put into a queue (a ready list, an
 * accept queue) stands in the order of the effects. That order shows only when somebody takes from the queue. So it is settled
 * then: two neighbours change places if the calls that queued them overlap.
 */
import { Epitem } from "../kernel/fs/eventpoll/epitem.ts";
import { TcpSock } from "../kernel/net/inet/tcp-sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { evalInt } from "../trace/abi/evaluate.ts";
import { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall, WantedEvent } from "./active-call.ts";
import { known } from "./foresight.ts";
import type { ReplayTask } from "./machine.ts";
import { OUTSIDE } from "./outside-host.ts";
import type { PortMap } from "./ports.ts";
import { firstFile, NOTHING } from "./records.ts";
import { peerOf } from "./relations.ts";

/** Where an item may still stand although a scan has taken it off the list. */
interface OldPlace {
  readonly by: CallRecord;
  /** The scan. */
  readonly dropper: CallRecord;
  /** In another order of what was queued, the scan would have ended before it came to the item. */
  readonly uncertain: boolean;
}

export class QueueOrder {
  readonly #ports: PortMap;
  readonly #oldPlaces = new WeakMap<Epitem, OldPlace>();
  /** Of an item that stood on its list although nothing was ready: the call that has made something ready. */
  readonly #revivedBy = new WeakMap<Epitem, CallRecord>();
  /** Of an item on its list: who has put it there, if a scan that found nothing ready may have taken it off since. */
  readonly #passedOver = new WeakMap<Epitem, object>();

  constructor(ports: PortMap) {
    this.#ports = ports;
  }

  /**
   * Puts what the call is about to take into the recorded order, if that is one of the possible ones.
   *
   * @param force - also if it is not.
   * @returns whether it was, and was not there already.
   */
  settle(call: ActiveCall, force: boolean): boolean {
    if (call.errno !== null) return false;
    const file = firstFile(call.owner, call.record);
    if (file === null) return false;
    if (call.record.name.startsWith("epoll_")) return known(() => this.#settleReadyList(call, force), false);
    if (!call.record.name.startsWith("accept") || !(file instanceof SocketFile) || !(file.sk instanceof TcpSock)) {
      return false;
    }
    settleAcceptQueue(call, file.sk, this.#ports);
    return false;
  }

  /** Lets a call take from an epoll, and notes what its scan has taken off the list without reporting it. */
  around(call: ActiveCall, body: () => void): void {
    if (!call.isConsumer) this.#noteRevival(call);
    if (call.record.name.startsWith("accept")) this.settle(call, false);
    const ep = /^epoll_p?wait/.test(call.record.name) ? (firstFile(call.owner, call.record)?.epoll ?? null) : null;
    if (ep === null || ep.rdllist.first === null) {
      body();
      return;
    }
    const before = [...ep.rdllist].map((item) => ({ item, by: item.queuedBy }));
    const idle = before.filter(({ item }) => known(() => ep.itemPoll(call.owner.task, item, null), 1) === 0);
    body();
    const reported = call.progress === "returned" && call.ret > 0 ? (call.events ?? []) : [];
    const wanted = new DatumCounts(reported);
    const taken = new Set<Epitem>();
    for (const { item } of before) if (wanted.take(item)) taken.add(item);
    const takenBy = new Set(before.filter(({ item }) => taken.has(item)).map(({ by }) => by));
    const overlaps = (by: object | null): boolean => some(takenBy, (other) => mayChange(by, other));
    for (const { item, by } of idle) {
      if (by === null || item.rdllink.list === null || item.queuedBy !== by) continue;
      if (overlaps(by)) this.#passedOver.set(item, by);
    }
    for (const { item, by } of before) {
      if (taken.has(item)) {
        this.#noteTaken(item, call.record);
        continue;
      }
      if (item.rdllink.list !== null || !(by instanceof CallRecord)) continue;
      this.#oldPlaces.set(item, { by, dropper: call.record, uncertain: overlaps(by) });
    }
  }

  /** What arrived while the scan was under way, and was taken for a part of what it found, may have come behind it. */
  #noteTaken(item: Epitem, dropper: CallRecord): void {
    const { arrivedBy: by } = item;
    if (item.rdllink.list === null && by instanceof CallRecord && mayChange(by, dropper)) {
      this.#oldPlaces.set(item, { by, dropper, uncertain: true });
    } else this.#oldPlaces.delete(item);
  }

  /** The call may make something ready for items that are on their lists in vain. */
  #noteRevival({ owner, record }: ActiveCall): void {
    const file = firstFile(owner, record);
    if (file === null) return;
    for (const target of [file, peerOf(file)]) {
      for (const item of target?.fEp ?? []) {
        if (!(item instanceof Epitem) || item.rdllink.list === null) continue;
        if (known(() => item.ep.itemPoll(owner.task, item, null), 1) === 0) this.#revivedBy.set(item, record);
      }
    }
  }

  #settleReadyList(call: ActiveCall, force: boolean): boolean {
    const { owner, events } = call;
    const ep = firstFile(owner, call.record)?.epoll ?? null;
    if (ep === null || events === null || events.length === 0) return false;
    const items = [...ep.rdllist];
    const late = new Set<Epitem>();
    let place = 0;
    for (const event of events) {
      const at = items.findIndex((item, index) => index >= place && shows(owner, item, event));
      const item = items[at];
      if (item === undefined) return false;
      const between = items.slice(place, at);
      const passed = between.filter((other) => ep.itemPoll(owner.task, other, null) !== 0);
      if (!force) {
        for (const other of passed) {
          if (this.#mayPass(item, other)) continue;
          if (!this.#isLate(other, call.record)) return false;
          late.add(other);
        }
      }
      // where nothing is ready the scan goes on, and takes the item off the list
      const idle = between.filter((other) => !passed.includes(other));
      items.splice(place, at + 1 - place, ...idle, item, ...passed);
      place += idle.length + 1;
    }
    // what is left must not be reported as well
    const maxevents = evalInt(call.record.args[2] ?? NOTHING) ?? events.length;
    const left = items.slice(place).some((other) => ep.itemPoll(owner.task, other, null) !== 0);
    if (events.length < maxevents && left) return false;
    for (const item of late) this.#requeue(item, items);
    for (const item of items) {
      ep.rdllist.remove(item.rdllink);
      ep.rdllist.addTail(item.rdllink);
    }
    return true;
  }

  /** Puts an item to where the call that has made something ready would have queued it. */
  #requeue(item: Epitem, items: Epitem[]): void {
    const by = this.#revivedBy.get(item) ?? null;
    items.splice(items.indexOf(item), 1);
    const before = items.findLastIndex(({ queuedBy }) => !follows(queuedBy, by));
    items.splice(before + 1, 0, item);
    item.queuedBy = by;
  }

  /** Whether a scan may have come to the item before something was ready, so that it was queued again behind all others. */
  #isLate(item: Epitem, scan: CallRecord): boolean {
    const by = this.#revivedBy.get(item);
    if (by === undefined) return false;
    return mayChange(by, scan) || (item.queuedBy !== null && this.#passedOver.get(item) === item.queuedBy);
  }

  /** Whether an item may stand in front of one that it stands behind. */
  #mayPass(item: Epitem, other: Epitem): boolean {
    if (mayChange(item.queuedBy, other.queuedBy)) return true;
    const old = this.#oldPlaces.get(item);
    if (old === undefined || !(other.queuedBy instanceof CallRecord)) return false;
    if (!old.uncertain && !mayChange(old.dropper, item.queuedBy)) return false;
    return mayChange(old.by, other.queuedBy) || (old.by.exitLine ?? 0) < (other.queuedBy.entryLine ?? 0);
  }
}

/** How often each datum stands among some events. */
class DatumCounts {
  readonly #counts = new Map<number, Map<number, number>>();

  constructor(events: readonly WantedEvent[]) {
    for (const { low, high } of events) {
      const counts = this.#counts.get(low) ?? new Map<number, number>();
      this.#counts.set(low, counts.set(high, (counts.get(high) ?? 0) + 1));
    }
  }

  /** Takes the item's datum away once. @returns whether it was there. */
  take({ dataLow, dataHigh }: Epitem): boolean {
    const counts = this.#counts.get(dataLow >>> 0);
    const count = counts?.get(dataHigh >>> 0) ?? 0;
    if (count > 0) counts?.set(dataHigh >>> 0, count - 1);
    return count > 0;
  }
}

function some<T>(items: Iterable<T>, test: (item: T) => boolean): boolean {
  for (const item of items) if (test(item)) return true;
  return false;
}

/** Whether two things that were queued may stand in either order. */
function mayChange(first: object | null, second: object | null): boolean {
  if (first === OUTSIDE || second === OUTSIDE) return true;
  if (!(first instanceof CallRecord) || !(second instanceof CallRecord) || first.task === second.task) return false;
  const { entryLine: begin1, exitLine: end1 } = first;
  const { entryLine: begin2, exitLine: end2 } = second;
  return (end1 === null || (begin2 ?? 0) <= end1) && (end2 === null || (begin1 ?? 0) <= end2);
}

function follows(second: object | null, first: object | null): boolean {
  if (!(first instanceof CallRecord) || !(second instanceof CallRecord)) return false;
  return (second.entryLine ?? 0) > (first.exitLine ?? Number.POSITIVE_INFINITY);
}

function isDatum(item: Epitem, event: WantedEvent): boolean {
  return item.dataLow >>> 0 === event.low && item.dataHigh >>> 0 === event.high;
}

/** Whether an item would be reported as this event. */
function shows(owner: ReplayTask, item: Epitem, event: WantedEvent): boolean {
  return isDatum(item, event) && item.ep.itemPoll(owner.task, item, null) >>> 0 === event.events;
}

function settleAcceptQueue(call: ActiveCall, listener: TcpSock, ports: PortMap): void {
  const accepted = listener.listenState?.accepted ?? [];
  if (accepted.length < 2) return;
  const port = ports.peerPort(call.record);
  const at = port === null ? -1 : accepted.findIndex((child) => child.dport === port);
  const child = accepted[at];
  if (at <= 0 || child === undefined) return;
  if (accepted.slice(0, at).some((other) => !mayChange(other.queuedBy, child.queuedBy))) return;
  accepted.splice(at, 1);
  accepted.unshift(child);
}
