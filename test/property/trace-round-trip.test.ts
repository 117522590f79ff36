import fc from "fast-check";
import { expect, test } from "vitest";
import { exprToJson, lineToJson, parseJson, printJson } from "../../src/trace/json.ts";
import { parseLine } from "../../src/trace/parser.ts";
import { printExpr, printLine } from "../../src/trace/printer.ts";
import { argument, line } from "../helpers/trace-arbitrary.ts";

test("a printed expression parses to the same expression", () => {
  fc.assert(
    fc.property(argument, (expr) => {
      const read = parseLine(`f(${printExpr(expr)})`, 1);
      expect(read.type === "call" && read.args.map(exprToJson)).toEqual([exprToJson(expr)]);
    }),
    { numRuns: 3000 },
  );
});

test("a printed line parses to the same line, whatever the width", () => {
  fc.assert(
    fc.property(line, fc.constantFrom(null, 40, 80), (made, width) => {
      expect(lineToJson(parseLine(printLine(made, { width }), made.line))).toEqual(lineToJson(made));
    }),
    { numRuns: 5000 },
  );
});

test("a line survives NDJSON", () => {
  fc.assert(
    fc.property(line, (made) => {
      const text = printJson(made);
      expect(text).not.toContain("\n");
      const read = parseJson(text, 1);
      expect(lineToJson(read)).toEqual(lineToJson(made));
      expect(printLine(read)).toBe(printLine(made));
    }),
    { numRuns: 3000 },
  );
});
