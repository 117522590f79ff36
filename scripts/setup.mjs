// The set-up step of `npm ci`: compile the TypeScript, and the native agent where a C compiler is found.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const sources = join(root, "src/native-bridge/agent");
const agent = join(root, "dist/native-bridge/agent/epollsim-agent");

function run(command, args) {
  return spawnSync(command, args, { cwd: root, stdio: "inherit" }).status === 0;
}

function compileTypeScript() {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  if (!existsSync(tsc)) return existsSync(join(root, "dist/cli/main.js")); // an installed package ships dist
  if (!run(process.execPath, [tsc, "-p", "tsconfig.json"])) return false;
  chmodSync(join(root, "dist/cli/main.js"), 0o755);
  return true;
}

function compileAgent() {
  if (process.platform !== "linux" || !existsSync(sources)) return;
  mkdirSync(dirname(agent), { recursive: true });
  const names = readdirSync(sources).filter((name) => name.endsWith(".c"));
  const options = ["-O2", "-Wall", "-Wextra", "-pthread", "-static", "-o", agent];
  for (const cc of [process.env.CC, "cc", "gcc", "clang"]) {
    if (!cc || spawnSync(cc, ["--version"], { stdio: "ignore" }).status !== 0) continue;
    if (run(cc, [...options, ...names.map((name) => join(sources, name))])) return;
  }
  console.error(
    "epollsim: no working C compiler, so no native agent: `diff` needs one (Debian: apt-get install gcc libc6-dev)",
  );
}

if (!compileTypeScript()) process.exit(1);
compileAgent();
