import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { reportError } from "../../src/cli/errors.ts";
import { cli, fakeIo, jsonLines } from "../helpers/cli.ts";

const folder = mkdtempSync(join(tmpdir(), "epollsim-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));
const main = join(dirname(fileURLToPath(import.meta.url)), "../../dist/cli/main.js");

function file(name: string, text: string | Buffer): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const EDGE = `#! id E-083
# an OUT-only edge-triggered item is not reported again by arriving data
epoll_create1(0) = 3
eventfd2(0, EFD_NONBLOCK) = 4
epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLOUT|EPOLLET, data={u32=4, u64=4}}) = 0
epoll_wait(3, [{events=EPOLLOUT, data={u32=4, u64=4}}], 8, 0) = 1
#! dump
write(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
epoll_wait(3, [], 8, 0) = 0
`;
const edge = file("edge.strace", EDGE);
const wrong = file("wrong.strace", EDGE.replace("[], 8, 0) = 0", "[], 8, 0) = 1"));
const sleeper = file(
  "sleeper.strace",
  `A epoll_create1(0) = 3
A eventfd2(0, EFD_NONBLOCK) = 4
A epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLONESHOT, data={u32=4, u64=4}}) = 0
B epoll_wait(3,  <unfinished ...>
#! dump 3
A write(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
B <... epoll_wait resumed>[{events=EPOLLIN, data={u32=4, u64=4}}], 8, -1) = 1
A epoll_wait(3, [], 8, 20) = 0
`,
);

describe("run", () => {
  test("prints calls as strace does, and what changed inside", async () => {
    const { code, out, err } = await cli(["run", edge]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(`#! id E-083
# an OUT-only edge-triggered item is not reported again by arriving data
epoll_create1(0)                                                               = 3
eventfd2(0, EFD_NONBLOCK)                                                      = 4
epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLOUT|EPOLLET, data={u32=4, u64=4}}) = 0
    + rbr       epoll 3 watches 4 for EPOLLOUT|EPOLLET
    > rdllist   4 is ready as it is added  epoll 3: [4]
epoll_wait(3, [{events=EPOLLOUT, data={u32=4, u64=4}}], 8, 0)                  = 1
#! dump
write(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8)                                                = 8
    ! wake      4 announces EPOLLIN
    ~ callback  4 in epoll 3 asks for EPOLLOUT|EPOLLET only: the wake is ignored
epoll_wait(3, [], 8, 0)                                                        = 0
calls 6, all as expected
`);
  });

  test("sleep, wake-up, one-shot and passing time", async () => {
    const { out } = await cli(["run", sleeper]);
    expect(out).toContain("B  epoll_wait(3 <unfinished ...>\n    z task      B goes to sleep\n");
    expect(out).toContain("    * task      B wakes up\n");
    expect(out).toContain("    x oneshot   4 is disarmed until the next EPOLL_CTL_MOD\n");
    expect(out).toMatch(/A goes to sleep\n {4}@ clock {5}20(\.\d+)? ms pass|@ clock/);
  });

  test("marks what is not as expected, and exits 1", async () => {
    const { code, out } = await cli(["run", wrong]);
    expect(code).toBe(1);
    expect(out).toContain("    !! not as expected: 1 expected, 0 here\n");
    expect(out).toMatch(/not as expected: 1\n$/);
  });

  test("--quiet prints only that", async () => {
    expect((await cli(["run", "-q", edge])).out).toBe("calls 6, all as expected\n");
    const { out } = await cli(["run", "--quiet", wrong]);
    expect(out.split("\n")).toHaveLength(4);
  });

  test("--trace prints a script that expects what happened", async () => {
    const { out } = await cli(["run", "--trace", wrong]);
    const again = await cli(["run", file("again.strace", out)]);
    expect(again.code).toBe(0);
    expect((await cli(["run", "--trace", join(folder, "again.strace")])).out).toBe(out);
  });

  test("--dump draws the epolls at the marked line and at the end", async () => {
    const { out } = await cli(["run", "--dump", sleeper]);
    const picture = `    epoll 3  1 item
      rbr      ● 4  EPOLLIN|EPOLLERR|EPOLLHUP|EPOLLONESHOT
      rdllist  empty
      ovflist  inactive
      waiters  B
      pollers  none
`;
    expect(out).toContain(picture);
    expect(out).toContain("# at the end\n    epoll 3  1 item\n      rbr      ● 4  EPOLLONESHOT\n");
  });

  test("--json: one object a line", async () => {
    const { code, out } = await cli(["run", "--json", "--dump", wrong]);
    const objects = jsonLines(out);
    expect(code).toBe(1);
    expect(objects[0]).toMatchObject({ type: "script", ids: ["E-083"], kernel: "6.18", seed: null });
    expect(objects.at(-1)).toEqual({ type: "summary", scripts: 1, calls: 6, diverged: 1, stopped: 0 });
    expect(objects.filter(({ type }) => type === "call")).toHaveLength(6);
    expect(objects).toContainEqual(
      expect.objectContaining({ type: "change", line: 8, what: "filtered", ep: 3, fd: 4, why: "mask", key: 1 }),
    );
    expect(objects).toContainEqual(
      expect.objectContaining({ type: "divergence", line: 9, field: "result", expected: "1", actual: "0" }),
    );
    const dump = objects.find(({ type }) => type === "dump");
    expect(dump).toMatchObject({ line: 7, epolls: [{ fd: 3, items: 1, rbr: { fd: 4, red: false }, waiters: [] }] });
  });

  test("the same seed gives the same bytes, with and without colours", async () => {
    for (const args of [
      ["run", "--seed", "7", "--dump", sleeper],
      ["run", "--seed", "7", "--json", sleeper],
    ]) {
      expect((await cli(args)).out).toBe((await cli(args)).out);
    }
    const { out } = await cli(["run", sleeper], { colored: true });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the codes of colours
    expect(out.replace(/\x1b\[\d+m/g, "")).toBe((await cli(["run", sleeper])).out);
    expect(out).not.toBe((await cli(["run", sleeper])).out);
  });

  test("--kernel: an older release, or a script that it excludes", async () => {
    const newer = file("newer.strace", "#! kernel >= 6.15\nepoll_wait(7, [], 0, 0) = -1 EBADF\n");
    expect((await cli(["run", newer])).code).toBe(0);
    const { code, out, err } = await cli(["run", "--kernel", "5.4", newer]);
    expect({ code, out }).toEqual({ code: 0, out: "scripts 0, calls 0, all as expected\n" });
    expect(err).toContain("not run: its '#! kernel' line excludes 5.4");
    const older = file("older.strace", "epoll_wait(7, [], 0, 0) = -1 EINVAL\n");
    expect((await cli(["run", "--kernel", "5.4", older])).code).toBe(0);
    expect((await cli(["run", older])).code).toBe(1);
  });

  test("a folder, a gzip file", async () => {
    file("sub/a.strace", EDGE);
    file("sub/b.strace.gz", gzipSync(EDGE));
    const { code, out } = await cli(["run", join(folder, "sub")]);
    expect(code).toBe(0);
    expect(out).toMatch(/scripts 2, calls 12, all as expected\n$/);
  });

  test("a call that the model does not know ends the script, and says so", async () => {
    const strange = file("strange.strace", 'ftruncate(1, 5) = -1 EINVAL\nmkdir("/a/b/c", 0700) = ?\nquotactl(1) = 0\n');
    const { code, err } = await cli(["run", strange]);
    expect(code).toBe(2);
    expect(err).toContain("strange.strace:3:");
  });
});

describe("what a user can do wrong", () => {
  test.each([
    ["an unknown command", ["rum", edge], /unknown command 'rum'.*Did you mean run\?/s],
    ["an unknown option", ["run", "--jsonn", edge], /unknown option '--jsonn'.*Did you mean --json\?/s],
    ["a wrong version", ["run", "--kernel", "3.2", edge], /'3.2' is invalid\. Expected a version from 4\.4 to 6\.18/],
    ["no script", ["run"], /missing required argument 'script'/],
    ["a missing file", ["run", join(folder, "none.strace")], /none\.strace: no such file/],
    ["a wrong number", ["diff", "--generate", "many"], /'many' is invalid\. Expected a whole number, at least 1/],
    ["nothing to compare", ["diff"], /nothing to compare.*--generate 1000/s],
    ["a wrong target", ["diff", "--target", "ssh:host", edge], /Expected exec:COMMAND/],
    ["a missing folder", ["check", join(folder, "nowhere")], /nowhere: no such folder/],
  ])("%s: exit 2, and what would be right", async (_what, args, message) => {
    const { code, out, err } = await cli(args);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(message);
    expect(err).not.toMatch(/\n\s+at /);
  });

  test("a bad script: file, line, column, what was read, what would be right", async () => {
    const bad = file("bad.strace", "epoll_create1(0) = 3\nepoll_weight(3, [], 8, 0) = 0\n");
    const { code, err } = await cli(["run", bad]);
    expect(code).toBe(2);
    expect(err).toContain(`${bad}:2:1: found the unknown call 'epoll_weight', expected 'epoll_wait'`);
  });

  test("help is no error, and shows examples", async () => {
    for (const args of [["--help"], ["run", "--help"], ["diff", "--help"], ["check", "--help"]]) {
      const { code, out } = await cli(args);
      expect(code).toBe(0);
      expect(out).toContain("Examples:");
    }
    expect((await cli(["--version"])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("a defect of ours: one line, exit 70; with EPOLLSIM_DEBUG the error itself", () => {
    const { io, err } = fakeIo();
    expect(reportError(new TypeError("x is not a function\nmore"), io)).toBe(70);
    expect(err()).toMatch(/^error: epollsim itself went wrong: TypeError: x is not a function\nhint: .*\n$/);
    const debug = fakeIo({ env: { EPOLLSIM_DEBUG: "1" } });
    expect(() => reportError(new TypeError("x"), debug.io)).toThrow("x");
  });
});

describe.skipIf(!existsSync(main))("the program", () => {
  const run = (shell: string): ReturnType<typeof spawnSync> => {
    // the test runner forces colours on its own output where CI is set
    const { FORCE_COLOR: _, ...env } = process.env;
    return spawnSync("bash", ["-c", shell], { encoding: "utf8", env: { ...env, MAIN: main, NODE: process.execPath } });
  };

  test("a reader that goes away ends it silently", () => {
    const { stdout, stderr } = run(`"$NODE" "$MAIN" run --json ${edge} ${edge} ${edge} | head -1`);
    expect(stderr).toBe("");
    expect(String(stdout).split("\n")).toHaveLength(2);
  });

  test("standard input is a script; a pipe gets no colours", () => {
    const { stdout, status } = run(`"$NODE" "$MAIN" run - < ${edge}`);
    expect(status).toBe(0);
    expect(stdout).toContain("calls 6, all as expected");
    expect(stdout).not.toContain("\u001b");
  });
});
