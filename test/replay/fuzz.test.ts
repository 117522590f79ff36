/**
 * Hostile input: whatever a recording holds, importing and replaying it ends in a summary or in an error that names a line.
 *
 * A part runs with the tests; `npm run fuzz:replay` goes through 10,000 damaged files. EPOLLSIM_FUZZ_SEED looks elsewhere;
 * EPOLLSIM_FUZZ_FROM and EPOLLSIM_FUZZ_TO run a slice: from this one up to, without, that one.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import seedrandom from "seedrandom";
import { expect, test } from "vitest";
import { firstChoice } from "../../src/kernel/choice.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { Replayer } from "../../src/replay/replayer.ts";
import { ParseError } from "../../src/trace/errors.ts";
import { TraceReader } from "../../src/trace/reader.ts";

const full = process.env.EPOLLSIM_FUZZ === "full";
const FROM = Number(process.env.EPOLLSIM_FUZZ_FROM ?? 0);
const TO = Number(process.env.EPOLLSIM_FUZZ_TO ?? (full ? 10_000 : 150));
const SEED = process.env.EPOLLSIM_FUZZ_SEED ?? "1";
const BYTES_MAX = 60_000;
const CASE_MS_MAX = 20_000;
const BYTES_IN_USE_MAX = 1024 * 1024 * 1024;

type Random = () => number;
type Mutation = (text: string, random: Random, other: string) => string;

const own = fileURLToPath(new URL("../../traces/captured", import.meta.url));

function textOf(path: string): string {
  const bytes = readFileSync(path);
  return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("latin1").slice(0, BYTES_MAX);
}

const SEEDS = readdirSync(own, { recursive: true, encoding: "utf8" })
  .map((name) => join(own, name))
  .filter((path) => /\.(strace|txt)|\.strace\.(gz|\d+)$/u.test(path) && statSync(path).isFile())
  .map(textOf);

/** Calls that ask for too much. */
const HOSTILE = [
  "7 eventfd2(0, 0) = 2147483647",
  "7 dup2(3, 4294967295) = 4294967295",
  "7 close(-2147483648) = 0",
  "7 close_range(0, 4294967295, 0) = 0",
  `7 read(3, "x"..., 18446744073709551615) = 9223372036854775807`,
  `7 write(4, "x"..., 4294967295) = 4294967295`,
  "7 epoll_wait(3, [], 2147483647, 2147483647) = 2147483647",
  "7 poll([{fd=3, events=POLLIN}], 4294967295, -1) = 4294967295",
  "7 recvmmsg(3, [{msg_hdr={msg_iov=[{iov_base=NULL, iov_len=18446744073709551615}]}}], 4294967295, 0, NULL) = 99999999",
  '7 readv(3, [{iov_base="", iov_len=9223372036854775807}], 1024) = 4611686018427387904',
  "7 setsockopt(3, SOL_SOCKET, SO_SNDBUF, [2147483647], 4) = 0",
  "7 fcntl(3, F_SETPIPE_SZ, 2147483647) = 2147483647",
  "7 fcntl(3, F_DUPFD, 1048575) = 1048575",
  "7 sendfile(4, 3, [9223372036854775807], 9223372036854775807) = 9223372036854775807",
  "7 timer_settime(99, TIMER_ABSTIME, {it_interval={tv_sec=9223372036854775807, tv_nsec=999999999}, it_value={tv_sec=-1, tv_nsec=-1}}, NULL) = 0",
  "7 setitimer(ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=1}, it_value={tv_sec=0, tv_usec=1}}, NULL) = 0",
  "7 timerfd_settime(3, 0, {it_interval={tv_sec=0, tv_nsec=1}, it_value={tv_sec=0, tv_nsec=1}}, NULL) = 0",
  "7 prlimit64(0, RLIMIT_NOFILE, {rlim_cur=18446744073709551615, rlim_max=18446744073709551615}, NULL) = 0",
  "7 clone(child_stack=NULL, flags=CLONE_VM|CLONE_THREAD|CLONE_FILES|CLONE_SIGHAND) = 7",
  "7 clone(child_stack=NULL, flags=SIGCHLD) = -5",
  "7 wait4(-2147483648, [{WIFEXITED(s) && WEXITSTATUS(s) == 99999}], 0, NULL) = 99999999999",
  "7 kill(-9223372036854775808, SIGRT_99) = 0",
  "7 socketpair(AF_UNIX, SOCK_STREAM, 0, [1048574, 1048575]) = 0",
  "7 sendmsg(3, {msg_name=NULL, msg_iov=[], msg_control=[{cmsg_len=18446744073709551615, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3, 3, 3]}]}, 0) = 0",
  "7 rt_sigreturn({mask=~[]}) = 0",
  "7 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=7, si_status=256} ---",
  "7 +++ superseded by execve in pid 7 +++",
  "7 +++ exited with 999 +++",
  "99999999999999999999 <... read resumed>) = 0",
  "7 99999999999.999999999 close(3) = 0 <99999999999.999999>",
];
const NUMBERS = [
  "0",
  "-1",
  "2147483647",
  "4294967295",
  "4294967296",
  "9223372036854775807",
  "18446744073709551616",
  "1e9",
  "0x",
  "08",
];
const WORDS = [
  "NULL",
  "...",
  "<unfinished ...>",
  "resumed>",
  "{",
  "}",
  "[",
  "]",
  '"',
  "\\",
  "|",
  "=",
  "~",
  "?",
  " = ",
  "/*",
  "\0",
  "\u{ff}\u{fe}",
];

