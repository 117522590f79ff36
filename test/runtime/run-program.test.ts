/** `epollsim run PROGRAM`: the built command line in a process of its own, since Node loads the program. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { epollsim } from "../helpers/built.ts";
import { jsonLines } from "../helpers/cli.ts";

const folder = mkdtempSync(join(tmpdir(), "epollsim-program-"));
afterAll(() => rmSync(folder, { recursive: true }));
const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const ticker = file(
  "ticker.ts",
  `import { defineProgram, type Program, type Syscalls } from "epollsim/runtime";
import { word } from "./lib.ts";
export const program = defineProgram({
  summary: "ticks",
  options: { ticks: { default: 2, help: "how many", min: 1 }, mode: { default: "a", help: "m", choices: ["a", "b"] }, loud: { default: false, help: "l" } },
  *main({ machine, print, random }, { ticks, mode, loud }) {
    const box = machine();
    box.spawn("ticker", function* (sys: Syscalls): Program {
      for (let i = 0; i < ticks; i += 1) {
        yield sys.nanosleep(1_500_000_000);
        print(word + i + mode + (loud as boolean) + Math.floor(random() * 1e6));
      }
    });
    yield box;
    return { ticks };
  },
});
`,
);
file("lib.ts", "export const word: string = 'tick';\n");

describe("a program outside of any project", () => {
  test("runs with its options, and the same seed prints the same bytes", async () => {
    const first = await epollsim(["run", ticker, "--ticks", "3", "--mode", "b", "--loud", "--seed", "7"]);
    expect(first.code).toBe(0);
    expect(first.out).toMatch(
      /^tick0btrue\d+\ntick1btrue\d+\ntick2btrue\d+\nticks 3\ncalls 4: nanosleep 3, exit_group 1\n/,
    );
    expect(first.out).toContain("virtual time 4.5 s");
    expect((await epollsim(["run", ticker, "--ticks", "3", "--mode", "b", "--loud", "--seed", "7"])).out).toBe(
      first.out,
    );
    expect((await epollsim(["run", ticker, "--ticks", "3", "--mode", "b", "--loud", "--seed", "8"])).out).not.toBe(
      first.out,
    );
  });

  test("--json: what it prints and the summary as objects", async () => {
    const { code, out } = await epollsim(["run", "--json", ticker]);
    expect(code).toBe(0);
    const objects = jsonLines(out);
    expect(objects.map(({ type }) => type)).toEqual(["print", "print", "summary"]);
    expect(objects[2]).toMatchObject({ ticks: 2, calls: 3, virtual_s: 3, asleep: [] });
    expect(objects[2]?.rss_bytes).toBeGreaterThan(1e6);
  });

  test("--trace is a recording that replay agrees with", async () => {
    const { out } = await epollsim(["run", "--trace", join(root, "examples/hello.ts")]);
    const trace = file("hello.strace", out);
    const { code, out: verdict } = await epollsim(["replay", "--json", trace]);
    expect(code).toBe(0);
    expect(jsonLines(verdict).at(-1)).toMatchObject({ calls: 25, diverged: 0, unsupported: 0 });
  });

  test("--trace --json: calls as objects", async () => {
    const { out } = await epollsim(["run", "--trace", "--json", join(root, "examples/hello.ts"), "--times", "1"]);
    const calls = jsonLines(out).filter(({ type }) => type === "call");
    expect(calls.some(({ text }) => String(text).includes('write(3, "hello", 5)'))).toBe(true);
    expect(calls[0]).toMatchObject({ task: "1000", ast: { type: "call", name: "execve" } });
  });

  test("--json: a table is an object for each row", async () => {
    const { out } = await epollsim(["run", "--json", join(root, "examples/three-ways"), "--clients", "5"]);
    const rows = jsonLines(out).filter(({ type }) => type === "row");
    expect(rows.map(({ server, threads }) => [server, threads])).toEqual([
      ["threads", 6],
      ["reactor", 1],
      ["goroutines", 3],
    ]);
  });

  test("--help lists its options", async () => {
    const { code, out } = await epollsim(["run", ticker, "--help"]);
    expect(code).toBe(0);
    expect(out).toMatch(/ticks\n[\s\S]*--ticks <n> +how many[\s\S]*choices: "a", "b"/);
  });
});

test("--trace of children, threads, signals, timers and futexes: replay agrees with all of it", async () => {
  const families = file(
    "families.ts",
    `import { defineProgram, type Program, Sig, Epoll, EpollCtl, Af, Sock, Msg } from "epollsim/runtime";
export const program = defineProgram({ summary: "forks", options: {}, *main({ machine, print }) {
  const box = machine();
  box.spawn("main", function* (sys): Program {
    sys.sigaction(Sig.PIPE, 1);
    const fds: number[] = [];
    sys.pipe2(fds, 0);
    const a = sys.fork("child", function* (own): Program {
      own.close(fds[0]!);
      yield own.nanosleep(1_000_000);
      yield own.write(fds[1]!, own.memory.allocText("from child"), 10);
      return 3;
    });
    sys.close(fds[1]!);
    const buf = sys.memory.alloc(32);
    print(String(yield sys.read(fds[0]!, buf, 32)));
    print(String((yield sys.wait4(a)) === a) + " " + sys.waitStatus);
    const b = sys.fork("victim", function* (own): Program { 
      own.clone("thread of victim", function* (o): Program { yield o.nanosleep(1e12); });
      yield own.nanosleep(1e12); });
    yield sys.nanosleep(5_000_000);
    sys.kill(b, Sig.TERM);
    print(String((yield sys.wait4(-1)) === b) + " " + sys.waitStatus);
    const tfd = sys.timerfdCreate(Sock.NONBLOCK);
    sys.timerfdSettime(tfd, 0, 2_000_000, 1_000_000);
    const ep = sys.epollCreate1(0);
    sys.epollCtl(ep, EpollCtl.ADD, tfd, Epoll.IN | Epoll.ET);
    const ev = sys.memory.allocEvents(4);
    for (let i = 0; i < 3; i++) { yield sys.epollPwait(ep, ev, 4, 100); sys.read(tfd, buf, 8); }
    yield sys.epollPwait2(ep, ev, 4, 500_000);
    const pair: number[] = []; sys.socketpair(Af.UNIX, Sock.STREAM, 0, pair);
    sys.send(pair[0]!, buf, 5, Msg.NOSIGNAL); yield sys.recv(pair[1]!, buf, 32, 0);
    sys.shutdown(pair[0]!, 1); yield sys.recv(pair[1]!, buf, 32, 0);
    sys.close(pair[1]!); sys.write(pair[0]!, buf, 1);
    const word = sys.memory.alloc(4);
    sys.clone("waker", function* (o): Program { yield o.nanosleep(1000); o.futexWake(word, 1); });
    yield sys.futexWait(word, 0, 5_000_000_000);
  });
  yield box; return {};
}});`,
  );
  const { out } = await epollsim(["run", "--trace", families]);
  expect(out).toMatch(/^1003 .* \+\+\+ killed by SIGTERM \+\+\+$/m);
  expect(out).toMatch(
    /^1001 .* \+\+\+ exited with 3 \+\+\+\n[\s\S]*wait4\(1001, \[\{WIFEXITED\(s\) && WEXITSTATUS\(s\) == 3\}\]/m,
  );
  const { out: verdict } = await epollsim(["replay", "--json", file("families.strace", out)]);
  expect(jsonLines(verdict).at(-1)).toMatchObject({ diverged: 0, unsupported: 0 });
});

test("a program that needs more heap than Node grants gets it", async () => {
  const big = file(
    "big.mjs",
    `import { getHeapStatistics } from "node:v8";
import { defineProgram } from "epollsim/runtime";
export const program = defineProgram({
  summary: "", options: { need: { default: 0, help: "MiB" } },
  heapMiB: ({ need }) => need,
  *main({ print }) {
    print(String(getHeapStatistics().heap_size_limit / 2 ** 20));
    return {};
  },
});`,
  );
  const limitOf = async (need: number): Promise<number> =>
    Number((await epollsim(["run", big, "--need", String(need)])).out.split("\n")[0]);
  const usual = await limitOf(0);
  expect(await limitOf(usual + 1000)).toBeGreaterThan(usual + 1000);
});

describe("a program that goes wrong", () => {
  test.each([
    ["unknown.ts", "export const a = 1;", 2, "exports no program"],
    ["enum.ts", "enum A { X }\nexport const program = A;", 2, "enum is not supported"],
    ["syntax.ts", "export const = 3;", 2, "cannot be loaded"],
  ])("%s: exit 2 and why", async (name, text, code, message) => {
    const ran = await epollsim(["run", file(name, text)]);
    expect(ran.code).toBe(code);
    expect(ran.err).toContain(message);
  });

  test("an unknown option, a value that is none, an option for scripts: exit 2", async () => {
    for (const args of [["--bogus"], ["--ticks", "0"], ["--mode", "c"], ["extra"], ["--dump"]]) {
      const { code, err, out } = await epollsim(["run", ticker, ...args]);
      expect([code, out]).toEqual([2, ""]);
      expect(err).toMatch(/\nhint: /);
    }
  });

  test("--trace of several machines or hosts: exit 2 before anything is printed, with their names", async () => {
    for (const [example, names] of [
      ["three-ways", "threads, reactor"],
      ["swarms", "edge-server, edge-clients, edge-far, edge-lost"],
    ] as const) {
      const { code, err, out } = await epollsim(["run", join(root, "examples", example), "--trace"]);
      expect([code, out]).toEqual([2, ""]);
      expect(err).toContain(`several machines: ${names}\nhint: --traces FOLDER`);
    }
  });

  test("--traces into a file, with --trace, of a script: exit 2", async () => {
    const hello = join(root, "examples/hello.ts");
    for (const args of [
      [hello, "--traces", hello],
      [hello, "--trace", "--traces", folder],
      [join(root, "traces/doctor/D-001-edge-stalled.strace"), "--traces", folder],
    ]) {
      const { code, err, out } = await epollsim(["run", ...args]);
      expect([code, out]).toEqual([2, ""]);
      expect(err).toMatch(/^error: .*traces.*\nhint: |^error: .*cannot be written.*\nhint: /s);
    }
  });

  test("threads that sleep for ever, and what is thrown: exit 1, with their names", async () => {
    const stuck = file(
      "stuck.mjs",
      `import { defineProgram } from "epollsim/runtime";
export const program = defineProgram({
  summary: "", options: { how: { default: "sleep", help: "" } },
  *main({ machine }, { how }) {
    const box = machine();
    box.spawn("stuck", function* (sys) {
      if (how === "throw") throw new Error("oops");
      if (how === "forget") { sys.nanosleep(5); sys.getpid(); }
      yield sys.epollWait(sys.epollCreate1(0), sys.memory.allocEvents(1), 1, -1);
    });
    yield box;
    return {};
  },
});`,
    );
    const asleep = await epollsim(["run", stuck]);
    expect(asleep.code).toBe(1);
    expect(asleep.err).toContain("1000 stuck: in epoll_wait() since 1 s after boot");
    const threw = await epollsim(["run", stuck, "--how", "throw"]);
    expect(threw.code).toBe(1);
    expect(threw.err).toMatch(/thread 1000 \(stuck\): oops\n.*stuck\.mjs:7/);
    const forgot = await epollsim(["run", stuck, "--how", "forget"]);
    expect(forgot.code).toBe(1);
    expect(forgot.err).toContain("write 'yield'");
  });

  test("Ctrl-C ends a program that never does", async () => {
    const endless = file(
      "endless.mjs",
      `import { defineProgram } from "epollsim/runtime";
export const program = defineProgram({
  summary: "", options: {},
  *main({ machine, print }) {
    const box = machine();
    print("begun");
    box.spawn("endless", function* (sys) { for (;;) yield sys.nanosleep(1); });
    yield box;
    print("judged");
    return {};
  },
});`,
    );
    const child = spawn(process.execPath, [join(root, "dist/cli/main.js"), "run", "--json", endless]);
    let out = "";
    const begun = new Promise<void>((resolve) => {
      child.stdout.on("data", (chunk: Buffer) => {
        out += chunk.toString();
        resolve();
      });
    });
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    await begun;
    await new Promise((resolve) => setTimeout(resolve, 300));
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(jsonLines(out).at(-1)).toMatchObject({ type: "summary", interrupted: true });
    expect(out).not.toContain("judged");
  });
});
