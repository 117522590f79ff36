/**
 * A real kernel as a port: programs are sent to a native agent, which executes them.
 *
 * Counterpart: none in Linux; the agent is in `agent/`.
 * What a real kernel adds to the contract of `Port`:
 *
 * - `ret` of `thaw` is 0, of `spawn`, `fdinfo`, `settle` and the memory steps null; of `blocked` and `await` it is the result of
 *   the task's newest call, null while the task is inside. Of a task that is no more `await` gives null, `blocked` 0.
 * - A task is in `woke` in the step in which its return was seen; the task that an `await` names is not.
 * - A `call` by a task that is still inside another call ends the program as `unsupported`, one by a task that is no
 *   more as `crashed`; `exit` and `exit_group` give a null `ret`.
 * - In `rt_sigaction` a handler is `SIG_DFL`, `SIG_IGN` or the address 1000: a handler that does nothing.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Port, type PortProgram, type PortResult, type RaceTally, UserLayout } from "../syscalls/port.ts";
import { decodeGreeting, type Greeting } from "./greeting.ts";
import {
  decodeResult,
  decodeTally,
  encodeProgram,
  encodeTally,
  FRAME_HEADER_BYTES,
  FrameType,
  MAX_FRAME_BYTES,
  PROTOCOL_VERSION,
  setFrameId,
} from "./protocol.ts";

/** There is no agent to talk to; the message says what to do about it. */
export class AgentUnavailable extends Error {
  override readonly name = "AgentUnavailable";
}

/** The agent ended, or said something that is not the protocol, while a program was under way. */
export class AgentFailed extends Error {
  override readonly name = "AgentFailed";
}

/** How to reach an agent. */
export interface NativePortOptions {
  /** A shell command that runs an agent on its stdin and stdout, perhaps elsewhere: `ssh host epollsim-agent`. */
  readonly command?: string | undefined;
  /** The agent's program; default: the one that the set-up step built. */
  readonly agentPath?: string | undefined;
  /** Arguments for that program: `--plain` does without private namespaces. */
  readonly agentArgs?: readonly string[] | undefined;
}

/** How long an agent may stay silent beyond the watchdog of the program that it runs, in ms. */
const GRACE_MS = 30_000;

/** How long an agent may take to greet, in ms: a virtual machine may have to boot. */
const GREETING_MS = 120_000;

/** Used if a program has no watchdog; the agent has the same default. */
const DEFAULT_WATCHDOG_NS = 10e9;

const STDERR_KEPT = 2000;

/** Of many runs that are one request: how many may end by their watchdog. */
const TALLY_SILENCE = 20;

/** The agent that the set-up step builds: the same path from `src` and from `dist`. */
export function defaultAgentPath(): string {
  return fileURLToPath(new URL("../../dist/native-bridge/agent/epollsim-agent", import.meta.url));
}

/** What `npm ci` runs; an installed package is not set up by itself. */
function setupPath(): string {
  return fileURLToPath(new URL("../../scripts/setup.mjs", import.meta.url));
}

interface Pending {
  /** Takes the body of the answer. */
  readonly resolve: (body: Buffer) => void;
  readonly answer: number;
  readonly reject: (error: Error) => void;
  readonly silenceMs: number;
}

const EXPECTED_LAYOUT: readonly number[] = [
  UserLayout.pageSize,
  UserLayout.arena,
  UserLayout.arenaBytes,
  UserLayout.edge,
  UserLayout.edgeEnd,
  UserLayout.readOnly,
  UserLayout.frozen,
  UserLayout.frozenPages,
];

function checkGreeting(greeting: Greeting): void {
  if (greeting.protocol !== PROTOCOL_VERSION) {
    throw new AgentUnavailable(
      `the agent speaks version ${greeting.protocol} of the protocol, this epollsim version ${PROTOCOL_VERSION}: ` +
        "build both from the same source",
    );
  }
  if (EXPECTED_LAYOUT.some((value, index) => greeting.layout[index] !== value)) {
    throw new AgentUnavailable("the agent maps user memory elsewhere: build it from the same source as epollsim");
  }
}

/** Cuts a stream of bytes into frames. */
class FrameSplitter {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Length of the frame that has begun: before it is complete, joining would copy its parts again and again. */
  #expected = 0;

