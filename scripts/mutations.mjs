#!/usr/bin/env node
// Breaks the compiled model in ways that re-implementations of epoll are broken, and asks the scripts whether they notice.
// Prints, for each mutation, how many scripts fail and which come first. Exit 1 if one goes unnoticed.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const EVENTPOLL = "kernel/fs/eventpoll";

const mutations = [
  [
    "level-triggered items are not queued again",
    `${EVENTPOLL}/send-events.js`,
    /ep\.rdllist\.addTail\(epi\.rdllink\);/,
    "",
  ],
  ["a wake passes without the key filter", `${EVENTPOLL}/epitem.js`, /key !== 0 && \(key & events\) === 0/, "false"],
  [
    "sleepers are woken first in, first out",
    "kernel/sched/wait.js",
    /(addExclusiveHead\(entry\) \{[^}]*)addHead/,
    "$1addTail",
  ],
  ["items are compared by number alone", `${EVENTPOLL}/epitem.js`, /a\.file\.id - b\.file\.id \|\| /, ""],
  ["items are found by number alone", `${EVENTPOLL}/eventpoll.js`, /file\.id - epi\.file\.id \|\| /, ""],
  [
    "MOD does not look at the file",
    `${EVENTPOLL}/eventpoll.js`,
    /return this\.#look\(task, epi, null, "mod"\);/,
    "return 0;",
  ],
  ["a fault drops the item", `${EVENTPOLL}/send-events.js`, /txlist\.addHead\(epi\.rdllink\);/, ""],
  [
    "ONESHOT is spent by a look, not by delivery",
    `${EVENTPOLL}/send-events.js`,
    /if \(revents === 0\) \{/,
    "if (revents === 0) { epi.events &= EP_PRIVATE_BITS;",
  ],
  [
    "arrivals during a scan go behind re-queued items",
    `${EVENTPOLL}/eventpoll.js`,
    /if \(ovflistInOrder\)/,
    "if (false)",
  ],
  [
    "the end of a scan wakes nobody",
    `${EVENTPOLL}/eventpoll.js`,
    /if \(this\.wq\.active\)\s*this\.wq\.wakeUp\(1, 0\);\s*if \(scanEndWakesOuter/,
    "if (scanEndWakesOuter",
  ],
  ["exclusive items always take the wake", `${EVENTPOLL}/epitem.js`, /return taken \|\| /, "return true || "],
  [
    "an epoll wakes its pollers with RDNORM too",
    `${EVENTPOLL}/eventpoll.js`,
    /this\.pollWait\.wakeUp\(1, Epoll\.IN\)/,
    "this.pollWait.wakeUp(1, READY_MASK)",
  ],
  [
    "closing one number of a description removes its items",
    "syscalls/fd.js",
    /const mutex = file\.tryPut\(\);/,
    "if (file.fEp !== null) for (const hook of [...file.fEp]) if (hook.fd === fd) hook.releaseFile(); const mutex = file.tryPut();",
  ],
];

const folder = mkdtempSync(join(tmpdir(), "epollsim-mutations-"));
let unnoticed = 0;
try {
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  const original = join(folder, "original");
  cpSync(join(root, "dist"), original, { recursive: true });
  const failedBefore = failedScripts(original);
  for (const [name, file, find, replace] of mutations) {
    const dist = join(folder, "dist");
    cpSync(original, dist, { recursive: true });
    const path = join(dist, file);
    const source = readFileSync(path, "utf8");
    const mutant = source.replace(find, replace);
    if (mutant === source) throw new Error(`${name}: ${file} has no ${find}`);
    writeFileSync(path, mutant);
    const failed = [...failedScripts(dist)].filter((script) => !failedBefore.has(script));
    console.log(
      `${failed.length > 0 ? "noticed" : "UNNOTICED"}  ${name}: ${failed.length} scripts  ${failed.slice(0, 3).join(" ")}`,
    );
    if (failed.length === 0) unnoticed += 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(unnoticed > 0 ? 1 : 0);

/** @param {string} dist @returns {Set<string>} names of the scripts that do not end as they expect. */
function failedScripts(dist) {
  const args = [join(dist, "cli/main.js"), "run", "--quiet", "--json", join(root, "traces/epoll")];
  const { stdout: output } = spawnSync(process.execPath, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  const failed = new Set();
  for (const line of output.split("\n")) {
    if (line === "") continue;
    const { type, file, diverged, end } = JSON.parse(line);
    if (type === "end" && (diverged > 0 || end !== "done")) failed.add(basename(file, ".strace"));
  }
  return failed;
}
