/**
 * Runs strace, and packs what it writes while it writes it.
 *
 * strace writes into a FIFO, so that no uncompressed file is ever there. Its own signals are left to it: with `-o FILE PROG` it
 * blocks those that end a program, which therefore reach the traced program alone.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, constants, createWriteStream, mkdtempSync, openSync, renameSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { constants as osConstants, release, tmpdir, type } from "node:os";
import { join } from "node:path";
import { Transform, type TransformCallback } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { UserError } from "./errors.ts";
import { version } from "./version.ts";

/** What to record. */
export interface RecordPlan {
  /** The program and its arguments; empty with `pid`. */
  readonly command: readonly string[];
  /** A process to attach to. */
  readonly pid: number | null;
  /** Ends the recording after so many ms; null waits for the program's end. */
  readonly forMs: number | null;
  readonly out: string;
}

/** What came of it. */
export interface Recorded {
  readonly lines: number;
  /** Size of the file. */
  readonly bytes: number;
  /** As a shell reports the program's end: 128 and the signal's number if one ended it. */
  readonly status: number;
}

/** These release numbers brought what replay likes best: the clock in ns. Before, `-ttt -T` must do. */
const NS_SINCE = 5.6;
const NS_OPTIONS = ["--absolute-timestamps=format:unix,precision:ns", "--syscall-times=ns"];
const OLD_OPTIONS = ["-ttt", "-T"];
/** Everything in full but the environment of a program, which may hold secrets. */
const STRINGS = ["-yy", "-e", "abbrev=execve,execveat", "-s", "64"];
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
const SIGNAL_BASE = 128;
const COMPLAINT_MAX = 16_384;
const LINE_FEED = 0x0a;
const REMEDY_MISSING = "install it: apt install strace, dnf install strace, apk add strace, pacman -S strace";
const REMEDY_DENIED =
  "tracing must be allowed: run as the same user or as root, in a container with --cap-add=SYS_PTRACE, and where Yama restricts it: sysctl kernel.yama.ptrace_scope=0";

/** strace's version, such as 6.1. @throws UserError where there is none. */
function straceVersion(): number {
  const { error, stdout } = spawnSync("strace", ["-V"], { encoding: "utf8" });
  if (error !== undefined) throw new UserError("strace is not installed", REMEDY_MISSING);
  return Number(/version (\d+\.\d+)/.exec(stdout)?.[1] ?? "0");
}

/** @throws UserError where nothing may be traced, or not that process. */
function checkPermission({ pid }: RecordPlan): void {
  if (pid === null) {
    const { status, stderr } = spawnSync("strace", ["-o", "/dev/null", "true"], { encoding: "utf8" });
    if (status !== 0) throw new UserError(`strace may not trace: ${firstLine(stderr)}`, REMEDY_DENIED);
    return;
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH") throw new UserError(`there is no process ${pid}`, "ps -e lists what runs");
    throw new UserError(`process ${pid} belongs to somebody else`, REMEDY_DENIED);
  }
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0] ?? "";
}

/** The comment at the top: where a recording comes from. */
function header({ command, pid }: RecordPlan, strace: number, options: readonly string[]): string {
  const what = pid === null ? command.map(quoted).join(" ") : `process ${pid}, attached`;
  const rows = [
    `program: ${what}`,
    `kernel: ${type()} ${release()}`,
    `strace: ${strace}`,
    `options: ${options.join(" ")}`,
    `date: ${new Date().toISOString()}`,
    `recorded by: epollsim ${version()}`,
  ];
  return rows.map((row) => `# ${row}\n`).join("");
}

/** A word as one line that a shell reads the same. */
function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''").replaceAll(/[\n\r]/g, " ")}'`;
}

/** Counts lines, and finds the program's pid in front of the first one. */
class LineCounter extends Transform {
  lines = 0;
  pid: number | null = null;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.pid === null) {
      const found = /^(\d+)/.exec(chunk.subarray(0, 16).toString("latin1"));
      if (found !== null) this.pid = Number(found[1]);
    }
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, at + 1)) this.lines += 1;
    done(null, chunk);
  }
}

/**
 * Records until the program ends, the time is up, or a signal ends the recording of a process that was attached to.
 *
 * @throws UserError - strace is missing or may not trace; the file cannot be written. Nothing is left behind then.
 */
