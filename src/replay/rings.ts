/**
 * Registrations with an epoll that were made through an io_uring ring.
 *
 * A ring lies in shared memory, so a recording does not show what is asked through it. A program that has entered a ring may
 * have added descriptors to its epolls, or changed what it asks of them: an event that the model does not have proves which.
 */
import type { Eventpoll } from "../kernel/fs/eventpoll/eventpoll.ts";
import type { File } from "../kernel/fs/file.ts";
import { rbNext } from "../kernel/lib/rbtree.ts";
import type { Process } from "../kernel/sched/process.ts";
import { Epoll } from "../kernel/uapi/epoll.ts";
import type { ActiveCall, WantedEvent } from "./active-call.ts";
import { known } from "./foresight.ts";
import type { ReplayTask } from "./machine.ts";

/** What a program asks for; ERR and HUP come unasked. */
const ASKED = Epoll.IN | Epoll.OUT | Epoll.PRI | Epoll.RDHUP;

export class RingRegistrations {
  readonly #users = new WeakSet<Process>();

  /** The process has submitted something through a ring. */
  entered({ task }: ReplayTask): void {
    this.#users.add(task.process);
  }

  /** @returns whether a registration was inferred or changed. */
  explain(call: ActiveCall, watcher: File): boolean {
    const { owner, events } = call;
    const { epoll } = watcher;
    if (epoll === null || events === null || !this.#users.has(owner.task.process)) return false;
    let changed = false;
    for (const event of events) changed = this.#register(owner, epoll, event) || changed;
    return this.#silence(owner, epoll, events) || changed;
  }

  #register(owner: ReplayTask, epoll: Eventpoll, event: WantedEvent): boolean {
    const file = owner.task.process.files.getRaw(event.low);
    // what cannot be asked cannot be watched, and an epoll among them might watch itself
    if (file === null || file.epoll !== null || known(() => file.poll(owner.task, null), -1) === -1) return false;
    const item = epoll.find(file, event.low);
    const asked = event.events & ASKED;
    if (item === null) {
      return (
        epoll.insert(owner.task, file, event.low, asked | Epoll.ERR | Epoll.HUP, event.low, event.high, false) === 0
      );
    }
    if (item.dataLow >>> 0 !== event.low) return false;
    const mask = epoll.itemPoll(owner.task, item, null);
    if (mask >>> 0 === event.events && item.rdllink.list !== null) return false;
    const wider = (item.events & ~(mask & ~event.events & ASKED)) | asked;
    if (wider === item.events) return false;
    return epoll.modify(owner.task, item, wider, event.low, event.high) === 0;
  }

  /** Items that would be reported as well, and were not, are no longer asked for. */
  #silence(owner: ReplayTask, epoll: Eventpoll, events: readonly WantedEvent[]): boolean {
    let changed = false;
    for (let node = epoll.rbr.leftmost; node !== null; node = rbNext(node)) {
      const { owner: item } = node;
      if (events.some((event) => event.low === item.dataLow >>> 0)) continue;
      const mask = known(() => epoll.itemPoll(owner.task, item, null), 0);
      if (mask === 0) continue;
      epoll.modify(owner.task, item, item.events & ~mask, item.dataLow, item.dataHigh);
      changed = true;
    }
    return changed;
  }
}
