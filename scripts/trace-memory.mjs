// Reads a made-up trace of some million lines and reports speed and peak memory. Run after a build.
// Usage: node scripts/trace-memory.mjs [MILLIONS] [MAX_MB]; exits 1 when the peak is above MAX_MB.
import { CallJoiner, readBatches } from "../dist/trace/index.js";

const millions = Number(process.argv[2] ?? 4);
const maxMegabytes = Number(process.argv[3] ?? 200);
const LINES_PER_CHUNK = 500;

/** A server with three workers: every call is split, every descriptor has its note, no two lines are alike. */
function lineOf(n) {
  const pid = 26137 + (n % 3);
  const time = `1795431087.${String(n).padStart(9, "0")}`;
  const fd = 10 + (n % 40_000);
  const note = `<TCP:[127.0.0.1:18080->127.0.0.1:${20_000 + fd}]>`;
  switch (Math.floor(n / 3) % 4) {
    case 0:
      return `${pid} ${time} epoll_wait(8<anon_inode:[eventpoll]>,  <unfinished ...>`;
    case 1:
      return `${pid} ${time} <... epoll_wait resumed>[{events=EPOLLIN, data={u32=${n}, u64=${94_000_000_000_000 + n}}}], 512, -1) = 1 <0.000${n % 1000}>`;
    case 2:
      return `${pid} ${time} recvfrom(${fd}${note}, "GET /${n} HTTP/1.1\\r\\nHost: 127.0.0.1:18201\\r\\n"..., 1024, 0, NULL, NULL) = 88 <0.000011367>`;
    default:
      return `${pid} ${time} writev(${fd}${note}, [{iov_base="HTTP/1.1 200 OK\\r\\n", iov_len=238}, {iov_base="\\0\\1\\377${n}", iov_len=8}], 2) = 246`;
  }
}

async function* chunks(nrLines) {
  const encoder = new TextEncoder();
  for (let n = 0; n < nrLines; ) {
    let text = "";
    for (const end = Math.min(n + LINES_PER_CHUNK, nrLines); n < end; n += 1) text += `${lineOf(n)}\n`;
    yield encoder.encode(text);
  }
}

const nrLines = millions * 1_000_000;
const joiner = new CallJoiner();
let peak = 0;
let lines = 0;
let calls = 0;
const start = performance.now();
for await (const batch of readBatches(chunks(nrLines))) {
  for (const line of batch) if (joiner.push(line)?.phase === "returned") calls += 1;
  lines += batch.length;
  if (lines % 50_000 === 0) peak = Math.max(peak, process.memoryUsage.rss());
}
peak = Math.max(peak, process.memoryUsage.rss());

const megabytes = Math.round(peak / 1024 / 1024);
const rate = Math.round((lines / (performance.now() - start)) * 1000);
console.log(`${lines} lines, ${calls} calls, ${rate} lines/s (making them included), peak ${megabytes} MB`);
if (megabytes > maxMegabytes) {
  console.error(`more than ${maxMegabytes} MB`);
  process.exitCode = 1;
}
