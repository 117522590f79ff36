/** Arbitrary lines of the language, as the parser would build them: no set of one word, no array around a lone change. */
import fc from "fast-check";
import type { Expr, Line, NamedExpr, Result, SymExpr, TimeStamp } from "../../src/trace/ast.ts";
import { IntValue, Stamp } from "../../src/trace/values.ts";

/** A name that strace could print. */
export const word: fc.Arbitrary<string> = fc
  .stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,14}$/u)
  .filter((name) => name !== "or" && name !== "Process");

const note: fc.Arbitrary<string | null> = fc.option(
  fc.oneof(
    fc.constantFrom(
      "TCP:[127.0.0.1:80->127.0.0.1:90]",
      "TCPv6:[[::1]:80->[::1]:90]",
      'UNIX-STREAM:[1->2,"/tmp/a>b"]',
      'UNIX-STREAM:[1,@"x\\"y"]',
      "/dev/null<char 1:3>",
      "/tmp/x (deleted)",
      "/usr/bin/[",
      "anon_inode:[eventpoll]",
      "pipe:[17]",
      "/tmp/a\\76b",
    ),
    fc.stringMatching(/^[a-z/.: ]{1,12}$/u),
  ),
);

const int: fc.Arbitrary<Expr> = fc
  .tuple(
    fc.oneof(fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }), fc.bigInt({ min: -9n, max: 1100n })),
    fc.constantFrom(8 as const, 10 as const, 16 as const),
    note,
  )
  .map(([value, base, text]) => new IntValue(value, base, text));

const sym: fc.Arbitrary<SymExpr> = fc.oneof(
  fc.tuple(word, note).map(([name, text]) => ({ kind: "sym" as const, name, note: text })),
  fc
    .constantFrom("?", "????", "&sin6_addr", "<... resuming interrupted poll ...>", "52:54:00:12:34:56")
    .map((name) => ({ kind: "sym" as const, name, note: null })),
);

const str: fc.Arbitrary<Expr> = fc
  .tuple(fc.oneof(fc.uint8Array({ maxLength: 12 }), asciiBytes()), fc.boolean())
  .map(([bytes, truncated]) => ({ kind: "str", bytes, truncated }));

function asciiBytes(): fc.Arbitrary<Uint8Array> {
  return fc.stringMatching(/^[ -~]{0,16}$/u).map((text) => new TextEncoder().encode(text));
}

const variable: fc.Arbitrary<Expr> = fc
  .tuple(word, fc.constantFrom("", "{i}", "{i+1}"))
  .map(([name, index]) => ({ kind: "var", name: name + index }));

const ellipsis: Expr = { kind: "ellipsis" };
const BINARY = ["|", "||", "&&", "&", "^", "==", "!=", "<<", ">>", "+", "-", "*", "/", "%", "or"];

/** What may stand side by side in a set. */
const setWord: fc.Arbitrary<Expr> = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(word, note).map(([name, text]) => ({ kind: "sym" as const, name, note: text })) },
  { weight: 2, arbitrary: int },
  { weight: 1, arbitrary: fc.constant(ellipsis) },
);

