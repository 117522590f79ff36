/**
 * A pool of connections for threads that block: how long each may idle, live, be read from and written to, and who forgot to give
 * one back.
 *
 * Taking one prefers the youngest idle connection, so that the others reach their idle limit. A thread of its own (`recycle`) closes
 * what is due in the background, so that nobody who takes a connection pays for it.
 */
import { Errno } from "../../kernel/uapi/errno.ts";
import { Msg, So } from "../../kernel/uapi/socket.ts";
import type { Syscalls } from "../syscalls.ts";
import type { Blocking, Program } from "../thread.ts";
import type { UserBuffer } from "../user-memory.ts";

export interface ConnectionLimits {
  /** Connections at most; who takes one more waits. */
  readonly maxOpen: number;
  /** An idle connection is closed after so long. */
  readonly idleNs: number;
  /** None lives longer. */
  readonly lifetimeNs: number;
  /** A read, a write that takes longer fails (SO_RCVTIMEO, SO_SNDTIMEO). */
  readonly readNs: number;
  readonly writeNs: number;
  /** Who holds one for longer is reported. */
  readonly leakNs: number;
  /** How often the background thread looks. */
  readonly recycleNs: number;
}

/** A connection that its taker has held for too long. */
export interface Leak {
  /** Where it was taken. */
  readonly place: string;
  readonly fd: number;
  readonly heldNs: number;
}

export interface PoolHost {
  /** Makes a connection. @returns a descriptor, or a negative errno. */
  readonly connect: (sys: Syscalls) => Blocking<number>;
  readonly leaked: (leak: Leak) => void;
}

/** Why connections were closed, and how often. */
export interface PoolStats {
  opened: number;
  reused: number;
  waited: number;
  idle: number;
  lifetime: number;
  /** A read or a write ran into its limit. */
  readLimit: number;
  writeLimit: number;
  /** The peer had closed it while it was idle, or an error came. */
  broken: number;
  leaks: number;
}

export class PooledConnection {
  readonly fd: number;
  readonly bornNs: number;
  /** Where it was taken; null while it is idle. */
  place: string | null = null;
  /** Since when it is taken, or idle. */
  sinceNs: number;
  reported = false;
  /** It must not be used again. */
  broken = false;
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool, fd: number, nowNs: number) {
    this.#pool = pool;
    this.fd = fd;
    this.bornNs = nowNs;
    this.sinceNs = nowNs;
  }

  /** Reads within the read limit. @returns as read; -ETIMEDOUT beyond it. */
  *read(sys: Syscalls, buf: UserBuffer, count: number): Blocking<number> {
    const result = yield sys.read(this.fd, buf, count);
    if (result > 0) return result;
    this.broken = true;
    if (result !== -Errno.EAGAIN) return result;
    this.#pool.stats.readLimit += 1;
    return -Errno.ETIMEDOUT;
  }

  /** Writes all of it, each part within the write limit. @returns `count`, or a negative errno; -ETIMEDOUT beyond the limit. */
  *write(sys: Syscalls, buf: UserBuffer, count: number): Blocking<number> {
    for (let done = 0; done < count; ) {
      const result = yield sys.send(this.fd, buf.addr + done, count - done, Msg.NOSIGNAL);
      // A send that ran into its limit says how much it took before; only with nothing it says EAGAIN.
      if (result > 0) {
        done += result;
        continue;
      }
      this.broken = true;
      if (result !== -Errno.EAGAIN) return result;
      this.#pool.stats.writeLimit += 1;
      return -Errno.ETIMEDOUT;
    }
    return count;
  }
}

export class ConnectionPool {
  readonly limits: ConnectionLimits;
  readonly stats: PoolStats = {
    opened: 0,
    reused: 0,
    waited: 0,
    idle: 0,
    lifetime: 0,
    readLimit: 0,
    writeLimit: 0,
    broken: 0,
    leaks: 0,
  };
  readonly #host: PoolHost;
  /** The youngest last. */
  readonly #idle: PooledConnection[] = [];
  readonly #taken: Set<PooledConnection> = new Set();
  /** Connections that are being made. */
  #opening = 0;
  /** Counts what was given back: who waits for a connection sleeps on it. */
  readonly #given: UserBuffer;
  readonly #givenWord: Int32Array;
  readonly #peek: UserBuffer;

  constructor(sys: Syscalls, limits: ConnectionLimits, host: PoolHost) {
    this.limits = limits;
    this.#host = host;
    this.#given = sys.memory.alloc(4);
    this.#givenWord = new Int32Array(this.#given.bytes.buffer, this.#given.bytes.byteOffset, 1);
    this.#peek = sys.memory.alloc(1);
  }

