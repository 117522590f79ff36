/**
 * Names on the command line that stand for something that never ends, or is not there.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scriptsBelow } from "../../src/cli/files.ts";
import { cli } from "../helpers/cli.ts";

const folder = mkdtempSync(join(tmpdir(), "epollsim-test-"));
const script = join(folder, "ok.strace");

beforeAll(() => {
  writeFileSync(script, "close(99) = -1 EBADF\n");
  spawnSync("mkfifo", [join(folder, "fifo.strace")]);
  symlinkSync("/dev/zero", join(folder, "zero.strace"));
  symlinkSync(".", join(folder, "loop"));
  symlinkSync("itself.strace", join(folder, "itself.strace"));
  symlinkSync("nowhere", join(folder, "nowhere.strace"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a folder stands for its regular files, and names that lead nowhere", () => {
  expect(scriptsBelow(folder).map((path) => path.slice(folder.length + 1))).toEqual([
    "itself.strace",
    "nowhere.strace",
    "ok.strace",
  ]);
});

describe("what never ends is refused", () => {
  const commands: readonly (readonly string[])[] = [
    ["replay", "/dev/zero"],
    ["replay", "/dev/urandom"],
    ["run", "/dev/zero"],
    ["explain", "/dev/zero", "--at", "1"],
    ["doctor", "/dev/zero"],
    ["run", script, "--schedule", "/dev/zero"],
    ["run", script, "--schedule", join(folder, "fifo.strace")],
  ];
  test.each(commands.map((command) => [command]))("%s", async (command) => {
    const { code, err } = await cli([...command]);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(/never ends|not a regular file/u) });
  });
});