export async function recordTrace(plan: RecordPlan): Promise<Recorded> {
  const strace = straceVersion();
  checkPermission(plan);
  const folder = mkdtempSync(join(tmpdir(), "epollsim-record-"));
  const part = `${plan.out}.part`;
  const cleanup = (): void => {
    rmSync(folder, { recursive: true, force: true });
    rmSync(part, { force: true });
  };
  process.on("exit", cleanup);
  try {
    return await new Session(plan, strace, join(folder, "fifo"), part).run();
  } finally {
    process.off("exit", cleanup);
    cleanup();
  }
}

class Session {
  readonly #plan: RecordPlan;
  readonly #strace: number;
  readonly #fifo: string;
  readonly #part: string;
  readonly #counter = new LineCounter();
  #stopping = false;
  #complaint = "";

  constructor(plan: RecordPlan, strace: number, fifo: string, part: string) {
    this.#plan = plan;
    this.#strace = strace;
    this.#fifo = fifo;
    this.#part = part;
  }

  async run(): Promise<Recorded> {
    const { status, stderr } = spawnSync("mkfifo", ["-m", "600", this.#fifo], { encoding: "utf8" });
    if (status !== 0) throw new UserError(`no FIFO can be made: ${firstLine(stderr ?? "mkfifo is missing")}`);
    const options = ["-f", ...(this.#strace >= NS_SINCE ? NS_OPTIONS : OLD_OPTIONS), ...STRINGS];
    // a writer of our own keeps the FIFO open until strace is gone
    const reader = openSync(this.#fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(this.#fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    const file = createWriteStream(this.#part, { flags: "wx", mode: 0o600 });
    const gzip = createGzip();
    gzip.write(header(this.#plan, this.#strace, options));
    const source = new Socket({ fd: reader, readable: true, writable: false });
    const packed = pipeline(source, this.#counter, gzip, file).catch((error: Error) => error);
    const child = this.#start(options);
    const release = this.#listen(child);
    const ended = await this.#end(child, packed);
    release();
    closeSync(writer);
    const problem = await packed;
    if (problem instanceof Error) throw new UserError(`${this.#plan.out}: ${problem.message}`);
    return this.#finish(ended, file.bytesWritten);
  }

  #start(options: readonly string[]): ChildProcess {
    const { command, pid } = this.#plan;
    const what = pid === null ? ["--", ...command] : ["-p", String(pid)];
    const child = spawn("strace", [...options, "-o", this.#fifo, ...what], {
      stdio: ["inherit", "inherit", pid === null ? "inherit" : "pipe"],
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      if (this.#complaint.length < COMPLAINT_MAX) this.#complaint += chunk.toString();
    });
    return child;
  }

  /** Signals for us are signals for the program; one that we attached to is let go. */
  #listen(child: ChildProcess): () => void {
    const stop = (): void => {
      this.#stopping = true;
      if (this.#plan.pid !== null) child.kill("SIGINT");
      else this.#signal("SIGTERM");
    };
    const timer = this.#plan.forMs === null ? null : setTimeout(stop, this.#plan.forMs);
    const listeners = FORWARDED.map((signal) => {
      const listener = (): void => {
        if (this.#plan.pid !== null) stop();
        // a terminal has sent it to the program as well
        else if (!(process.stdin.isTTY && (signal === "SIGINT" || signal === "SIGQUIT"))) this.#signal(signal);
      };
      process.on(signal, listener);
      return () => process.off(signal, listener);
    });
    return () => {
      if (timer !== null) clearTimeout(timer);
      for (const off of listeners) off();
    };
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      if (this.#counter.pid !== null) process.kill(this.#counter.pid, signal);
    } catch {
      // it is gone already
    }
  }

  /** Waits for strace; ends it when what it writes cannot be kept. */
  async #end(child: ChildProcess, packed: Promise<unknown>): Promise<number> {
    const exited = new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => resolve(code ?? SIGNAL_BASE + signalNumber(signal)));
    });
    void packed.then((problem) => {
      if (!(problem instanceof Error)) return;
      this.#signal("SIGTERM");
      child.kill("SIGKILL");
    });
    return exited;
  }

  #finish(ended: number, bytes: number): Recorded {
    const { pid, out, command } = this.#plan;
    const { lines } = this.#counter;
    if (lines === 0) {
      const why = pid === null ? `'${command[0]}' did not start` : firstLine(this.#complaint);
      throw new UserError(`nothing was recorded: ${why}`, pid === null ? null : REMEDY_DENIED);
    }
    renameSync(this.#part, out);
    const status = this.#stopping || pid !== null ? 0 : ended;
    return { lines, bytes, status };
  }
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : (osConstants.signals[signal] ?? 0);
}