const { value, element } = fc.letrec<{ value: Expr; element: Expr; named: NamedExpr }>((tie) => {
  const operand = tie("value");
  const list = fc.array(tie("element"), { maxLength: 4 });
  const items = list.filter((all) => all.length !== 1 || all[0]!.kind !== "change" || all[0]!.brackets !== "");
  const change = (brackets: "[]" | "{}" | ""): fc.Arbitrary<Expr> =>
    fc
      .tuple(fc.option(tie("value")), tie("value"))
      .map(([from, to]) => ({ kind: "change", from, to, brackets }) as const);
  const set: fc.Arbitrary<Expr> = fc
    .tuple(fc.array(setWord, { maxLength: 4 }), fc.boolean())
    .filter(([words, negated]) => negated || words.length > 1)
    .map(([words, negated]) => ({ kind: "set", items: words, negated }));
  const sideBySide: fc.Arbitrary<Expr> = fc
    .array(setWord, { minLength: 2, maxLength: 4 })
    .map((words) => ({ kind: "op", op: " ", items: words }));
  return {
    value: fc.oneof(
      { maxDepth: 4, depthIdentifier: "expr" },
      int,
      sym,
      str,
      variable,
      fc.constant(ellipsis),
      set,
      items.map((all) => ({ kind: "array" as const, items: all })),
      fc
        .oneof(
          items,
          sideBySide.map((words) => [words]),
        )
        .map((fields) => ({ kind: "struct" as const, fields })),
      fc
        .tuple(fc.constantFrom(...BINARY), fc.array(operand, { minLength: 2, maxLength: 4 }))
        .map(([op, all]) => ({ kind: "op" as const, op, items: all })),
      fc.tuple(fc.constantFrom("-", "~", "!"), operand).map(([op, one]) => ({ kind: "op" as const, op, items: [one] })),
      fc.tuple(word, list).map(([name, args]) => ({ kind: "call" as const, name, args })),
      fc.constantFrom("[]" as const, "{}" as const).chain(change),
      fc
        .tuple(word, fc.integer({ min: -5000, max: 5000 }), fc.option(tie("value")))
        .map(([place, offset, content]) => ({ kind: "at" as const, place, offset, content })),
      str.map((content) => ({ kind: "at" as const, place: "", offset: 0, content })),
    ),
    element: fc.oneof(
      { weight: 6, arbitrary: tie("value") },
      { weight: 3, arbitrary: tie("named") },
      { weight: 1, arbitrary: change("") },
    ),
    named: fc
      .tuple(fc.oneof(word, fc.constantFrom("[3]", "[VINTR]")), fc.oneof(tie("value"), change("")))
      .map(([name, of]) => ({ kind: "named", name, value: of })),
  };
});

/** Any expression that may stand as an argument. */
export const argument: fc.Arbitrary<Expr> = element;

const stamp: fc.Arbitrary<TimeStamp> = fc
  .tuple(
    fc.constantFrom("unix" as const, "clock" as const, "relative" as const),
    fc.nat({ max: 86_399 }),
    fc.nat({ max: 999_999_999 }),
    fc.constantFrom(0, 1, 3, 6, 9),
    fc.boolean(),
  )
  .map(([form, seconds, nanos, digits, small]) => {
    const unit = 10 ** (9 - digits);
    const whole = form === "unix" && (digits === 0 || !small) ? seconds + 1_795_431_087 : seconds;
    return new Stamp(form, whole, Math.floor(nanos / unit) * unit, digits);
  });

const columns = fc.record({
  line: fc.integer({ min: 1, max: 1e9 }),
  task: fc.option(
    fc.oneof(fc.integer({ min: 1, max: 4_194_304 }).map(String), fc.constantFrom("A", "B1", "reader-2", "a_long_name")),
  ),
  time: fc.option(stamp),
});

/** Words behind a result that hold no further output. */
const text = fc.option(
  fc.oneof(fc.constantFrom("Timeout", "Bad file descriptor", "No such file) (INJECTED", ""), word),
);

const result: fc.Arbitrary<Result> = fc
  .tuple(
    fc.array(
      fc.tuple(
        value.filter((one) => one.kind !== "struct" && !(one.kind === "change" && one.brackets === "{}")),
        fc.option(word),
      ),
      { minLength: 1, maxLength: 3 },
    ),
    text,
  )
  .filter(([[first]]) => !startsWithBrace(first![0]))
  .map(([members, words]) => ({
    values: members.map(([one]) => one),
    errnos: members.map(([, errno]) => errno),
    text: words,
    output: null,
  }));

/** A result that begins with a brace is a permitted set. */
function startsWithBrace(expr: Expr): boolean {
  if (expr.kind === "op" && expr.items.length > 1) return startsWithBrace(expr.items[0]!);
  return expr.kind === "struct" || (expr.kind === "change" && expr.brackets === "{}");
}

