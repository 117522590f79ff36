import { execSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { UserError } from "../../src/cli/errors.ts";
import { openBatches, openLines } from "../../src/cli/input.ts";

const folder = mkdtempSync(join(tmpdir(), "epollsim-input-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function names(path: string): Promise<string[]> {
  const found: string[] = [];
  for await (const line of openLines(path)) found.push(line.type === "call" ? line.name : line.type);
  return found;
}

async function problem(path: string): Promise<string> {
  try {
    await names(path);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message.replace(folder, "");
  }
  return "none";
}

const TEXT = "close(3) = 0\n\ndup(4) = 3\n";

describe("opens", () => {
  test("plain text", async () => {
    expect(await names(file("plain", TEXT))).toEqual(["close", "blank", "dup"]);
  });
  test("gzip, whatever its name, in one member or several", async () => {
    const expected = ["close", "blank", "dup"];
    expect(await names(file("a.gz", gzipSync(TEXT)))).toEqual(expected);
    expect(await names(file("b.strace", gzipSync(TEXT)))).toEqual(expected);
    const two = Buffer.concat([gzipSync(TEXT.slice(0, 5)), gzipSync(TEXT.slice(5))]);
    expect(await names(file("c.gz", two))).toEqual(expected);
  });
  test("text that is only named .gz, and an empty file", async () => {
    expect(await names(file("d.gz", TEXT))).toEqual(["close", "blank", "dup"]);
    expect(await names(file("empty.gz", ""))).toEqual([]);
  });
  test("a pipe that hands out its first bytes one by one", async () => {
    const fifo = join(folder, "fifo");
    const make = `mkfifo ${fifo}`;
    execSync(make);
    const writer = import("node:fs/promises").then(async ({ open }) => {
      const handle = await open(fifo, "w");
      for (const byte of gzipSync(TEXT)) await handle.write(new Uint8Array([byte]));
      await handle.close();
    });
    expect(await names(fifo)).toEqual(["close", "blank", "dup"]);
    await writer;
  });
  test("a reader may leave early", async () => {
    const path = file("long.gz", gzipSync(TEXT.repeat(100_000)));
    for await (const batch of openBatches(path)) {
      expect(batch.length).toBeGreaterThan(0);
      break;
    }
  });
  test("progress counts bytes of the file", async () => {
    const path = file("progress", TEXT);
    const told: [number, number | null][] = [];
    for await (const _ of openBatches(path, { onProgress: (read, total) => told.push([read, total]) }));
    expect(told).toEqual([[TEXT.length, TEXT.length]]);
  });
});

describe("says what is wrong with", () => {
  test("a missing file, a directory", async () => {
    expect(await problem(join(folder, "none"))).toBe("/none: no such file");
    expect(await problem(folder)).toBe(": is a directory, expected a file");
  });
  test("damaged gzip data, at its beginning or at its end", async () => {
    const whole = gzipSync(TEXT);
    expect(await problem(file("cut.gz", whole.subarray(0, whole.length - 4)))).toBe(
      "/cut.gz: damaged gzip data (unexpected end of file)",
    );
    const bent = Buffer.from(whole);
    bent.fill(0xff, 10, 14);
    expect(await problem(file("bent.gz", bent))).toMatch(/^\/bent.gz: damaged gzip data \(.+\)$/u);
  });
  test("other compressed formats", async () => {
    expect(await problem(file("x.xz", new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])))).toBe(
      "/x.xz: is xz data, expected plain text, gzip or zstd",
    );
  });
  test("a line of it", async () => {
    await expect(names(file("bad", "close(\n"))).rejects.toThrow("bad:1:7: found the end of the line");
  });
});
