/**
 * A pool of connections with the limits that pools have: how many, how long idle, how old, and how long one may be away before that is
 * called a leak. A goroutine in the background recycles.
 */
import { type Chan, type Conn, type Go, GoError, type Network, type Runtime } from "epollsim/go";

export interface PoolLimits {
  /** Open at the same time, idle or taken. */
  readonly maxOpen: number;
  readonly maxIdle: number;
  readonly idleNs: number;
  readonly lifetimeNs: number;
  /** Away for longer than this: reported with the place that took it. */
  readonly leakNs: number;
  /** How often the background looks. */
  readonly recycleNs: number;
}

/** What has become of the pool's connections. */
export interface PoolFigures {
  dialed: number;
  reused: number;
  waited: number;
  closedIdle: number;
  closedOld: number;
  /** Came back when enough were idle. */
  closedSurplus: number;
  leaks: number;
}

export class Pooled {
  readonly conn: Conn;
  readonly bornNs: number;
  /** Since when it is idle, or taken. */
  sinceNs: number;
  takenBy = "";
  reported = false;

  constructor(conn: Conn, nowNs: number) {
    this.conn = conn;
    this.bornNs = nowNs;
    this.sinceNs = nowNs;
  }
}

const ErrPoolClosed = new GoError("pool: closed");

export class ConnPool {
  readonly figures: PoolFigures = {
    dialed: 0,
    reused: 0,
    waited: 0,
    closedIdle: 0,
    closedOld: 0,
    closedSurplus: 0,
    leaks: 0,
  };
  readonly #rt: Runtime;
  readonly #network: Network;
  readonly #address: string;
  readonly #limits: PoolLimits;
  readonly #onLeak: (place: string, ns: number) => void;
  readonly #idle: Pooled[] = [];
  readonly #taken: Set<Pooled> = new Set();
  /** Who waits because `maxOpen` are open: gets a connection, or the right to dial (null). */
  readonly #waiting: Chan<Pooled | null>[] = [];
  #open = 0;
  #closed = false;

  constructor(
    rt: Runtime,
    target: { readonly network: Network; readonly address: string },
    limits: PoolLimits,
    onLeak: (place: string, ns: number) => void,
  ) {
    this.#rt = rt;
    this.#network = target.network;
    this.#address = target.address;
    this.#limits = limits;
    this.#onLeak = onLeak;
    rt.go("pool.recycle", () => this.#recycle());
  }

  get open(): number {
    return this.#open;
  }

  /** The latest idle connection; else a new one; else waits for one to come back. @param place - who takes it, for reports. */
  *take(place: string): Go<Pooled | GoError> {
    if (this.#closed) return ErrPoolClosed;
    for (let pooled = this.#idle.pop(); pooled !== undefined; pooled = this.#idle.pop()) {
      if (!this.#isOver(pooled)) return this.#give(pooled, place);
      yield* this.#discard(pooled);
    }
    if (this.#open >= this.#limits.maxOpen) {
      this.figures.waited += 1;
      const turn = this.#rt.chan<Pooled | null>(1);
      this.#waiting.push(turn);
      const pooled = yield* turn.recv();
      if (pooled === undefined) return ErrPoolClosed;
      if (pooled !== null) return this.#give(pooled, place);
    }
    return yield* this.#dial(place);
  }

  #give(pooled: Pooled, place: string): Pooled {
    this.figures.reused += 1;
    return this.#mark(pooled, place);
  }

  #mark(pooled: Pooled, place: string): Pooled {
    pooled.takenBy = place;
    pooled.sinceNs = this.#rt.now();
    pooled.reported = false;
    this.#taken.add(pooled);
    return pooled;
  }

  *#dial(place: string): Go<Pooled | GoError> {
    this.#open += 1;
    const { value: conn, err } = yield* this.#rt.dial(this.#network, this.#address);
    if (err !== null) {
      this.#leave();
      return err;
    }
    this.figures.dialed += 1;
    return this.#mark(new Pooled(conn, this.#rt.now()), place);
  }

  /** Gives a connection back. @param broken - it cannot be used again. */
  *put(pooled: Pooled, broken = false): Go<void> {
    this.#taken.delete(pooled);
    pooled.sinceNs = this.#rt.now();
    if (broken || this.#closed || this.#isOver(pooled)) {
      if (!broken && !this.#closed) this.figures.closedOld += 1;
      yield* this.#close(pooled);
      return;
    }
    const turn = this.#waiting.shift();
    if (turn !== undefined) turn.trySend(pooled);
    else if (this.#idle.length < this.#limits.maxIdle) this.#idle.push(pooled);
    else {
      this.figures.closedSurplus += 1;
      yield* this.#close(pooled);
    }
  }

  #isOver(pooled: Pooled): boolean {
    const now = this.#rt.now();
    const { lifetimeNs, idleNs } = this.#limits;
    return now - pooled.bornNs >= lifetimeNs || (!this.#taken.has(pooled) && now - pooled.sinceNs >= idleNs);
  }

  *#discard(pooled: Pooled): Go<void> {
    if (this.#rt.now() - pooled.bornNs >= this.#limits.lifetimeNs) this.figures.closedOld += 1;
    else this.figures.closedIdle += 1;
    yield* this.#close(pooled);
  }

  *#close(pooled: Pooled): Go<void> {
    this.#leave();
    yield* pooled.conn.close();
  }

  /** One fewer is open: the first who waits may dial. */
  #leave(): void {
    this.#open -= 1;
    this.#waiting.shift()?.trySend(null);
  }

  /** Closes what is idle for too long or too old, and reports what is away for too long. */
  *#recycle(): Go<void> {
    while (!this.#closed) {
      yield* this.#rt.sleep(this.#limits.recycleNs);
      const over = this.#idle.filter((pooled) => this.#isOver(pooled));
      for (const pooled of over) {
        this.#idle.splice(this.#idle.indexOf(pooled), 1);
        yield* this.#discard(pooled);
      }
      for (const pooled of this.#taken) {
        const away = this.#rt.now() - pooled.sinceNs;
        if (pooled.reported || away < this.#limits.leakNs) continue;
        pooled.reported = true;
        this.figures.leaks += 1;
        this.#onLeak(pooled.takenBy, away);
      }
    }
  }

  /** Closes what is idle; what is taken is closed when it comes back. */
  *close(): Go<void> {
    this.#closed = true;
    for (const pooled of this.#idle.splice(0)) yield* this.#close(pooled);
    for (const turn of this.#waiting.splice(0)) turn.close();
  }
}
