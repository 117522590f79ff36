/** Every script under traces/ in both worlds: one test a script and world, named by rows and file. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { divergenceText } from "../../src/cli/diff-text.ts";
import { style } from "../../src/cli/style.ts";
import { modelFor, profileOf } from "../../src/cli/worlds.ts";
import { diffLowered, skipReason } from "../../src/diff/engine.ts";
import { judge } from "../../src/diff/judge.ts";
import type { ScriptReport } from "../../src/diff/report.ts";
import { lower } from "../../src/trace/lower.ts";
import { parseScript } from "../../src/trace/script.ts";
import { testOn, thisKernel } from "../helpers/worlds.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const traces = join(root, "traces");

function scripts(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.isDirectory()) return entry.name === "captured" ? [] : scripts(join(folder, entry.name));
      return /\.strace(\.gz)?$/.test(entry.name) ? [join(folder, entry.name)] : [];
    });
}

function read(file: string): string {
  const bytes = readFileSync(file);
  return (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
}

const kernel = await thisKernel();

/** Scripts without order have tests of their own. */
const files = scripts(traces)
  .map((file) => ({ file, text: read(file) }))
  .filter(({ text }) => !/^#! (litmus|par)\b/m.test(text));

describe("on the model", () => {
  test.each(files.map(({ file, text }) => [title(file, text), file, text]))("%s", (_title, file, text) => {
    const script = parseScript(text, relative(root, file));
    const lowered = lower(script);
    const report = judge(lowered, modelFor(script, {}).runSync(lowered.program, null), null);
    expect(texts(report)).toEqual([]);
  });
});

describe("on this kernel, and there as on the model", () => {
  for (const { file, text } of files) {
    const name = title(file, text);
    // a loaded machine may let a timer expire too early for a script
    testOn(kernel, name, { retry: 2 }, async (kernel, { skip }) => {
      const script = parseScript(text, relative(root, file));
      const reason = skipReason(script, kernel.traits);
      if (reason !== null) skip(reason);
      const model = modelFor(script, {}, profileOf(kernel.traits));
      const report = await diffLowered(lower(script), model, kernel.ports[0]!);
      if (report.skipped !== null) skip(report.skipped);
      expect(texts(report)).toEqual([]);
    });
  }
});

function texts({ file, divergences }: ScriptReport): string[] {
  return divergences.map((divergence) => divergenceText(file, divergence, "kernel", style(false)));
}

/** Rows without a full parse: a script that does not parse fails in its own test. */
function title(file: string, text: string): string {
  const ids = [...text.matchAll(/^#! id (.*)$/gm)].flatMap(([, rest]) => rest!.split(/[\s,]+/));
  return `${[...new Set(ids)].join(" ")} ${relative(traces, file)}`.trim();
}
