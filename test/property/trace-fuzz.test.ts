/** Damaged input: whatever a file holds, reading it ends in lines or in a `ParseError`. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ParseError } from "../../src/trace/errors.ts";
import { lineToJson, parseJson, printJson } from "../../src/trace/json.ts";
import { parseLine } from "../../src/trace/parser.ts";
import { printLine } from "../../src/trace/printer.ts";
import { TraceReader } from "../../src/trace/reader.ts";
import { SCRIPT_LINES, STRACE_LINES } from "../helpers/trace-lines.ts";

const SEEDS = [...STRACE_LINES, ...SCRIPT_LINES];
/** Pieces that mean something to the grammar. */
const PIECES = [
  ..."()[]{}<>=,|\"\\'~@$#!?*/+-:.0 9x",
  "<unfinished ...>",
  "resumed>",
  " => ",
  "...",
  "/*",
  "*/",
  "+++ ",
  "--- ",
];

/** The same damage in every run; another seed looks elsewhere. */
const seed = Number(process.env.EPOLLSIM_FUZZ_SEED ?? 1);

type Edit = { readonly at: number; readonly remove: number; readonly insert: string };

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat({ max: 400 }),
  remove: fc.nat({ max: 6 }),
  insert: fc.oneof(fc.constantFrom("", ...PIECES), fc.string({ maxLength: 3 }), fc.constantFrom(...SEEDS)),
});

const damaged: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...SEEDS), fc.array(edit, { minLength: 1, maxLength: 4 }))
  .map(([whole, edits]) =>
    edits.reduce((text, { at, remove, insert }) => {
      const start = at % (text.length + 1);
      return text.slice(0, start) + insert + text.slice(start + remove);
    }, whole),
  );

test.each([false, true])(
  "a damaged line is a line or a ParseError (lenient: %s), and what it is can be printed",
  (lenient) => {
    fc.assert(
      fc.property(damaged, (text) => {
        let line: ReturnType<typeof parseLine>;
        try {
          line = parseLine(text, 7, { file: "f", lenient });
        } catch (error) {
          expect(error).toBeInstanceOf(ParseError);
          expect((error as ParseError).message).toMatch(/^f:7:\d+: found [^\n]+, expected [^\n]+$/u);
          return;
        }
        // a lenient note may be any text
        if (line.type === "note") return;
        expect(lineToJson(parseLine(printLine(line), 7, { lenient }))).toEqual(lineToJson(line));
      }),
      { numRuns: 10_000, seed },
    );
  },
);

test("damaged NDJSON is a line or a ParseError", () => {
  fc.assert(
    fc.property(fc.constantFrom(...SEEDS), edit, (whole, { at, remove, insert }) => {
      const text = printJson(parseLine(whole, 1));
      const start = (at * 7) % (text.length + 1);
      const broken = text.slice(0, start) + insert + text.slice(start + remove);
      try {
        parseJson(broken, 7, "f");
      } catch (error) {
        expect(error).toBeInstanceOf(ParseError);
        expect((error as ParseError).message).toMatch(/^f:7:\d+: found /u);
      }
    }),
    { numRuns: 3000, seed },
  );
});

test("arbitrary bytes in arbitrary chunks are lines or a ParseError", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), fc.boolean(), (chunks, lenient) => {
      const reader = new TraceReader({ lenient, lineBytesMax: 64 });
      try {
        for (const chunk of chunks) reader.push(chunk);
        reader.end();
      } catch (error) {
        expect(error).toBeInstanceOf(ParseError);
      }
    }),
    { numRuns: 2000, seed },
  );
});
