import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { replayFile } from "../../src/cli/replay.ts";
import { cli, jsonLines } from "../helpers/cli.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const traces = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;
const folder = mkdtempSync(join(tmpdir(), "epollsim-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string): string => join(folder, name);
const text = (name: string): string => gunzipSync(readFileSync(file(name))).toString();
const left = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("epollsim-record-"));

/** The program as a process of its own, which can be signalled. */
function start(args: readonly string[]): { pid: number; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: "ignore" });
  return { pid: child.pid ?? 0, ended: new Promise((resolve) => child.on("exit", (code) => resolve(code))) };
}

describe("usage", () => {
  test("asks for a program or a process, not both", async () => {
    expect(await cli(["record"])).toMatchObject({ code: 2, err: expect.stringContaining("nothing to record") });
    const both = await cli(["record", "-p", "1", "--", "true"]);
    expect(both).toMatchObject({ code: 2, err: expect.stringContaining("at once") });
  });

  test("does not replace a file", async () => {
    writeFileSync(file("there.gz"), "x");
    const { code, err } = await cli(["record", "-o", file("there.gz"), "--", "true"]);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("--force") });
    expect(readFileSync(file("there.gz"), "utf8")).toBe("x");
  });

  test("names what a time looks like", async () => {
    expect((await cli(["record", "--for", "soon", "--", "true"])).err).toContain("30s, 500ms or 2m");
  });

  test("without strace says how to install it", async () => {
    const path = process.env.PATH;
    process.env.PATH = folder;
    const { code, err } = await cli(["record", "-o", file("none.gz"), "--", "true"]);
    process.env.PATH = path;
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("apt install strace") });
  });
});

describe.skipIf(!traces)("a recording", () => {
  let before: string[] = [];
  beforeAll(() => {
    before = left();
  });

  test("has a header, passes the exit code through, and replays without a divergence", async () => {
    const { code, out } = await cli(["record", "--json", "-o", file("sh.gz"), "--", "sh", "-c", "true | cat; exit 3"]);
    expect(code).toBe(3);
    expect(jsonLines(out)).toMatchObject([{ status: 3, lines: expect.any(Number) }]);
    expect(text("sh.gz")).toMatch(/^# program: sh -c 'true \| cat; exit 3'\n# kernel: Linux .*\n# strace: /u);
    expect(text("sh.gz")).toMatch(
      /execve\("[^"]+", \["sh", "-c", "true \| cat; exit 3"\], 0x[0-9a-f]+ \/\* \d+ vars \*\//u,
    );
    const { diverged, agreed, unsupported } = await replayFile(file("sh.gz"), "6.18", () => false);
    expect({ diverged, unsupported }).toEqual({ diverged: 0, unsupported: 0 });
    expect(agreed).toBeGreaterThan(10);
  });

  test("of a program that a signal ends has the code of a shell", async () => {
    expect((await cli(["record", "-o", file("kill.gz"), "--", "sh", "-c", "kill -9 $$"])).code).toBe(137);
  });

  test("of a program that does not exist leaves nothing behind", async () => {
    const { code, err } = await cli(["record", "-o", file("no.gz"), "--", "/no/such/program"]);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("did not start") });
    expect(readdirSync(folder).filter((name) => name.startsWith("no.gz"))).toEqual([]);
  });

  test("ends after its time", async () => {
    const { code } = await cli(["record", "--for", "300ms", "-o", file("for.gz"), "--", "sleep", "60"]);
    expect(code).toBe(0);
    expect(text("for.gz")).toContain("+++ killed by SIGTERM +++");
  });

  test("passes a signal on, and is whole all the same", async () => {
    const { pid, ended } = start(["record", "-o", file("term.gz"), "--", "sleep", "60"]);
    while (!existsSync(file("term.gz.part"))) await new Promise((resolve) => setTimeout(resolve, 50));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    process.kill(pid, "SIGTERM");
    expect(await ended).toBe(143);
    expect(text("term.gz")).toContain("--- SIGTERM");
  });

  test("of a process that runs lets it go on", async () => {
    const child = spawn("sleep", ["60"]);
    const { code } = await cli(["record", "--for", "300ms", "-p", String(child.pid), "-o", file("pid.gz")]);
    expect({ code, ended: child.exitCode, signal: child.signalCode }).toEqual({ code: 0, ended: null, signal: null });
    child.kill();
    expect(text("pid.gz")).toMatch(/^# program: process \d+, attached\n/u);
    expect((await replayFile(file("pid.gz"), "6.18", () => false)).diverged).toBe(0);
  });

  test("leaves no temporary file", () => {
    expect(readdirSync(folder).filter((name) => name.endsWith(".part"))).toEqual([]);
    expect(left().filter((name) => !before.includes(name))).toEqual([]);
  });
});
