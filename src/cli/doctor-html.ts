/**
 * Diagnoses as one HTML file: findings beside the lines that prove them. No script, nothing loaded from anywhere.
 */
import type { EvidenceLine, Finding } from "../analysis/doctor/finding.ts";
import type { DoctoredFile } from "./doctor.ts";
import { RECORD_MORE } from "./doctor-text.ts";

/** Lines around a line of evidence that are shown, and how long one may be. */
const CONTEXT = 2;
const TEXT_MAX = 220;

const CSS = `
:root { color-scheme: light dark; --bg: #fff; --fg: #1b1f24; --dim: #6a737d; --line: #f3f5f7; --error: #b42318; --warning: #9a6700; --note: #57606a; }
@media (prefers-color-scheme: dark) { :root { --bg: #16191d; --fg: #e6e9ec; --dim: #8b949e; --line: #20252b; --error: #ff7b72; --warning: #e3b341; --note: #8b949e; } }
body { margin: 2rem auto; max-width: 92rem; padding: 0 1.5rem; background: var(--bg); color: var(--fg); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem; overflow-wrap: anywhere; }
article { display: grid; grid-template-columns: minmax(18rem, 1fr) minmax(0, 2fr); gap: 1.5rem; border-top: 1px solid var(--line); padding: 1rem 0; }
@media (max-width: 60rem) { article { grid-template-columns: minmax(0, 1fr); } }
h3 { margin: 0 0 .4rem; font-size: 1rem; } p { margin: .3rem 0; }
.error b { color: var(--error); } .warning b { color: var(--warning); } .note b { color: var(--note); }
.dim { color: var(--dim); }
table { border-collapse: collapse; width: 100%; font: 13px/1.45 ui-monospace, monospace; }
td { padding: .05rem .5rem; vertical-align: top; white-space: pre-wrap; word-break: break-all; }
td:first-child { color: var(--dim); text-align: right; width: 4rem; }
tr.proof td { background: var(--line); } tr.say td { color: var(--dim); font-family: system-ui, sans-serif; }
.error tr.say td { color: var(--error); } .warning tr.say td { color: var(--warning); }
tr.gap td { color: var(--dim); }
.figures { font-size: 13px; width: auto; margin-top: 1rem; } .figures td { word-break: normal; }
`;

/** The page. */
export function doctorHtml(results: readonly DoctoredFile[]): string {
  const body = results.map(section).join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>epollsim doctor</title>
<style>${CSS}</style>
</head>
<body>
<h1>epollsim doctor</h1>
${body}
</body>
</html>
`;
}

function section(result: DoctoredFile): string {
  const { file, findings, waits, inconclusive } = result;
  const counts = `${findings.length} ${findings.length === 1 ? "finding" : "findings"}, ${waits} waits for events`;
  const doubt =
    inconclusive === null
      ? ""
      : `<p>Not conclusive: ${escaped(inconclusive)}. Record more: <code>${escaped(RECORD_MORE)}</code></p>`;
  const articles = findings.map((finding) => article(finding, result.text)).join("\n");
  return `<section>\n<h2>${escaped(file)}</h2>\n<p class="dim">${counts}</p>\n${doubt}\n${articles}\n${figures(result)}\n</section>`;
}

function article({ kind, severity, message, evidence }: Finding, text: readonly string[]): string {
  return `<article class="${severity}">
<div>
<h3><b>${severity} ${kind.id}</b> ${escaped(kind.name)}</h3>
<p>${escaped(message)}</p>
<p class="dim">${escaped(kind.consequence)}</p>
<p>${escaped(kind.remedy)}</p>
</div>
<table>
${proof(evidence, text)}
</table>
</article>`;
}

/** The lines of evidence with their surroundings, in the order of the file. */
function proof(evidence: readonly EvidenceLine[], text: readonly string[]): string {
  const notes = new Map<number, string[]>();
  for (const { line, note } of evidence) if (line > 0) notes.set(line, [...(notes.get(line) ?? []), note]);
  const shown = new Set<number>();
  for (const line of notes.keys()) {
    for (let near = line - CONTEXT; near <= line + CONTEXT; near += 1)
      if (near >= 1 && near <= text.length) shown.add(near);
  }
  const rows: string[] = [];
  let before = 0;
  for (const line of [...shown].sort((a, b) => a - b)) {
    if (before !== 0 && line > before + 1) rows.push('<tr class="gap"><td></td><td>...</td></tr>');
    before = line;
    const said = notes.get(line);
    rows.push(
      `<tr${said === undefined ? "" : ' class="proof"'}><td>${line}</td><td>${escaped(shorten(text[line - 1] ?? ""))}</td></tr>`,
    );
    for (const note of said ?? []) rows.push(`<tr class="say"><td>&#8627;</td><td>${escaped(note)}</td></tr>`);
  }
  return rows.join("\n");
}

function figures({ loops }: DoctoredFile): string {
  const rows = loops
    .filter(({ events }) => events > 0)
    .map(({ task, epfd, waits, empty, events, useful, service }) => {
      const times = service === null ? "" : `${service.p50_ms} / ${service.p99_ms} ms`;
      return `<tr><td>${escaped(task ?? "")} epoll ${epfd ?? "?"}</td><td>${waits}</td><td>${empty}</td><td>${events}</td><td>${useful}</td><td>${times}</td></tr>`;
    });
  if (rows.length === 0) return "";
  const head =
    "<tr><td>loop</td><td>waits</td><td>empty</td><td>events</td><td>useful</td><td>ready to served, p50 / p99</td></tr>";
  return `<table class="figures">\n${head}\n${rows.join("\n")}\n</table>`;
}

function shorten(text: string): string {
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}...` : text;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}
