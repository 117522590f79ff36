/** Tables that programs print: numbers to the right, words to the left. */
import type { Cell } from "../runtime/index.ts";

export function tableLines(columns: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const cells = [columns, ...rows.map((row) => row.map(String))];
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  return cells.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** The same for machines: an object for each row, its cells under the names of their columns. */
export function tableObjects(columns: readonly string[], rows: readonly (readonly Cell[])[]): object[] {
  return rows.map((row) => ({
    type: "row",
    ...Object.fromEntries(columns.map((column, index) => [column, row[index] ?? null])),
  }));
}
