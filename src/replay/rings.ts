/**
 * Registrations with an epoll that were made through an io_uring ring.
 *
 * A ring lies in shared memory, so a recording does not show what is asked through it. A program that has entered a ring may
 * have added descriptors to its epolls, or changed what it asks of them: an event that the model does not have proves which.
 */
import type { Epitem } from "../kernel/fs/eventpoll/epitem.ts";
import type { Eventpoll } from "../kernel/fs/eventpoll/eventpoll.ts";
import type { File } from "../kernel/fs/file.ts";
import { rbNext } from "../kernel/lib/rbtree.ts";
import type { Process } from "../kernel/sched/process.ts";
import { Epoll } from "../kernel/uapi/epoll.ts";
import { decodeEvents, evalInt } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall, WantedEvent } from "./active-call.ts";
import { allReported, dataOf } from "./evidence.ts";
import { ExternalFile } from "./external.ts";
import { known } from "./foresight.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { firstFd, isSymbol, NOTHING } from "./records.ts";
import { maskOf } from "./tcp-flow.ts";

/** Higher data are no descriptors. */
const FD_MAX = 1n << 20n;
/** What a program asks for; ERR and HUP come unasked. */
const ASKED = Epoll.IN | Epoll.OUT | Epoll.PRI | Epoll.RDHUP;

/** Events that are looked at behind a submission. */
const LOOK = 1000;

/** Registrations that a call needs to have had its result: descriptors, and events that were reported. */
function* usedBy({ name, args }: CallRecord): Generator<[number, number], void, undefined> {
  if (name === "epoll_ctl") {
    const fd = evalInt(args[2] ?? NOTHING);
    if (fd !== null && !isSymbol(args[1], "EPOLL_CTL_ADD")) yield [fd, 0];
  } else if (/^epoll_p?wait/.test(name) && args[1] !== undefined) {
    for (const { events, data } of decodeEvents(args[1]) ?? []) if (data < FD_MAX) yield [Number(data), events];
  }
}

export class RingRegistrations {
  readonly #users = new WeakSet<Process>();
  /** Tasks that have entered a ring. */
  readonly #loops = new WeakSet<ReplayTask>();
  /** Items that were registered through a ring. */
  readonly #made = new WeakSet<Epitem>();

  /**
   * The process has submitted something through a ring: registrations that the results up to its next submission need, and that
   * no call has made.
   */
  entered(owner: ReplayTask, machine: Machine, future: Lookahead): void {
    const { process } = owner.task;
    this.#users.add(process);
    this.#loops.add(owner);
    const closed = new Set<number>();
    let waited = false;
    for (const event of future.ahead(LOOK)) {
      if (event.kind !== "enter") continue;
      const { call } = event;
      const other = machine.tasks.get(call.task);
      if (other === undefined || other.task.process.files !== process.files) continue;
      if (call.name === "io_uring_enter" && call.task === owner.id) return;
      // a loop in another thread has a ring of its own
      if (this.#loops.has(other) && other !== owner) continue;
      const fd = firstFd(call);
      if (call.name === "close" && fd !== null) closed.add(fd);
      const epoll = fd === null || closed.has(fd) ? null : (process.files.getRaw(fd)?.epoll ?? null);
      if (epoll === null || (call.result?.errnos[0] ?? null) !== null) continue;
      for (const [watched, events] of usedBy(call)) {
        if (!closed.has(watched)) this.#anticipate(machine, owner, epoll, watched, events & ASKED);
      }
      const events = waited || call.task !== owner.id ? null : allReported(call);
      if (events !== null) {
        waited = true;
        this.#silence(owner, epoll, (item) => {
          return this.#made.has(item) ? (events.find(({ data }) => data === dataOf(item))?.events ?? 0) : -1;
        });
      }
      if (call.name === "epoll_ctl") closed.add(evalInt(call.args[2] ?? NOTHING) ?? -1); // known from here on
    }
  }

  /** @returns whether a registration was inferred or changed. */
  explain(call: ActiveCall, watcher: File): boolean {
    const { owner, events } = call;
    const { epoll } = watcher;
    if (epoll === null || events === null || !this.#users.has(owner.task.process)) return false;
    let changed = false;
    for (const event of events) changed = this.#register(owner, epoll, event) || changed;
    const reported = (item: Epitem): number => (events.some((event) => event.low === item.dataLow >>> 0) ? -1 : 0);
    return this.#silence(owner, epoll, reported) || changed;
  }

  #anticipate(machine: Machine, owner: ReplayTask, epoll: Eventpoll, fd: number, asked: number): void {
    const file = watchable(owner, fd);
    // it watches something that nobody can ask, as if an epoll_ctl had said so
    const isForeign = file === null && owner.task.process.files.getRaw(fd) instanceof ExternalFile;
    if (isForeign && epoll.file !== null) machine.tainted.add(epoll.file);
    const item = file === null ? null : epoll.find(file, fd);
    if (file !== null && item === null) this.#insert(owner, epoll, file, fd, asked);
    else if (item !== null && item.dataLow >>> 0 === fd && (asked & ~item.events) !== 0) {
      epoll.modify(owner.task, item, item.events | asked, item.dataLow, item.dataHigh);
    }
  }

  #register(owner: ReplayTask, epoll: Eventpoll, event: WantedEvent): boolean {
    const file = watchable(owner, event.low);
    if (file === null) return false;
    const item = epoll.find(file, event.low);
    const asked = event.events & ASKED;
    if (item === null) return this.#insert(owner, epoll, file, event.low, asked);
    if (item.dataLow >>> 0 !== event.low) return false;
    const mask = epoll.itemPoll(owner.task, item, null);
    if (mask >>> 0 === event.events && item.rdllink.list !== null) return false;
    const wider = (item.events & ~(mask & ~event.events & ASKED)) | asked;
    if (wider === item.events) return false;
    return epoll.modify(owner.task, item, wider, event.low, event.high) === 0;
  }

  /** As libuv does, with the descriptor as datum. */
  #insert(owner: ReplayTask, epoll: Eventpoll, file: File, fd: number, asked: number): boolean {
    if (epoll.insert(owner.task, file, fd, asked | Epoll.ERR | Epoll.HUP, fd, 0, false) !== 0) return false;
    const item = epoll.find(file, fd);
    if (item !== null) this.#made.add(item);
    return true;
  }

  /** What would be reported as well, and was not, is no longer asked for. @param reported - what of an item was. */
  #silence(owner: ReplayTask, epoll: Eventpoll, reported: (item: Epitem) => number): boolean {
    let changed = false;
    for (let node = epoll.rbr.leftmost; node !== null; node = rbNext(node)) {
      const { owner: item } = node;
      const mask = known(() => epoll.itemPoll(owner.task, item, null), 0) & ~reported(item);
      if (mask === 0) continue;
      epoll.modify(owner.task, item, item.events & ~mask, item.dataLow, item.dataHigh);
      changed = true;
    }
    return changed;
  }
}

/** What cannot be asked cannot be watched, and an epoll that watches others might watch itself. */
function watchable(owner: ReplayTask, fd: number): File | null {
  const file = owner.task.process.files.getRaw(fd);
  if (file === null || (file.epoll !== null && file.epoll.rbr.leftmost !== null)) return null;
  return known(() => maskOf(file, owner.task), -1) === -1 ? null : file;
}
