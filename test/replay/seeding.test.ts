/**
 * A replay notices mistakes: alters results in good recordings, and counts what is reported, and where.
 *
 * `npm run seeding` goes through the shared corpus, too, and prints the figures and every mistake that was missed.
 */
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { scriptsBelow } from "../../src/cli/files.ts";
import { seedingTable, seedMistakes, totals } from "../helpers/seeding.ts";

const full = process.env.EPOLLSIM_SEEDING === "full";
/** Compressed bytes: a mistake costs a replay of its file. */
const SIZE_MAX = full ? 80_000 : 30_000;
const PER_KIND = full ? 6 : 4;

const own = fileURLToPath(new URL("../../traces/captured", import.meta.url));
const shared = fileURLToPath(new URL("../../../shared/traces", import.meta.url));
const folders = full ? [own, shared] : [own];
const files = folders
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => scriptsBelow(folder))
  .filter((file) => statSync(file).size <= SIZE_MAX);

test("98 of 100 mistakes are noticed, 90 of 100 at their line", { timeout: full ? 3_600_000 : 300_000 }, async () => {
  const result = await seedMistakes(files, PER_KIND, process.env.EPOLLSIM_SEED ?? "7");
  const { seeded, noticed, located } = totals(result);
  console.log(seedingTable(result));
  expect(result.files).toBeGreaterThanOrEqual(20);
  expect(seeded).toBeGreaterThanOrEqual(500);
  expect(noticed / seeded).toBeGreaterThanOrEqual(0.98);
  expect(located / seeded).toBeGreaterThanOrEqual(0.9);
});