  get open(): number {
    return this.#idle.length + this.#taken.size + this.#opening;
  }

  /**
   * A connection, from the idle ones, a new one, or the next that is given back.
   *
   * @param place - who takes it, for the report when it is not given back.
   * @returns a negative errno when none could be made.
   */
  *take(sys: Syscalls, place: string): Blocking<PooledConnection | number> {
    for (;;) {
      for (let conn = this.#idle.pop(); conn !== undefined; conn = this.#idle.pop()) {
        if (!this.#isUsable(sys, conn)) continue;
        this.stats.reused += 1;
        return this.#hand(sys, conn, place);
      }
      if (this.open < this.limits.maxOpen) return yield* this.#connect(sys, place);
      this.stats.waited += 1;
      yield sys.futexWait(this.#given, this.#givenWord[0] as number);
    }
  }

  *#connect(sys: Syscalls, place: string): Blocking<PooledConnection | number> {
    this.#opening += 1;
    const fd = yield* this.#host.connect(sys);
    this.#opening -= 1;
    if (fd < 0) return fd;
    this.stats.opened += 1;
    sys.setTimeout(fd, So.RCVTIMEO, this.limits.readNs);
    sys.setTimeout(fd, So.SNDTIMEO, this.limits.writeNs);
    return this.#hand(sys, new PooledConnection(this, fd, sys.nowNs), place);
  }

  #hand(sys: Syscalls, conn: PooledConnection, place: string): PooledConnection {
    conn.place = place;
    conn.sinceNs = sys.nowNs;
    conn.reported = false;
    this.#taken.add(conn);
    return conn;
  }

  /** An idle connection on which something waits has been closed by the peer, or says what nobody asked for. */
  #isUsable(sys: Syscalls, conn: PooledConnection): boolean {
    const waiting = sys.recv(conn.fd, this.#peek, 1, Msg.PEEK | Msg.DONTWAIT);
    if (waiting === -Errno.EAGAIN) return true;
    this.#close(sys, conn, "broken");
    return false;
  }

  /** Gives a connection back. One that is broken, or has lived long enough, is closed. */
  give(sys: Syscalls, conn: PooledConnection): void {
    if (!this.#taken.delete(conn)) return; // it was taken away: its lifetime was over
    conn.place = null;
    conn.sinceNs = sys.nowNs;
    if (conn.broken) this.#close(sys, conn, null);
    else if (this.#isOld(sys, conn)) this.#close(sys, conn, "lifetime");
    else this.#idle.push(conn);
    this.#wake(sys);
  }

  #wake(sys: Syscalls): void {
    this.#givenWord[0] = (this.#givenWord[0] as number) + 1;
    sys.futexWake(this.#given, 1);
  }

  #isOld(sys: Syscalls, { bornNs }: PooledConnection): boolean {
    return sys.nowNs - bornNs >= this.limits.lifetimeNs;
  }

  #close(sys: Syscalls, { fd }: PooledConnection, why: "idle" | "lifetime" | "broken" | null): void {
    if (why !== null) this.stats[why] += 1;
    sys.close(fd);
  }

  /** The background thread: closes what has idled or lived for too long, and reports what was not given back. */
  *recycle(sys: Syscalls): Program {
    for (;;) {
      yield sys.nanosleep(this.limits.recycleNs);
      this.#recycleIdle(sys);
      this.#findLeaks(sys);
    }
  }

  #recycleIdle(sys: Syscalls): void {
    for (const conn of this.#idle.splice(0)) {
      if (this.#isOld(sys, conn)) this.#close(sys, conn, "lifetime");
      else if (sys.nowNs - conn.sinceNs >= this.limits.idleNs) this.#close(sys, conn, "idle");
      else this.#idle.push(conn);
    }
  }

  /** A leaked connection is closed when its lifetime is over: so a leak cannot empty the pool for ever. */
  #findLeaks(sys: Syscalls): void {
    for (const conn of this.#taken) {
      const heldNs = sys.nowNs - conn.sinceNs;
      if (heldNs < this.limits.leakNs) continue;
      if (!conn.reported) {
        conn.reported = true;
        this.stats.leaks += 1;
        this.#host.leaked({ place: conn.place ?? "", fd: conn.fd, heldNs });
      }
      if (!this.#isOld(sys, conn)) continue;
      this.#taken.delete(conn);
      this.#close(sys, conn, "lifetime");
      this.#wake(sys);
    }
  }
}