  /** @throws AgentFailed if a length is no length. */
  push(chunk: Buffer, onFrame: (frame: Buffer) => void): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < Math.max(4, this.#expected)) return;
    this.#expected = 0;
    let data = this.#join();
    while (data.length >= 4) {
      const total = 4 + data.readUInt32LE(0);
      if (total < FRAME_HEADER_BYTES || total > MAX_FRAME_BYTES + FRAME_HEADER_BYTES) {
        throw new AgentFailed(`not an agent: it sent ${JSON.stringify(data.subarray(0, 60).toString("latin1"))}`);
      }
      if (data.length < total) {
        this.#expected = total;
        break;
      }
      onFrame(data.subarray(0, total));
      data = data.subarray(total);
    }
    this.#chunks = data.length > 0 ? [data] : [];
    this.#bytes = data.length;
  }

  /** One buffer of all that has come. */
  #join(): Buffer {
    const first = this.#chunks[0];
    return this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
  }
}

/** Agents that end with this process, however it ends. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGTERM");
});

/** One agent process, from its start to its end. */
class Agent {
  readonly greeting: Promise<Greeting>;
  alive = true;
  readonly #child: ChildProcess;
  readonly #splitter = new FrameSplitter();
  readonly #pending = new Map<number, Pending>();
  readonly #ended: Promise<void>;
  #greet!: (greeting: Greeting) => void;
  #refuse!: (error: Error) => void;
  #nextId = 1;
  #stderr = "";
  #silence: NodeJS.Timeout;

  constructor(options: NativePortOptions) {
    this.greeting = new Promise((resolve, reject) => {
      this.#greet = resolve;
      this.#refuse = reject;
    });
    this.greeting.catch(() => {}); // whoever waits for it hears of it; nobody may be waiting yet
    this.#child = startAgent(options);
    running.add(this.#child);
    this.#silence = setTimeout(() => this.#fail(new AgentFailed("the agent did not greet")), GREETING_MS);
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#fail(new AgentUnavailable(`the agent cannot be started: ${error.message}`));
        resolve();
      });
      this.#child.once("close", (code, signal) => {
        this.#fail(new AgentFailed(this.#epitaph(code, signal)));
        resolve();
      });
    });
    this.#child.stdin?.on("error", () => {}); // the end of the process is reported once, by "close"
    this.#child.stdout?.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-STDERR_KEPT);
    });
  }

  run(frame: Buffer, watchdogNs: number): Promise<PortResult> {
    return this.#ask(frame, FrameType.RESULT, watchdogNs || DEFAULT_WATCHDOG_NS, decodeResult);
  }

  tally(frame: Buffer, watchdogNs: number): Promise<RaceTally> {
    return this.#ask(frame, FrameType.TALLIED, TALLY_SILENCE * (watchdogNs || DEFAULT_WATCHDOG_NS), decodeTally);
  }

  #ask<T>(frame: Buffer, answer: number, patienceNs: number, decode: (body: Buffer) => T): Promise<T> {
    return new Promise((take, reject) => {
      const resolve = (body: Buffer): void => take(decode(body));
      const silenceMs = patienceNs / 1e6 + GRACE_MS;
      const id = this.#nextId;
      this.#nextId = (id % 0xffff_ffff) + 1;
      this.#pending.set(id, { resolve, answer, reject, silenceMs });
      if (this.#pending.size === 1) this.#expectAnswer();
      setFrameId(frame, id);
      this.#child.stdin?.write(frame);
    });
  }

  /** No more programs: the agent ends behind those that it has. */
  async end(): Promise<void> {
    this.#hold(true);
    this.#child.stdin?.end();
    const impatient = setTimeout(() => this.#child.kill("SIGTERM"), 2000);
    await this.#ended;
    clearTimeout(impatient);
  }

  /** Does a running agent keep this process from ending? Only while there is something to wait for. */
  #hold(yes: boolean): void {
    const handles = [this.#child, this.#child.stdin, this.#child.stdout, this.#child.stderr, this.#silence];
    for (const handle of handles as ({ ref?: () => void; unref?: () => void } | null)[]) {
      if (yes) handle?.ref?.();
      else handle?.unref?.();
    }
  }

  /** Restart the clock: the agent answers in order, so it now works on the oldest program. */
  #expectAnswer(): void {
    clearTimeout(this.#silence);
    const [oldest] = this.#pending.values();
    if (oldest === undefined) {
      this.#hold(false);
      return;
    }
    this.#silence = setTimeout(() => this.#fail(new AgentFailed("the agent does not answer")), oldest.silenceMs);
    this.#hold(true);
  }

  #receive(chunk: Buffer): void {
    try {
      this.#splitter.push(chunk, (frame) => this.#handle(frame));
    } catch (error) {
      this.#fail(error instanceof Error ? error : new AgentFailed(String(error)));
    }
  }

  #handle(frame: Buffer): void {
    const id = frame.readUInt32LE(4);
    const body = frame.subarray(FRAME_HEADER_BYTES);
    if (frame[8] === FrameType.GREETING) {
      const greeting = decodeGreeting(body.toString());
      checkGreeting(greeting);
      this.#greet(greeting);
      this.#expectAnswer();
      return;
    }
    const pending = this.#pending.get(id);
    if (frame[8] !== pending?.answer || pending === undefined)
      throw new AgentFailed("the agent answered nothing asked");
    pending.resolve(body);
    this.#pending.delete(id);
    this.#expectAnswer();
  }

  #epitaph(code: number | null, signal: string | null): string {
    const how = signal === null ? `exited with status ${code}` : `was killed by ${signal}`;
    const said = this.#stderr.trim();
    return `the agent ${how}${said === "" ? "" : `; it said: ${said}`}`;
  }

  /** The end of this agent, whatever the reason: nobody waits any longer. */
  #fail(error: Error): void {
    clearTimeout(this.#silence);
    this.#refuse(error);
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of waiting) pending.reject(error);
    if (!this.alive) return;
    this.alive = false;
    running.delete(this.#child);
    this.#child.kill("SIGTERM");
    this.#child.stdin?.destroy(); // an agent behind a shell does not get the signal, but notices this
    this.#child.stdout?.destroy();
  }
}

