/** The table of what fits before EAGAIN: a few of its cells. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { defaultAgentPath } from "../../src/native-bridge/index.ts";
import { jsonLines } from "../helpers/cli.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

function table(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(root, "bench/fill-table.mjs"), ...args], { encoding: "utf8" });
}

test("a size that no write has is refused, with the reason", () => {
  const { status, stderr } = table("--sizes", "0");
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/'0' is no size from 1 to 65536/);
});

describe.skipIf(!existsSync(defaultAgentPath()))("on this kernel", () => {
  test("model and kernel take the same", () => {
    const { status, stdout, stderr } = table("--json", "--sizes", "100,3777,65536");
    expect(stderr).toBe("");
    const rows = jsonLines(stdout);
    expect(rows.pop()).toEqual({ total: true, cells: 48, different: 0 });
    expect(rows).toHaveLength(48);
    expect(rows[0]).toEqual({
      file: "pipe",
      buffer: "default",
      size: 100,
      model: { bytes: 64000, writes: 640, errno: -11 },
      kernel: { bytes: 64000, writes: 640, errno: -11 },
      same: true,
    });
    expect(status).toBe(0);
  });
});
