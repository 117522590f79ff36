/**
 * Recordings as people make them: without times, without notes, in the middle of a life, in pieces, pasted into a mail. What they do
 * not tell is taken from them; nothing is called wrong, or unknown, for its want.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { cli, jsonLines } from "../helpers/cli.ts";

const folder = fileURLToPath(new URL("../../traces/captured/import", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "epollsim-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function replay(...paths: string[]): Promise<Record<string, unknown>[]> {
  return jsonLines((await cli(["replay", "--json", ...paths])).out);
}

const single = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());

describe("each sample ends in a summary", () => {
  test.each(single.map(({ name }) => name))("%s", async (name) => {
    const [summary] = await replay(join(folder, name));
    expect(summary).toMatchObject({ diverged: 0, unsupported: 0 });
    expect(summary?.calls).toBeGreaterThan(7);
  });
});

describe("sets of strace -ff", () => {
  const told = { calls: 254, agreed: 86, diverged: 0, unsupported: 0 };

  test("are one recording, put together by their times", async () => {
    const byFolder = await replay(join(folder, "ff"));
    expect(byFolder).toMatchObject([told, { ...told, total: true }]);
    expect(byFolder[0]?.file).toBe(join(folder, "ff", "sh.strace"));
    const byName = await replay(join(folder, "ff", "sh.strace"));
    const one = await replay(...readdirSync(join(folder, "ff")).map((name) => join(folder, "ff", name)));
    expect([byName[0], one[0]]).toMatchObject([told, told]);
  });

  test("without times are recordings of their own", async () => {
    const results = await replay(join(folder, "ff-no-times"));
    expect(results).toHaveLength(7);
    expect(results[6]).toMatchObject({ total: true, calls: 254, diverged: 0, unsupported: 0 });
  });
});

describe("what is lost", () => {
  test("a call whose beginning is missing is taken from the recording", async () => {
    writeFileSync(
      join(scratch, "late.strace"),
      `8 <... epoll_wait resumed>[{events=EPOLLIN, data={u32=4, u64=4}}], 8, -1) = 1
8 epoll_ctl(3, EPOLL_CTL_DEL, 4, NULL) = 0
9 eventfd2(0, 0) = 5
8 write(5, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
8 eventfd2(0, 0) = 5
`,
    );
    const [summary] = await replay(join(scratch, "late.strace"));
    expect(summary).toMatchObject({ assumed: 2, agreed: 2, diverged: 1 });
    expect(summary?.first_divergence).toMatchObject({ line: 5 });
  });

  test("behind a gap no number is known any more", async () => {
    const lines = [
      "7 eventfd2(0, 0) = 3",
      "...",
      "7 read(3, 0x7ffe00, 8) = -1 EAGAIN (x)",
      "7 accept4(4, NULL, NULL, 0) = 3",
    ];
    writeFileSync(join(scratch, "gap.strace"), lines.join("\n"));
    const [summary] = await replay(join(scratch, "gap.strace"));
    expect(summary).toMatchObject({ agreed: 1, assumed: 2, diverged: 0, unsupported: 0 });
  });

  test("a line that is none is passed over with a word about it", async () => {
    writeFileSync(join(scratch, "bad.strace"), '7 getpid() = 7\n7 write(1, "abc\n7 close(99) = -1 EBADF (x)\n');
    const { code, err, out } = await cli(["replay", join(scratch, "bad.strace")]);
    expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(/^passed over: .*bad\.strace:2:/u) });
    expect(out).toContain("calls 2, agreed 1");
  });

  test("one bad file does not keep the others from being replayed", async () => {
    writeFileSync(join(scratch, "damaged.strace.gz"), gzipSync("7 close(99) = -1 EBADF (x)\n").subarray(0, 25));
    const { code, out, err } = await cli([
      "replay",
      join(scratch, "damaged.strace.gz"),
      join(folder, "one-task.strace"),
    ]);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("damaged gzip data") });
    expect(out).toContain("1 recording: calls 88");
  });
});

describe("zstd", () => {
  const zstd = (data: Uint8Array): Buffer => spawnSync("zstd", ["-q", "-c"], { input: data }).stdout;
  const hasZstd = spawnSync("zstd", ["-V"]).status === 0;

  test.skipIf(!hasZstd)("is read as plain text is", async () => {
    writeFileSync(join(scratch, "a.strace.zst"), zstd(readFileSync(join(folder, "no-times.strace"))));
    expect((await replay(join(scratch, "a.strace.zst")))[0]).toMatchObject({ calls: 254, diverged: 0 });
  });

  test.skipIf(!hasZstd)("cut off or damaged is an error", async () => {
    const whole = zstd(readFileSync(join(folder, "no-times.strace")));
    writeFileSync(join(scratch, "cut.zst"), whole.subarray(0, 2000));
    whole.fill(0x5a, 500, 900);
    writeFileSync(join(scratch, "damaged.zst"), whole);
    for (const name of ["cut.zst", "damaged.zst"]) {
      const { code, err } = await cli(["replay", join(scratch, name)]);
      expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("damaged zstd data") });
    }
  });
});

test("a decompression bomb is refused", async () => {
  writeFileSync(join(scratch, "bomb.gz"), gzipSync(Buffer.alloc(64 * 1024 * 1024, "getpid() = 7\n"), { level: 9 }));
  const { code, err } = await cli(["replay", join(scratch, "bomb.gz")]);
  expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(/unpacks to \d+ times its size/u) });
});