function startAgent(options: NativePortOptions): ChildProcess {
  const stdio = ["pipe", "pipe", "pipe"] as ("pipe" | "ignore")[];
  if (options.command !== undefined) return spawn("/bin/sh", ["-c", options.command], { stdio });
  const path = options.agentPath ?? defaultAgentPath();
  if (!existsSync(path)) {
    throw new AgentUnavailable(
      process.platform === "linux"
        ? `${path} is not there; with a C compiler (gcc, libc6-dev) this builds the agent: node ${setupPath()}`
        : "it runs on Linux only",
    );
  }
  return spawn(path, options.agentArgs ?? [], { stdio });
}

/**
 * A real kernel behind an agent. Programs may be sent without waiting for earlier ones: they are executed one after the
 * other. For work in parallel open several ports.
 */
export class NativePort implements Port {
  readonly #options: NativePortOptions;
  readonly #frames: WeakMap<PortProgram, Buffer> = new WeakMap();
  #agent: Agent;
  #greeting: Greeting;
  #closed = false;

  private constructor(options: NativePortOptions, agent: Agent, greeting: Greeting) {
    this.#options = options;
    this.#agent = agent;
    this.#greeting = greeting;
  }

  /**
   * Starts an agent and waits for its greeting.
   *
   * @throws AgentUnavailable if there is none, with what to do about it.
   */
  static async open(options: NativePortOptions = {}): Promise<NativePort> {
    const agent = new Agent(options);
    try {
      return new NativePort(options, agent, await agent.greeting);
    } catch (error) {
      if (error instanceof AgentUnavailable) throw error;
      throw new AgentUnavailable(error instanceof Error ? error.message : String(error));
    }
  }

  /** What the agent said about itself and its kernel. */
  get greeting(): Greeting {
    return this.#greeting;
  }

  /**
   * @throws AgentFailed if the agent dies before the answer; the next program gets a new agent.
   */
  async run(program: PortProgram): Promise<PortResult> {
    if (program.setup.hosts.length > 0) {
      return { steps: [], end: "unsupported", reason: "several simulated machines" };
    }
    const agent = await this.#living();
    let frame = this.#frames.get(program);
    if (frame === undefined) {
      frame = encodeProgram(program);
      this.#frames.set(program, frame);
    }
    return agent.run(Buffer.from(frame), program.setup.watchdogNs);
  }

  /**
   * Runs a program many times in one request; the calls of its race are staggered differently each time.
   *
   * @param seed - a whole number: the same one staggers in the same way.
   * @throws AgentFailed if the agent dies before the answer.
   */
  async tally(program: PortProgram, runs: number, seed: number): Promise<RaceTally> {
    const agent = await this.#living();
    return agent.tally(encodeTally(program, runs, seed), program.setup.watchdogNs);
  }

  /** The agent, or a new one if it has died. */
  async #living(): Promise<Agent> {
    if (this.#closed) throw new AgentFailed("this port is closed");
    if (!this.#agent.alive) {
      this.#agent = new Agent(this.#options);
      this.#greeting = await this.#agent.greeting;
    }
    return this.#agent;
  }

  /** Ends the agent, behind the programs that it has. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#agent.end();
  }
}
