/**
 * The NDJSON form as a schema: what `docs/schema/trace-line.schema.json` is generated from.
 *
 * Not exported by index.ts: reading and writing lines needs no validator, and importing one costs start-up time.
 */
import { z } from "zod";
import type { ExprJson, LineJson } from "./json.ts";

const count = z.int().min(0);
const note = z.string().nullable();
const expr = z.lazy((): z.ZodType<ExprJson> => exprSchema);
const exprs = z.array(expr).meta({ id: "exprs" });

const struct = z
  .looseObject({ kind: z.literal("struct"), fields: exprs })
  .describe("{events=EPOLLIN, data={u32=1, u64=1}}");

const kinds = z.discriminatedUnion("kind", [
  z
    .looseObject({
      kind: z.literal("int"),
      value: z.union([z.int(), z.string().regex(/^-?\d{1,32}$/u)]).describe("a decimal string beyond 2^53"),
      base: z.union([z.literal(8), z.literal(10), z.literal(16)]),
      note: note.describe("the -y decoration without its brackets"),
    })
    .describe("-1, 0x7ffd, 0600, 3<pipe:[17]>"),
  z.looseObject({ kind: z.literal("sym"), name: z.string(), note }).describe("EPOLLIN, NULL, AT_FDCWD</tmp>, ?"),
  z
    .looseObject({
      kind: z.literal("str"),
      bytes: z
        .string()
        .regex(/^[\0-\xff]*$/u)
        .describe("one character for each byte"),
      truncated: z.boolean(),
    })
    .describe('"abc", "abc"...'),
  z.looseObject({ kind: z.literal("array"), items: exprs }).describe("[a, b]"),
  z.looseObject({ kind: z.literal("set"), items: exprs, negated: z.boolean() }).describe("[HUP INT], ~[USR1]"),
  struct,
  z.looseObject({ kind: z.literal("op"), op: z.string(), items: exprs }).describe("A|B, 8192*1024, RTMIN + 1"),
  z.looseObject({ kind: z.literal("call"), name: z.string(), args: exprs }).describe("htons(80), makedev(0x1, 0x3)"),
  z.looseObject({ kind: z.literal("named"), name: z.string(), value: expr }).describe("events=EPOLLIN"),
  z
    .looseObject({
      kind: z.literal("change"),
      from: expr.nullable(),
      to: expr,
      brackets: z.enum(["[]", "{}", ""]),
    })
    .describe("[16 => 2], {before => after}"),
  z.looseObject({ kind: z.literal("var"), name: z.string() }).describe("$ep"),
  z
    .looseObject({ kind: z.literal("at"), place: z.string(), offset: z.int(), content: expr.nullable() })
    .describe("@edge-24:[...], @buf+8"),
  z.looseObject({ kind: z.literal("ellipsis") }).describe("..."),
  z
    .looseObject({
      kind: z.literal("part"),
      side: z.enum(["head", "tail"]),
      brackets: z.enum(["{}", "[]"]),
      items: exprs,
    })
    .describe("one side of a bracket that the tracer cut in two"),
  z.looseObject({ kind: z.literal("raw"), text: z.string() }).describe("text in an unknown form"),
]);

/** An argument, a field, a result. */
export const exprSchema: z.ZodType<ExprJson> = kinds.meta({ id: "expr" });

const result = z
  .looseObject({
    values: z.array(expr).min(1).describe("one, or the members of a permitted set"),
    errnos: z.array(z.string().nullable()).describe("one for each value"),
    text: z.string().nullable(),
    output: struct.nullable(),
  })
  .refine((value) => value.errnos.length === value.values.length, "errnos and values differ in length")
  .meta({ id: "result" });

const time = z
  .looseObject({
    ns: z.string().regex(/^\d{1,21}$/u),
    form: z.enum(["unix", "clock", "relative"]),
    digits: z.int().min(0).max(9),
  })
  .meta({ id: "time" });

const base = {
  line: count.describe("1-based line in the file"),
  task: z.string().nullable().describe("a pid or a name"),
  time: time.nullable(),
};
const ended = { name: z.string(), args: exprs, result: result.nullable(), durationNs: count.nullable() };

/** One line of the NDJSON form. */
export const lineSchema: z.ZodType<LineJson> = z
  .discriminatedUnion("type", [
    z.looseObject({ type: z.literal("call"), ...base, ...ended, unfinished: z.boolean() }),
    z.looseObject({ type: z.literal("resumed"), ...base, ...ended }),
    z.looseObject({
      type: z.literal("signal"),
      ...base,
      signal: z.string(),
      info: expr.nullable(),
      stopped: z.boolean(),
    }),
    z.looseObject({
      type: z.literal("exit"),
      ...base,
      how: z.enum(["exited", "killed", "superseded"]),
      status: count,
      signal: z.string().nullable(),
      core: z.boolean(),
    }),
    z.looseObject({ type: z.literal("note"), ...base, text: z.string() }),
    z.looseObject({ type: z.literal("directive"), ...base, word: z.string(), rest: z.string() }),
    z.looseObject({ type: z.literal("comment"), ...base, text: z.string() }),
    z.looseObject({ type: z.literal("blank"), ...base }),
  ])
  .meta({ title: "epollsim trace line", description: "One line of a trace or script in NDJSON form" });

/** The published JSON schema, as the text of its file. */
export function lineJsonSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(lineSchema), null, 2)}\n`;
}
