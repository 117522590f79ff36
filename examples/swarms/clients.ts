/** Clients of all manners. Each speaks a protocol, and compares every byte that it hears. */
import {
  type Blocking,
  checked,
  connectTcp,
  Errno,
  Msg,
  Shut,
  SOL_SOCKET,
  So,
  type Syscalls,
  type UserBuffer,
} from "epollsim/runtime";
import { type Dialogue, WrongAnswer } from "../lib/dialogues.ts";

const MS = 1_000_000;
const READ_BYTES = 4096;
const STEADY_BYTES = 256;
const STEADY_PAUSE_NS = 50 * MS;
/** What a slow reader asks for, and at what pace it reads: half as fast as it asks. */
const SLOW_QUESTIONS = 24;
const SLOW_BYTES = 8192;
const SLOW_PAUSE_NS = 100 * MS;
const SLOW_RCVBUF = 4096;

/** How long a client waits for an answer. Without it, one that has lost its network and has nothing to send would wait for ever. */
const PATIENCE_NS = 120_000 * MS;

/** What became of a client: all it asked for, a connection that the server closed, or one that broke. */
export type Outcome = "served" | "dropped" | "lost" | "wrong";

export interface Client {
  readonly sys: Syscalls;
  readonly fd: number;
  readonly buf: UserBuffer;
  readonly dialogue: Dialogue;
}

export type Manner = (client: Client) => Blocking<Outcome>;

/** Connects, behaves in its manner, and closes. */
export function* run(
  sys: Syscalls,
  address: string,
  port: number,
  dialogue: Dialogue,
  manner: Manner,
): Blocking<Outcome> {
  const fd = yield* connectTcp(sys, address, port);
  sys.setTimeout(fd, So.RCVTIMEO, PATIENCE_NS);
  const client: Client = { sys, fd, buf: sys.memory.alloc(READ_BYTES), dialogue };
  let outcome: Outcome;
  try {
    outcome = yield* manner(client);
  } catch (error) {
    if (!(error instanceof WrongAnswer)) throw error;
    outcome = "wrong";
  }
  sys.close(fd);
  sys.memory.free(client.buf);
  return outcome;
}

/** Sends as much as there is room for. @returns how much, or a negative errno. */
function sendNow({ sys, fd }: Client, text: string): number {
  const block = sys.memory.allocText(text);
  const sent = sys.send(fd, block, block.length, Msg.DONTWAIT | Msg.NOSIGNAL);
  sys.memory.free(block);
  return sent === -Errno.EAGAIN ? 0 : sent;
}

/** Sends all of it. @returns whether it could. */
function* say({ sys, fd }: Client, text: string): Blocking<boolean> {
  const block = sys.memory.allocText(text);
  let done = 0;
  while (done < text.length) {
    const sent = yield sys.send(fd, block.addr + done, text.length - done, Msg.NOSIGNAL);
    if (sent < 0) break;
    done += sent;
  }
  sys.memory.free(block);
  return done === text.length;
}

/** Hears what comes next. @returns as read: 0 at the end. @throws WrongAnswer */
function* hear({ sys, fd, buf, dialogue }: Client): Blocking<number> {
  const count = yield sys.read(fd, buf, READ_BYTES);
  if (count > 0) dialogue.hear(buf.text(0, count));
  return count;
}

/** @returns null when all questions have been answered. */
function* hearAll(client: Client): Blocking<Outcome | null> {
  const { dialogue } = client;
  while (dialogue.answered < dialogue.asked) {
    const count = yield* hear(client);
    if (count <= 0) return count === 0 ? "dropped" : "lost";
  }
  return null;
}

/** Asks, waits for the answer, rests. */
export function steady(rounds: number): Manner {
  return function* (client) {
    for (let round = 0; round < rounds; round += 1) {
      if (!(yield* say(client, client.dialogue.ask(STEADY_BYTES)))) return "lost";
      const broken = yield* hearAll(client);
      if (broken !== null) return broken;
      yield client.sys.nanosleep(STEADY_PAUSE_NS);
    }
    return "served";
  };
}

/** Asks for a lot and reads it in small bits, with long pauses: the answers pile up in the server. */
export const slowReader: Manner = function* (client) {
  const { sys, fd, dialogue } = client;
  checked(sys.setsockopt(fd, SOL_SOCKET, So.RCVBUF, SLOW_RCVBUF), "setsockopt");
  let unsent = "";
  while (dialogue.asked < SLOW_QUESTIONS || dialogue.answered < SLOW_QUESTIONS) {
    if (dialogue.asked < SLOW_QUESTIONS) unsent += dialogue.ask(SLOW_BYTES);
    const sent = unsent === "" ? 0 : sendNow(client, unsent);
    if (sent < 0) return "dropped";
    unsent = unsent.slice(sent);
    yield sys.nanosleep(SLOW_PAUSE_NS);
    const count = yield* hear(client);
    if (count <= 0) return "dropped";
  }
  return "served";
};

/** Says everything, shuts its side, and hears the answers to their end. */
export const halfClose: Manner = function* (client) {
  const { sys, fd, dialogue } = client;
  if (!(yield* say(client, dialogue.ask(4096) + dialogue.ask(4096)))) return "lost";
  checked(sys.shutdown(fd, Shut.WR), "shutdown");
  const broken = yield* hearAll(client);
  if (broken !== null) return broken;
  for (;;) {
    const count = yield* hear(client);
    if (count <= 0) return count === 0 ? "served" : "lost";
  }
};

/** Closes with SO_LINGER 0 and answers unread: the server gets a reset. */
export const reset: Manner = function* (client) {
  const { sys, fd, dialogue } = client;
  if (!(yield* say(client, dialogue.ask(4096)))) return "lost";
  yield sys.nanosleep(100 * MS);
  checked(sys.setLinger(fd, 0), "setsockopt");
  return "served";
};
