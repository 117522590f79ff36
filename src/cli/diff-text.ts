/**
 * Comparisons in words: a table of scripts, every divergence, and what was left out.
 */
import Table from "cli-table3";
import { compareIds, type Divergence, type ScriptReport, type Summary } from "../diff/report.ts";
import type { TypeSums } from "./generated.ts";
import type { Style } from "./style.ts";

/** A table without lines: columns are told apart by two blanks. */
export function plainTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[],
): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_title, column) => (right.includes(column) ? "right" : "left")),
    chars: {
      top: "",
      "top-mid": "",
      "top-left": "",
      "top-right": "",
      bottom: "",
      "bottom-mid": "",
      "bottom-left": "",
      "bottom-right": "",
      left: "",
      "left-mid": "",
      mid: "",
      "mid-mid": "",
      right: "",
      "right-mid": "",
      middle: "  ",
    },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
  });
  for (const row of rows) table.push([...row]);
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** One line a script. */
export function reportTable(reports: readonly ScriptReport[], style: Style): string {
  const rows = reports.map((report) => [
    report.file,
    shortIds(report.ids),
    report.skipped === null ? String(report.calls) : "",
    verdict(report, style),
  ]);
  return plainTable(["script", "rows", "calls", "result"].map(style.strong), rows, [2]);
}

function verdict({ skipped, diverged }: ScriptReport, style: Style): string {
  if (skipped !== null) return style.dim("skipped");
  return diverged === 0 ? style.good("agreed") : style.bad(`diverged in ${diverged}`);
}

/** One line a type of file. */
export function typesTable(types: readonly TypeSums[], style: Style): string {
  const rows = types.map(({ type, scripts, operations, calls, diverged }) => [
    type,
    String(scripts),
    String(operations),
    String(calls),
    diverged === 0 ? style.good("agreed") : style.bad(`diverged in ${diverged}`),
  ]);
  const head = ["type", "scripts", "operations", "calls", "result"].map(style.strong);
  return plainTable(head, rows, [1, 2, 3]);
}

const IDS_SHOWN = 3;

function shortIds(ids: readonly string[]): string {
  if (ids.length <= IDS_SHOWN) return ids.join(" ");
  return `${ids.slice(0, IDS_SHOWN).join(" ")} +${ids.length - IDS_SHOWN}`;
}

/** A divergence: where it is, then what each side says. @param target - what the other world is called. */
export function divergenceText(file: string, divergence: Divergence, target: string, style: Style): string {
  const { line, task, call, field, expected } = divergence;
  const who = task === null ? "" : `${task} `;
  const width = Math.max("script".length, target.length) + 2;
  const side = (name: string, value: string | null, silent: string, paint: (text: string) => string): string => {
    const text =
      value === null
        ? style.dim(silent)
        : value
            .split("\n")
            .map(paint)
            .join(`\n${" ".repeat(width + 4)}`);
    return `    ${style.dim(name.padEnd(width))}${text}`;
  };
  const same = expected === null ? "the same" : "as the script says";
  return [
    `${style.strong(`${file}:${line}:`)} ${who}${call}, ${field}`,
    side("script", expected, "leaves it open", style.good),
    side("model", divergence.model, same, style.bad),
    side(target, divergence.target, same, style.bad),
  ].join("\n");
}

/** Scripts that were left out, and rows that no script shows, with the reasons. */
export function leftOutText(
  reports: readonly ScriptReport[],
  notShown: ReadonlyMap<string, string>,
  style: Style,
): string {
  const skipped = reports.filter((report) => report.skipped !== null);
  const lines: string[] = [];
  if (skipped.length > 0) lines.push("", style.strong(`Not run on the target (${skipped.length})`));
  for (const { file, skipped: reason } of skipped) lines.push(`  ${file}: ${style.dim(reason ?? "")}`);
  if (notShown.size > 0)
    lines.push("", style.strong(`Rows that scripts do not show, or not wholly (${notShown.size})`));
  for (const [row, reason] of [...notShown].sort(([a], [b]) => compareIds(a, b))) {
    lines.push(`  ${row}: ${style.dim(reason)}`);
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function _indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}

/** `scripts 3, calls 40, agreed 40, diverged 0`. */
export function closingLine({ scripts, calls, agreed, diverged }: Summary, style: Style): string {
  const wrong = diverged === 0 ? style.good("diverged 0") : style.bad(`diverged ${diverged}`);
  return `scripts ${scripts}, calls ${calls}, agreed ${agreed}, ${wrong}`;
}
