/** The clients: one process, blocking sockets, batch by batch. */
import { Af, type Blocking, checked, type Program, Sock, type Syscalls, type UserBuffer } from "epollsim/runtime";

const BATCH = 512;
/** Fewer than the even half of the ephemeral ports: connect finds one at once. */
const PER_ADDRESS = 14_000;
const FIRST_ADDRESS = 0x7f01_0001;
const MESSAGE_WORDS = 4;
const MESSAGE_BYTES = 16;
/** Between two batches, so that time passes. */
const PAUSE_NS = 1_000_000;

export interface Load {
  readonly connections: number;
  readonly port: number;
  readonly expire: boolean;
  roundTrips: number;
  wrongBytes: number;
  /** Connections that were open when the second round began. */
  open: number;
  /** Idle time-outs that ran then. */
  idleTimers?: number;
  closedByServer: number;
}

/** @param idleTimers - asked when all are connected. */
export function* runClients(sys: Syscalls, load: Load, idleTimers: () => number): Program {
  const fds = new Int32Array(load.connections);
  const message = new Message(sys);
  yield sys.nanosleep(PAUSE_NS); // the server listens by then, whoever runs first
  for (let from = 0; from < load.connections; from += BATCH) {
    const to = Math.min(from + BATCH, load.connections);
    yield* connectBatch(sys, load, fds, from, to);
    yield* echoBatch(sys, load, fds, from, to, message, 1);
    yield sys.nanosleep(PAUSE_NS);
  }
  load.open = load.connections;
  load.idleTimers = idleTimers();
  for (let from = 0; from < load.connections; from += BATCH) {
    yield* echoBatch(sys, load, fds, from, Math.min(from + BATCH, load.connections), message, 2);
    yield sys.nanosleep(PAUSE_NS);
  }
  if (!load.expire) return;
  for (const fd of fds) {
    if ((yield sys.read(fd, message.answer, MESSAGE_BYTES)) === 0) load.closedByServer += 1;
    sys.close(fd);
  }
}

function* connectBatch(sys: Syscalls, load: Load, fds: Int32Array, from: number, to: number): Blocking<void> {
  const name = sys.memory.sockaddrIn(FIRST_ADDRESS, load.port);
  for (let i = from; i < to; i += 1) {
    const fd = checked(sys.socket(Af.INET, Sock.STREAM), "socket");
    name.set(FIRST_ADDRESS + Math.floor(i / PER_ADDRESS), load.port);
    checked(yield sys.connect(fd, name), "connect");
    fds[i] = fd;
  }
  sys.memory.free(name);
}

function* echoBatch(
  sys: Syscalls,
  load: Load,
  fds: Int32Array,
  from: number,
  to: number,
  message: Message,
  round: number,
): Blocking<void> {
  for (let i = from; i < to; i += 1) {
    message.fill(i, round);
    checked(yield sys.write(fds[i] as number, message.question, MESSAGE_BYTES), "write");
  }
  for (let i = from; i < to; i += 1) {
    const count = checked(yield sys.read(fds[i] as number, message.answer, MESSAGE_BYTES), "read");
    if (count !== MESSAGE_BYTES || !message.matches(i, round)) load.wrongBytes += 1;
    load.roundTrips += 1;
  }
}

/** 16 bytes that no other connection and no other round has. */
class Message {
  readonly question: UserBuffer;
  readonly answer: UserBuffer;
  readonly #out: Int32Array;
  readonly #in: Int32Array;

  constructor(sys: Syscalls) {
    this.question = sys.memory.alloc(MESSAGE_BYTES);
    this.answer = sys.memory.alloc(MESSAGE_BYTES);
    this.#out = words(this.question);
    this.#in = words(this.answer);
  }

  fill(index: number, round: number): void {
    for (let word = 0; word < MESSAGE_WORDS; word += 1) this.#out[word] = wordOf(index, round, word);
  }

  /** Whether the answer is what was sent; it is wiped, so that it cannot be so twice. */
  matches(index: number, round: number): boolean {
    let same = true;
    for (let word = 0; word < MESSAGE_WORDS; word += 1) {
      if (this.#in[word] !== wordOf(index, round, word)) same = false;
      this.#in[word] = 0;
    }
    return same;
  }
}

function wordOf(index: number, round: number, word: number): number {
  return Math.imul(index * 8 + round * 4 + word + 1, 0x9e37_79b1);
}

function words({ bytes }: UserBuffer): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, MESSAGE_WORDS);
}
