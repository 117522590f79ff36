/**
 * Streams on a reactor: reading until there is no more, and output that waits for room.
 */
import { Epoll } from "../../kernel/uapi/epoll.ts";
import { Errno } from "../../kernel/uapi/errno.ts";
import { Msg, Sock } from "../../kernel/uapi/socket.ts";
import { checked } from "../blocking.ts";
import type { Syscalls } from "../syscalls.ts";
import type { SockaddrIn, UserBuffer } from "../user-memory.ts";
import { type Reactor, Watcher } from "./reactor.ts";

/** Bytes that did not fit the socket's buffer. */
interface Pending {
  readonly block: UserBuffer;
  done: number;
}

/** A non-blocking stream socket that a reactor watches. */
export abstract class Connection extends Watcher {
  readonly reactor: Reactor;
  /** When bytes last came or went, in ms. */
  activeMs = 0;
  /** The peer has shut its side. */
  ended = false;
  #pending: Pending[] | null = null;

  constructor(reactor: Reactor) {
    super();
    this.reactor = reactor;
  }

  /** Bytes have come. @param buf - holds them until this returns. */
  protected abstract received(sys: Syscalls, buf: UserBuffer, count: number): void;

  /** The peer will send no more; the connection goes on, for what is still to be sent. Unless overridden it is closed then. */
  protected end(sys: Syscalls): void {
    if (this.#pending === null) this.close(sys);
  }

  /** The connection is over. @param errno - 0, or why: a positive number. */
  protected closed(_sys: Syscalls, _errno: number): void {}

  /** Where everything is read to: one buffer serves all connections of a thread. */
  protected abstract get readBuffer(): UserBuffer;

  /** Bytes that wait for room. */
  get pendingBytes(): number {
    return (this.#pending ?? []).reduce((sum, { block, done }) => sum + block.length - done, 0);
  }

  /** Begins to be watched. */
  open(sys: Syscalls, fd: number): void {
    this.activeMs = this.reactor.nowMs(sys);
    this.reactor.add(sys, fd, this, Epoll.IN | Epoll.RDHUP);
  }

  override ready(sys: Syscalls, events: number): void {
    if ((events & Epoll.OUT) !== 0) this.#flush(sys);
    if (this.fd !== -1 && (events & (Epoll.IN | Epoll.HUP | Epoll.ERR | Epoll.RDHUP)) !== 0) this.#receive(sys, events);
  }

  /** Level-triggered watchers may leave the rest for the next time; edge-triggered ones must not. */
  #receive(sys: Syscalls, events: number): void {
    const buf = this.readBuffer;
    while (!this.ended) {
      const count = sys.read(this.fd, buf, buf.length);
      if (count === -Errno.EAGAIN) return;
      if (count < 0) {
        this.close(sys, -count);
        return;
      }
      if (count === 0) {
        this.ended = true;
        this.#interest(sys);
        this.end(sys);
        return;
      }
      this.activeMs = this.reactor.nowMs(sys);
      this.received(sys, buf, count);
      if (this.fd === -1) return;
      // A short read has emptied the socket, unless the peer's FIN stands behind it.
      if (count < buf.length && (events & (Epoll.RDHUP | Epoll.HUP | Epoll.ERR)) === 0) return;
    }
  }

  /** Sends; what does not fit now goes when there is room. */
  send(sys: Syscalls, buf: UserBuffer, count: number): void {
    if (this.fd === -1) return;
    let done = 0;
    if (this.#pending === null) {
      const sent = sys.send(this.fd, buf, count, Msg.NOSIGNAL);
      if (sent < 0 && sent !== -Errno.EAGAIN) {
        this.close(sys, -sent);
        return;
      }
      done = Math.max(0, sent);
      if (done > 0) this.activeMs = this.reactor.nowMs(sys);
    }
    if (done === count) return;
    const block = sys.memory.alloc(count - done);
    block.bytes.set(buf.bytes.subarray(done, count));
    this.#pending ??= [];
    this.#pending.push({ block, done: 0 });
    this.#interest(sys);
  }

  #flush(sys: Syscalls): void {
    const pending = this.#pending;
    if (pending === null) return;
    for (let first = pending[0]; first !== undefined; first = pending[0]) {
      const sent = sys.send(this.fd, first.block.addr + first.done, first.block.length - first.done, Msg.NOSIGNAL);
      if (sent === -Errno.EAGAIN) return;
      if (sent < 0) {
        this.close(sys, -sent);
        return;
      }
      this.activeMs = this.reactor.nowMs(sys);
      first.done += sent;
      if (first.done < first.block.length) continue;
      sys.memory.free(first.block);
      pending.shift();
    }
    this.#pending = null;
    this.#interest(sys);
    if (this.ended) this.end(sys);
  }

  #interest(sys: Syscalls): void {
    const read = this.ended ? 0 : Epoll.IN | Epoll.RDHUP;
    this.reactor.change(sys, this, read | (this.#pending === null ? 0 : Epoll.OUT));
  }

  /** @param errno - why; 0 for an orderly end. */
  close(sys: Syscalls, errno = 0): void {
    if (this.fd === -1) return;
    for (const { block } of this.#pending ?? []) sys.memory.free(block);
    this.#pending = null;
    this.reactor.close(sys, this);
    this.closed(sys, errno);
  }
}

/** A listening socket that a reactor watches: accepts whatever has come. */
export class Acceptor extends Watcher {
  readonly #accepted: (sys: Syscalls, fd: number) => void;
  readonly #peer: SockaddrIn | null;

  /** @param peer - receives the address of each peer; null does not ask for it. */
  constructor(accepted: (sys: Syscalls, fd: number) => void, peer: SockaddrIn | null = null) {
    super();
    this.#accepted = accepted;
    this.#peer = peer;
  }

  override ready(sys: Syscalls): void {
    for (;;) {
      const fd = sys.accept4(this.fd, this.#peer, Sock.NONBLOCK | Sock.CLOEXEC);
      if (fd === -Errno.EAGAIN) return;
      if (fd === -Errno.ECONNABORTED) continue;
      this.#accepted(sys, checked(fd, "accept4"));
    }
  }
}
