/** The client side of the echo protocol: what is sent comes back. */
import {
  type Blocking,
  connectTcp,
  type Program,
  type ProgramFunction,
  readFull,
  type Syscalls,
  writeAll,
} from "epollsim/runtime";

/** Until then every server listens, whoever runs first. */
const START_NS = 1_000_000;

export interface EchoLoad {
  readonly clients: number;
  readonly rounds: number;
  readonly port: number;
  readonly address?: string;
  /** Between two rounds of a client. */
  readonly pauseNs?: number;
  readonly messageBytes?: number;
}

export interface EchoResult {
  roundTrips: number;
  wrong: number;
}

/** One process with a thread for each client; it ends with the last of them. */
export function echoClients(load: EchoLoad, result: EchoResult): ProgramFunction {
  return function* (sys): Program {
    const left = sys.memory.alloc(4);
    const word = new Int32Array(left.bytes.buffer, left.bytes.byteOffset, 1);
    word[0] = load.clients;
    yield sys.nanosleep(START_NS);
    for (let client = 0; client < load.clients; client += 1) {
      sys.clone(`client ${client}`, function* (own): Program {
        yield* echoClient(own, load, result, client);
        word[0] = (word[0] ?? 0) - 1;
        if (word[0] === 0) own.futexWake(left, 1);
      });
    }
    for (let waiting = word[0]; waiting > 0; waiting = word[0]) yield sys.futexWait(left, waiting);
  };
}

function* echoClient(sys: Syscalls, load: EchoLoad, result: EchoResult, client: number): Blocking<void> {
  const { address = "127.0.0.1", port, rounds, pauseNs = 1_000_000, messageBytes = 64 } = load;
  const fd = yield* connectTcp(sys, address, port);
  const question = sys.memory.alloc(messageBytes);
  const answer = sys.memory.alloc(messageBytes);
  for (let round = 0; round < rounds; round += 1) {
    question.bytes.fill(0x20);
    question.write(`client ${client} round ${round}`);
    answer.bytes.fill(0);
    yield* writeAll(sys, fd, question, messageBytes);
    const count = yield* readFull(sys, fd, answer, messageBytes);
    if (count !== messageBytes || answer.text() !== question.text()) result.wrong += 1;
    result.roundTrips += 1;
    yield sys.nanosleep(pauseNs);
  }
  sys.close(fd);
  sys.memory.free(question);
  sys.memory.free(answer);
}
