#!/usr/bin/env node
// The same workload in two worlds in one run: round trips per second of the kernel and of the model, and their ratio.
// Rounds of the two alternate, so that a busy machine disturbs both alike; the figure is the median, the spread is
// (largest - smallest) / median of the ratios.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Table from "cli-table3";
import { Command } from "commander";
import { echo } from "./echo.mjs";

const REPEATS = 7;
const KERNEL_ROUNDS = 1500;
const MODEL_ROUNDS = 6000;
const here = dirname(fileURLToPath(import.meta.url));

const options = new Command("npm run bench --")
  .description("Measures the echo workload on the kernel and on the model.")
  .option("--json", "print one JSON object a row")
  .parse()
  .opts();

/** @returns {string | null} the compiled C program, or null without a compiler. */
function compile(folder) {
  const program = join(folder, "echo");
  for (const cc of [process.env.CC, "cc", "gcc", "clang"]) {
    if (!cc) continue;
    const { status } = spawnSync(cc, ["-O2", "-o", program, join(here, "echo.c")], { stdio: "ignore" });
    if (status === 0) return program;
  }
  return null;
}

function kernelOpsPerS(program, pairs) {
  const { status, stdout, stderr } = spawnSync(program, [String(pairs), String(KERNEL_ROUNDS)], { encoding: "utf8" });
  if (status !== 0) throw new Error(`echo on the kernel: ${stderr}`);
  const [roundTrips, ns] = stdout.trim().split(" ").map(Number);
  return (roundTrips / ns) * 1e9;
}

function modelOpsPerS(pairs) {
  const { roundTrips, ns } = echo(pairs, MODEL_ROUNDS);
  return (roundTrips / ns) * 1e9;
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

function measure(program, n) {
  const pairs = [];
  for (let i = 0; i <= REPEATS; i += 1) {
    const kernel = program === null ? null : kernelOpsPerS(program, n);
    const model = modelOpsPerS(n);
    if (i > 0) pairs.push({ kernel, model }); // the first one warms up
  }
  const models = pairs.map(({ model }) => model);
  const row = { name: "unix-stream-echo-et", n, kernel_ops_per_s: null, model_ops_per_s: Math.round(median(models)) };
  const spreadOf = (values) => Number(((Math.max(...values) - Math.min(...values)) / median(values)).toFixed(2));
  if (program === null) return { ...row, ratio: null, spread: spreadOf(models) };
  const ratios = pairs.map(({ kernel, model }) => model / kernel);
  const kernels = pairs.map(({ kernel }) => kernel);
  const ratio = Number(median(ratios).toFixed(1));
  return { ...row, kernel_ops_per_s: Math.round(median(kernels)), ratio, spread: spreadOf(ratios) };
}

const folder = mkdtempSync(join(tmpdir(), "epollsim-bench-"));
try {
  const program = compile(folder);
  if (program === null) console.error("bench: no C compiler was found, so only the model is measured");
  const rows = [measure(program, 1000), measure(null, 100_000)];
  if (options.json) {
    for (const row of rows) console.log(JSON.stringify(row));
  } else {
    const table = new Table({ head: ["workload", "pairs", "kernel/s", "model/s", "ratio", "spread"] });
    for (const { name, n, kernel_ops_per_s, model_ops_per_s, ratio, spread } of rows) {
      table.push([name, n, kernel_ops_per_s ?? "-", model_ops_per_s, ratio ?? "-", spread]);
    }
    console.log(table.toString());
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