const DIED: Result = { values: [{ kind: "sym", name: "?", note: null }], errnos: [null], text: null, output: null };
const BLOCKED: Result = { ...DIED, text: "<blocked>" };
const durationNs = fc.option(fc.nat({ max: 2_000_000_000 }));
const args = fc.array(argument, { maxLength: 5 });
const part = (side: "head" | "tail"): fc.Arbitrary<Expr> =>
  fc
    .tuple(fc.constantFrom("{}" as const, "[]" as const), fc.array(argument, { minLength: 1, maxLength: 3 }))
    .map(([brackets, items]) => ({ kind: "part", side, brackets, items }));

const call: fc.Arbitrary<Line> = fc
  .tuple(columns, word, args, fc.option(result, { freq: 6 }), durationNs)
  .map(([head, name, all, ends, ns]) => {
    return { type: "call", ...head, name, args: all, unfinished: false, result: ends, durationNs: ends && ns };
  });

const unfinished: fc.Arbitrary<Line> = fc
  .tuple(columns, word, args, fc.option(part("head")), fc.constantFrom(null, DIED, BLOCKED))
  .map(([head, name, all, cut, ends]) => {
    const known = cut === null || ends !== null ? all : [...all, cut];
    return { type: "call", ...head, name, args: known, unfinished: true, result: ends, durationNs: null };
  });

const resumed: fc.Arbitrary<Line> = fc
  .tuple(columns, word, fc.option(part("tail")), args, result, durationNs)
  .map(([head, name, cut, all, ends, ns]) => {
    return { type: "resumed", ...head, name, args: cut === null ? all : [cut, ...all], result: ends, durationNs: ns };
  });

const signal: fc.Arbitrary<Line> = fc
  .tuple(columns, word, fc.option(fc.array(argument, { maxLength: 4 })), fc.boolean())
  .filter(([, , fields]) => fields === null || fields.length !== 1 || fields[0]!.kind !== "change")
  .map(([head, name, fields, stopped]) => {
    const info = fields === null || stopped ? null : { kind: "struct" as const, fields };
    return { type: "signal", ...head, signal: name, info, stopped };
  });

const exit: fc.Arbitrary<Line> = fc
  .tuple(columns, fc.constantFrom("exited", "killed", "superseded"), fc.nat({ max: 255 }), word, fc.boolean())
  .map(([head, how, status, name, core]): Line => {
    const base = { type: "exit" as const, ...head };
    if (how === "killed") return { ...base, how, status: 0, signal: name, core };
    return { ...base, how: how === "exited" ? how : "superseded", status, signal: null, core: false };
  });

const bare = fc.record({ line: fc.integer({ min: 1, max: 1e9 }), task: fc.constant(null), time: fc.constant(null) });
const words = fc.stringMatching(/^[a-z0-9.=]+(?: [a-zA-Z0-9.=]+){0,3}$/u);

const others: fc.Arbitrary<Line> = fc.oneof(
  fc
    .tuple(
      columns,
      fc.constantFrom("strace: Process 12 attached", "Process 7 detached", "> /lib/libc.so(read+0x1) [0x2]"),
    )
    .map(([head, of]): Line => ({ type: "note", ...head, text: of })),
  fc.tuple(bare, words, fc.option(words)).map(([head, name, rest]): Line => {
    return { type: "directive", ...head, word: name.split(" ", 1)[0]!, rest: rest ?? "" };
  }),
  fc
    .tuple(
      bare,
      fc.stringMatching(/^[ -~]{0,20}$/u).filter((of) => !of.startsWith("!")),
    )
    .map(([head, of]): Line => ({ type: "comment", ...head, text: of })),
  bare.map((head): Line => ({ type: "blank", ...head })),
);

/** Any line. */
export const line: fc.Arbitrary<Line> = fc.oneof(
  { weight: 5, arbitrary: call },
  { weight: 3, arbitrary: unfinished },
  { weight: 3, arbitrary: resumed },
  { weight: 1, arbitrary: signal },
  { weight: 1, arbitrary: exit },
  { weight: 1, arbitrary: others },
);
