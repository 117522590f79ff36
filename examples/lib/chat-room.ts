/**
 * Chat rooms on the reactor: every line goes to everybody in the room. Whoever does not read is not waited for: when too much waits
 * for a slow reader, it is dropped, and the others never notice.
 */
import { Acceptor, Connection, type Reactor, type Syscalls, type UserBuffer } from "epollsim/runtime";
import { LINE_BYTES } from "./dialogues.ts";

export interface RoomLimits {
  /** Bytes that may wait for one reader. */
  readonly pendingMax: number;
  /** Nothing has come or gone for so long: closed. 0 for no limit. */
  readonly idleMs: number;
}

/** What has happened in all rooms. */
export interface RoomFigures {
  lines: number;
  sent: number;
  dropped: number;
  mostPending: number;
  idle: number;
}

export class ChatRooms {
  readonly figures: RoomFigures = { lines: 0, sent: 0, dropped: 0, mostPending: 0, idle: 0 };
  readonly reactor: Reactor;
  readonly limits: RoomLimits;
  readonly #rooms: Map<string, Set<Member>> = new Map();
  readonly #sys: Syscalls;
  readonly #lines: UserBuffer;
  readonly #readBuffer: UserBuffer;

  constructor(sys: Syscalls, reactor: Reactor, limits: RoomLimits) {
    this.#sys = sys;
    this.reactor = reactor;
    this.limits = limits;
    this.#readBuffer = sys.memory.alloc(16 * LINE_BYTES);
    this.#lines = sys.memory.alloc(17 * LINE_BYTES); // with the beginning that came before
  }

  /** Welcomes whoever connects. @param accepted - told of each. */
  acceptor(accepted: (sys: Syscalls, member: Member) => void): Acceptor {
    return new Acceptor((sys, fd) => {
      const member = new Member(this, this.#sys, this.#readBuffer);
      member.open(sys, fd);
      accepted(sys, member);
    });
  }

  enter(room: string, member: Member): void {
    const members = this.#rooms.get(room) ?? new Set();
    members.add(member);
    this.#rooms.set(room, members);
  }

  leave(room: string, member: Member): void {
    this.#rooms.get(room)?.delete(member);
  }

  /** Whole lines, to everybody. */
  broadcast(sys: Syscalls, room: string, text: string): void {
    const { figures, limits } = this;
    const lines = text.length / LINE_BYTES;
    this.#lines.write(text);
    figures.lines += lines;
    for (const member of this.#rooms.get(room) ?? []) {
      member.send(sys, this.#lines, text.length);
      figures.sent += lines;
      const pending = member.pendingBytes;
      figures.mostPending = Math.max(figures.mostPending, pending);
      if (pending <= limits.pendingMax) continue;
      figures.dropped += 1;
      member.drop(sys);
    }
  }
}

export class Member extends Connection {
  protected override readonly readBuffer: UserBuffer;
  readonly #rooms: ChatRooms;
  readonly #sys: Syscalls;
  #room: string | null = null;
  /** The beginning of a line whose end has not come yet. */
  #rest = "";
  /** How it ended: told once. */
  onClosed: ((how: "ended" | "dropped" | "idle" | "reset") => void) | null = null;
  #how: "dropped" | "idle" | null = null;

  constructor(rooms: ChatRooms, sys: Syscalls, readBuffer: UserBuffer) {
    super(rooms.reactor);
    this.#rooms = rooms;
    this.#sys = sys;
    this.readBuffer = readBuffer;
  }

  override open(sys: Syscalls, fd: number): void {
    super.open(sys, fd);
    if (this.#rooms.limits.idleMs > 0) this.expired();
  }

  /** Hears what is said there from now on. */
  enter(room: string): void {
    this.#room = room;
    this.#rooms.enter(room, this);
  }

  /** Who has not entered a room enters the one that its first line names. */
  protected override received(sys: Syscalls, buf: UserBuffer, count: number): void {
    const text = this.#rest + buf.text(0, count);
    const whole = text.length - (text.length % LINE_BYTES);
    this.#rest = text.slice(whole);
    if (whole === 0) return;
    if (this.#room === null) this.enter(text.slice(0, text.indexOf(" ")));
    this.#rooms.broadcast(sys, this.#room ?? "", text.slice(0, whole));
  }

  drop(sys: Syscalls): void {
    this.#how = "dropped";
    this.close(sys);
  }

  override expired(): void {
    const { idleMs } = this.#rooms.limits;
    const dueMs = this.activeMs + idleMs;
    if (dueMs > this.reactor.nowMs(this.#sys)) {
      this.reactor.timers.start(this, dueMs);
      return;
    }
    this.#rooms.figures.idle += 1;
    this.#how = "idle";
    this.close(this.#sys);
  }

  protected override closed(_sys: Syscalls, errno: number): void {
    if (this.#room !== null) this.#rooms.leave(this.#room, this);
    this.onClosed?.(this.#how ?? (errno === 0 ? "ended" : "reset"));
  }
}
