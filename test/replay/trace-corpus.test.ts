/**
 * Every recording and script at hand is read without a remainder, and what is printed reads the same.
 *
 * Recordings are looked for under traces/, in the shared corpus where it stands beside the checkout, and under the folders of
 * EPOLLSIM_CORPUS (separated by colons).
 */
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openBatches } from "../../src/cli/input.ts";
import type { Line } from "../../src/trace/ast.ts";
import { lineToJson } from "../../src/trace/json.ts";
import { CallJoiner } from "../../src/trace/pairs.ts";
import { parseLine } from "../../src/trace/parser.ts";
import { printLine } from "../../src/trace/printer.ts";

const folders = [
  fileURLToPath(new URL("../../traces", import.meta.url)),
  fileURLToPath(new URL("../../../shared/traces", import.meta.url)),
  ...(process.env.EPOLLSIM_CORPUS ?? "").split(":"),
];
const files = folders
  .filter((folder) => folder !== "" && existsSync(folder))
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.strace(?:\.gz)?$/u.test(name))
      .map((name) => `${folder}/${name}`),
  )
  .sort();

/** Compares as text, many times faster than by structure. */
const asText = (line: Line): string => JSON.stringify(lineToJson(line));

describe.skipIf(files.length === 0)("corpus", () => {
  test.each(files)("%s", async (file) => {
    const joiner = new CallJoiner(file);
    let unparsed = 0;
    let lost = 0;
    for await (const batch of openBatches(file)) {
      for (const line of batch) {
        const text = asText(line);
        if (text.includes('"kind":"raw"')) unparsed += 1;
        const printed = printLine(line, { width: 40 });
        const again = asText(parseLine(printed, line.line));
        if (again !== text) expect(again, printed).toBe(text);
        const call = joiner.push(line);
        if (call !== null && call.entryLine === null) lost += 1;
        if (call?.phase === "returned" && call.args.some((arg) => arg.kind === "part")) lost += 1;
      }
    }
    expect({ unparsed, lost }).toEqual({ unparsed: 0, lost: 0 });
  });
});
