// The test command: types, lint, layers, dead code, then every test.
import { spawnSync } from "node:child_process";

const steps = [
  ["types", "tsc", ["-p", "tsconfig.check.json"]],
  ["types of the core, without a host", "tsc", ["-p", "tsconfig.core.json"]],
  ["format and lint", "biome", ["check", "."]],
  ["layers", "depcruise", ["--config", ".dependency-cruiser.mjs", "src"]],
  ["dead code", "knip", []],
  ["tests", "vitest", ["run", ...process.argv.slice(2)]],
];

for (const [what, command, args] of steps) {
  console.log(`== ${what}`);
  const { status } = spawnSync("npx", ["--no-install", command, ...args], { stdio: "inherit" });
  if (status !== 0) {
    console.error(`${what}: failed`);
    process.exit(1);
  }
}
