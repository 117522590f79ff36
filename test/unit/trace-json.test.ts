import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ParseError } from "../../src/trace/errors.ts";
import { lineToJson, parseJson, printJson } from "../../src/trace/json.ts";
import { parseLine } from "../../src/trace/parser.ts";
import { lineJsonSchema, lineSchema } from "../../src/trace/schema.ts";
import { line as anyLine } from "../helpers/trace-arbitrary.ts";
import { SCRIPT_LINES, STRACE_LINES } from "../helpers/trace-lines.ts";

const PUBLISHED = new URL("../../docs/schema/trace-line.schema.json", import.meta.url);

test("the published schema is the one of the source (else: npm run build, node scripts/generate-schema.mjs)", () => {
  expect(JSON.parse(readFileSync(PUBLISHED, "utf8"))).toEqual(JSON.parse(lineJsonSchema()));
});

test("an example of the form", () => {
  const text = '7 1795431087.000000001 write(4, "\\1\\377", 18446744073709551615) = 2';
  expect(JSON.parse(printJson(parseLine(text, 3)))).toEqual({
    type: "call",
    line: 3,
    task: "7",
    time: { ns: "1795431087000000001", form: "unix", digits: 9 },
    name: "write",
    args: [
      { kind: "int", value: 4, base: 10, note: null },
      { kind: "str", bytes: "\u0001\u00ff", truncated: false },
      { kind: "int", value: "18446744073709551615", base: 10, note: null },
    ],
    unfinished: false,
    result: { values: [{ kind: "int", value: 2, base: 10, note: null }], errnos: [null], text: null, output: null },
    durationNs: null,
  });
});

describe("the schema and the reader agree", () => {
  test.each([...STRACE_LINES, ...SCRIPT_LINES])("%s", (text) => {
    const json = JSON.parse(printJson(parseLine(text, 1)));
    expect(lineSchema.safeParse(json).error?.message).toBeUndefined();
    expect(lineToJson(parseJson(JSON.stringify(json), 1))).toEqual(json);
  });

  /** Puts `value` at the place that `steps` leads to, in a copy. */
  function damage(json: unknown, steps: readonly number[], value: unknown): unknown {
    const root: { json: unknown } = { json: structuredClone(json) };
    let holder = root as Record<string, unknown>;
    let key = "json";
    for (const step of steps) {
      const inner = holder[key];
      if (typeof inner !== "object" || inner === null) break;
      const keys = Object.keys(inner);
      if (keys.length === 0) break;
      holder = inner as Record<string, unknown>;
      key = keys[step % keys.length]!;
    }
    if (value === undefined) delete holder[key];
    else holder[key] = value;
    return root.json;
  }

  test("also on what is not a line", () => {
    const junk = fc.constantFrom<unknown>(
      undefined,
      null,
      0,
      -1,
      1.5,
      2 ** 60,
      "",
      "12",
      "x\u{100}",
      true,
      [],
      {},
      [null],
      "int",
    );
    fc.assert(
      fc.property(anyLine, fc.array(fc.nat({ max: 20 }), { maxLength: 8 }), junk, (line, steps, value) => {
        const json = damage(JSON.parse(printJson(line)), steps, value);
        if (json === undefined) return;
        let accepted = true;
        try {
          parseJson(JSON.stringify(json), 1);
        } catch (error) {
          if (!(error instanceof ParseError)) throw error;
          accepted = false;
        }
        expect(accepted).toBe(lineSchema.safeParse(JSON.parse(JSON.stringify(json))).success);
      }),
      { numRuns: 3000 },
    );
  });
});

describe("errors name the field", () => {
  test.each<[string, string]>([
    ["{", "f:5:"],
    ["[]", "f:5:1: found [] at the top, expected an object"],
    ["{}", "f:5:1: found nothing at .type, expected a string"],
    [
      '{"type":"blank","line":-1,"task":null,"time":null}',
      "f:5:1: found -1 at .line, expected a whole number, 0 or more",
    ],
    [
      '{"type":"call","line":1,"task":null,"time":null,"name":"f","args":[{"kind":"int","value":1,"base":2,"note":null}]}',
      "f:5:1: found 2 at .args[0].base, expected one of 8, 10, 16",
    ],
    [
      '{"type":"call","line":1,"task":null,"time":null,"name":"f","args":[{"kind":"array","items":[{"kind":"x"}]}]}',
      'f:5:1: found "x" at .args[0].items[0].kind, expected the kind of an expression: int, sym, str, array, struct, op ...',
    ],
  ])("%s", (text, message) => {
    expect(() => parseJson(text, 5, "f")).toThrow(message);
  });

  test("endless nesting", () => {
    const deep = `${'{"kind":"op","op":"-","items":['.repeat(5000)}${"]}".repeat(5000)}`;
    const text = `{"type":"call","line":1,"task":null,"time":null,"name":"f","args":[${deep}]}`;
    expect(() => parseJson(text, 1)).toThrow("at most 200 levels");
  });
});
