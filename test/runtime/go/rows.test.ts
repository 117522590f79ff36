/** The catalogue's R-rows: each is in the title of a test, or is listed as not shown. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const here = new URL("./", import.meta.url);
const tests = new URL("../../", here);
const root = new URL("../", tests);

const text = (url: URL) => readFileSync(fileURLToPath(url), "utf8");

test("every row of the Go catalogue is in a test's title, or listed with its reason", () => {
  const catalogue = text(new URL("../shared/reference/go-runtime-behaviours.md", root));
  const rows = [...catalogue.matchAll(/^\| (R-\d{3}) \|/gm)].map(([, row]) => row!);
  expect(rows.length).toBe(192);

  const titles = readdirSync(fileURLToPath(tests), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .flatMap((name) => text(new URL(name, tests)).match(/\b(?:test|it)(?:\.each\([^)]*\))?\(\s*["'`][^\n]*/g) ?? [])
    .join("\n");
  const listed = text(new URL("traces/files/NOT-SHOWN-go.tsv", root));
  expect(rows.filter((row) => !titles.includes(row) && !listed.includes(row))).toEqual([]);
  expect(rows.filter((row) => titles.includes(row) && listed.includes(row))).toEqual([]);
});