const pick = <T>(items: readonly T[], random: Random): T => items[Math.floor(random() * items.length)] as T;
const place = (text: string, random: Random): number => Math.floor(random() * (text.length + 1));

const MUTATIONS: readonly Mutation[] = [
  (text, random) => text.slice(0, place(text, random)),
  (text, random) => text.slice(place(text, random)),
  (text, random, other) => text.slice(0, place(text, random)) + other.slice(place(other, random)),
  (text, random) => {
    let out = text;
    for (let n = 0; n < 20; n += 1) {
      const at = place(out, random);
      out = out.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) + out.slice(at + 1);
    }
    return out;
  },
  (text, random) => text.replace(/\d+/gu, (number) => (random() < 0.01 ? pick(NUMBERS, random) : number)),
  (text, random) => text.replace(/= \d+/gu, (result) => (random() < 0.05 ? `= ${pick(NUMBERS, random)}` : result)),
  (text, random) => text.replace(/ /gu, (blank) => (random() < 0.003 ? pick(WORDS, random) : blank)),
  (text, random) => {
    const lines = text.split("\n");
    return lines.filter(() => random() > 0.1).join("\n");
  },
  (text, random) => {
    const lines = text.split("\n");
    return lines.flatMap((line) => (random() < 0.05 ? [line, line, line] : [line])).join("\n");
  },
  (text, random) => {
    const lines = text.split("\n");
    for (let at = 1; at < lines.length; at += 1) {
      if (random() < 0.1) [lines[at - 1], lines[at]] = [lines[at] as string, lines[at - 1] as string];
    }
    return lines.join("\n");
  },
  (text, random) => {
    const task = /^\d+/u.exec(text)?.[0] ?? "7";
    return text
      .split("\n")
      .flatMap((line) => (random() < 0.03 ? [line, pick(HOSTILE, random).replace(/^7/u, task)] : [line]))
      .join("\n");
  },
  (text, random) => text.replace(/^\d+/gmu, (pid) => (random() < 0.2 ? String(Math.floor(random() * 5000)) : pid)),
  (text, random) => {
    const at = place(text, random);
    const depth = 1 + Math.floor(random() * 20_000);
    return text.slice(0, at) + pick(["{", "[", "(", "{a=", "[{"], random).repeat(depth) + text.slice(at);
  },
  (text, random) => {
    const at = place(text, random);
    return (
      text.slice(0, at) +
      pick(["x", "\\377", "\u{0}", "9"], random).repeat(1 + Math.floor(random() * 300_000)) +
      text.slice(at)
    );
  },
  (_text, random) => Array.from({ length: 4000 }, () => String.fromCharCode(Math.floor(random() * 256))).join(""),
  (_text, random) => Array.from({ length: 300 }, () => pick(HOSTILE, random)).join("\n"),
  (_text, random) => {
    const threads = Array.from(
      { length: 3000 },
      (_, n) => `${n + 10} epoll_create1(0) = ${pick(["3", "4", "999999"], random)}`,
    );
    return threads.join("\n");
  },
];

/** The heap, and the buffers, which are not on it. */
function bytesInUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** @returns the error that the recording ends in, null for a summary. */
function replay(text: string): unknown {
  const reader = new TraceReader({ file: "fuzz", lenient: true, onError: () => {} });
  const replayer = new Replayer({ profile: kernelProfile("6.18"), chooser: firstChoice, file: "fuzz" });
  try {
    for (const line of reader.push(Buffer.from(text, "latin1"))) replayer.push(line);
    for (const line of reader.end()) replayer.push(line);
    const { calls, agreed, diverged, assumed, unsupported, ignored } = replayer.finish();
    expect(calls).toBe(agreed + diverged + assumed + unsupported + ignored);
    return null;
  } catch (error) {
    return error;
  }
}

test("a damaged recording ends in a summary or a ParseError", { timeout: full ? 36_000_000 : 300_000 }, () => {
  expect(SEEDS.length).toBeGreaterThan(20);
  const failures: string[] = [];
  let errors = 0;
  for (let run = FROM; run < TO; run += 1) {
    const random = seedrandom(`${SEED} ${run}`);
    let text = pick(SEEDS, random);
    for (let n = 0; n < 1 + Math.floor(random() * 3); n += 1)
      text = pick(MUTATIONS, random)(text, random, pick(SEEDS, random));
    const started = performance.now();
    const error = replay(text);
    const what = `EPOLLSIM_FUZZ_SEED=${SEED}, run ${run}`;
    if (error instanceof ParseError) errors += 1;
    else if (error !== null) failures.push(`${what}: ${error instanceof Error ? error.stack : String(error)}`);
    const ms = performance.now() - started;
    if (ms > CASE_MS_MAX) failures.push(`${what}: ${Math.round(ms)} ms`);
    if (bytesInUse() > BYTES_IN_USE_MAX) failures.push(`${what}: ${bytesInUse()} bytes`);
  }
  const runs = TO - FROM;
  const summaries = runs - errors - failures.length;
  console.log(`${runs} damaged recordings: ${summaries} summaries, ${errors} errors that name a line`);
  expect(failures).toEqual([]);
});
