/** The built command line, in a process of its own. */
import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { Ran } from "./cli.ts";

const main = join(dirname(fileURLToPath(import.meta.url)), "../../dist/cli/main.js");

export function epollsim(args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { maxBuffer: 1 << 28 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
    });
  });
}

/** A command that ends well, shows this, and prints the same bytes when it runs again. */
export async function expectSameTwice(command: readonly string[], shows: RegExp): Promise<void> {
  const first = await epollsim(command);
  expect(first.err).not.toMatch(/failed|asleep|error/);
  expect(first.code).toBe(0);
  expect(first.out).toMatch(shows);
  expect((await epollsim(command)).out).toBe(first.out);
}
