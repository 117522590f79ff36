import { describe, expect, test } from "vitest";
import type { CallLine, Expr, Line } from "../../src/trace/ast.ts";
import { ParseError } from "../../src/trace/errors.ts";
import { exprToJson, lineToJson } from "../../src/trace/json.ts";
import { parseLine } from "../../src/trace/parser.ts";
import { printExpr, printLine } from "../../src/trace/printer.ts";
import { SCRIPT_LINES, STRACE_LINES } from "../helpers/trace-lines.ts";

function call(text: string): CallLine {
  const line = parseLine(text, 1);
  if (line.type !== "call") throw new Error(`a ${line.type}: ${text}`);
  return line;
}

/** The only argument of `f(text)`. */
function arg(text: string): Expr {
  const { args } = call(`f(${text}) = 0`);
  expect(args.length).toBe(1);
  return args[0]!;
}

function ascii(expr: Expr): string {
  return expr.kind === "str" ? String.fromCharCode(...expr.bytes) : "";
}

function errorOf(text: string): string {
  try {
    parseLine(text, 12, "file");
  } catch (error) {
    if (error instanceof ParseError) return error.message;
    throw error;
  }
  return "none";
}

describe("every form", () => {
  test.each([...STRACE_LINES, ...SCRIPT_LINES])("%s", (text) => {
    const line = parseLine(text, 1);
    expect(JSON.stringify(lineToJson(line))).not.toContain('"raw"');
    expect(lineToJson(parseLine(printLine(line), 1))).toEqual(lineToJson(line));
  });
});

describe("columns", () => {
  const columnsOf = (text: string): unknown[] => {
    const { task, time } = parseLine(text, 1);
    return [task, time?.form ?? null, time?.ns ?? null, time?.digits ?? null];
  };
  test.each<[string, unknown[]]>([
    ["close(3) = 0", [null, null, null, null]],
    ["623   close(3) = 0", ["623", null, null, null]],
    ["[pid   623] close(3) = 0", ["623", null, null, null]],
    ["[pid 623<nginx>] 12:00:01 close(3) = 0", ["623", "clock", 43_201_000_000_000n, 0]],
    ["623<nginx> close(3) = 0", ["623", null, null, null]],
    ["A  close(3) = 0", ["A", null, null, null]],
    ["reader-1  0.5 close(3) = 0", ["reader-1", "unix", 500_000_000n, 1]],
    ["12:34:56.000001 close(3) = 0", [null, "clock", 45_296_000_001_000n, 6]],
    ["623 1795431087.035335706 close(3) = 0", ["623", "unix", 1_795_431_087_035_335_706n, 9]],
    ["1795.123 close(3) = 0", [null, "unix", 1_795_123_000_000n, 3]],
    ["1795431087 close(3) = 0", [null, "unix", 1_795_431_087_000_000_000n, 0]],
    ["     0.000123 close(3) = 0", [null, "relative", 123_000n, 6]],
    ["623        0.000123 close(3) = 0", ["623", "relative", 123_000n, 6]],
    ["623   1795.000123 close(3) = 0", ["623", "unix", 1_795_000_123_000n, 6]],
    ["12345      0.000123 close(3) = 0", ["12345", "relative", 123_000n, 6]],
    ["[pid   623]      0.000123 close(3) = 0", ["623", "relative", 123_000n, 6]],
    ["623 12:34:56 +++ exited with 0 +++", ["623", "clock", 45_296_000_000_000n, 0]],
    ["close(3) = 0\r", [null, null, null, null]],
  ])("%s", (text, expected) => {
    expect(columnsOf(text)).toEqual(expected);
  });
});

describe("arguments", () => {
  test("numbers keep their base; those beyond 2^53 are exact", () => {
    expect(exprToJson(arg("-1"))).toEqual({ kind: "int", value: -1, base: 10, note: null });
    expect(exprToJson(arg("0x7ffd"))).toEqual({ kind: "int", value: 0x7ffd, base: 16, note: null });
    expect(exprToJson(arg("0644"))).toEqual({ kind: "int", value: 0o644, base: 8, note: null });
    const big = arg("18446744073709551615");
    expect(big.kind === "int" && [big.value, big.num]).toEqual([18446744073709551615n, 2 ** 64]);
    const hex = arg("0xffffffff00000001");
    expect(hex.kind === "int" && hex.value).toBe(0xffffffff00000001n);
  });

  test("a note keeps its inner brackets, and ends in (deleted) for a deleted path", () => {
    const noteOf = (text: string): unknown => {
      const expr = arg(text);
      return expr.kind === "int" || expr.kind === "sym" ? expr.note : undefined;
    };
    expect(noteOf("3<TCP:[127.0.0.1:80->127.0.0.1:90]>")).toBe("TCP:[127.0.0.1:80->127.0.0.1:90]");
    expect(noteOf('3<UNIX-STREAM:[1->2,"/a>b"]>')).toBe('UNIX-STREAM:[1->2,"/a>b"]');
    expect(noteOf("5</dev/null<char 1:3>>")).toBe("/dev/null<char 1:3>");
    expect(noteOf("4</tmp/x>(deleted)")).toBe("/tmp/x (deleted)");
    expect(noteOf("AT_FDCWD</tmp>")).toBe("/tmp");
    expect(noteOf("1<<CAP_CHOWN")).toBeUndefined();
  });

  test("strings are decoded", () => {
    expect(ascii(arg('"\\1\\0a\\0011\\x41\\t\\n\\\\\\"\\377"'))).toBe('\u0001\0a\u00011A\t\n\\"\u00ff');
    expect(ascii(arg('"é"'))).toBe("\u00c3\u00a9");
    const cut = arg('"abc"...');
    expect(cut.kind === "str" && cut.truncated).toBe(true);
  });

  test("structs may be named, positional or side by side", () => {
    expect(printExpr(arg("{events=EPOLLIN, data={u32=1, u64=1}}"))).toBe("{events=EPOLLIN, data={u32=1, u64=1}}");
    const old = arg("{EPOLLIN, {u32=20, u64=20}}");
    expect(old.kind === "struct" && old.fields.map((f) => f.kind)).toEqual(["sym", "struct"]);
    const termios = arg("{B38400 opost ...}");
    expect(termios.kind === "struct" && termios.fields).toMatchObject([{ kind: "op", op: " " }]);
  });

  test("one word in brackets is an array, several are a set", () => {
    expect(arg("[USR1]").kind).toBe("array");
    expect(arg("[]").kind).toBe("array");
    expect(arg("[HUP INT]").kind).toBe("set");
    expect(arg("~[]")).toMatchObject({ kind: "set", negated: true, items: [] });
  });

  test("operators bind as in C", () => {
    expect(exprToJson(arg("A|B|1<<2"))).toMatchObject({
      op: "|",
      items: [{ name: "A" }, { name: "B" }, { op: "<<", items: [{ value: 1 }, { value: 2 }] }],
    });
    expect(exprToJson(arg("W(s) && X(s) == 0"))).toMatchObject({ op: "&&", items: [{ kind: "call" }, { op: "==" }] });
    expect(printExpr(arg("(A|B)<<2"))).toBe("(A|B)<<2");
  });

  test("what a call changed shows both values", () => {
    expect(arg("[16 => 2]")).toMatchObject({ kind: "change", brackets: "[]", from: { num: 16 }, to: { num: 2 } });
    expect(arg("{a => b}")).toMatchObject({ kind: "change", brackets: "{}" });
    expect(arg("msg_namelen=28 => 16")).toMatchObject({ kind: "named", value: { kind: "change", brackets: "" } });
    expect(arg("[0] => [26]")).toMatchObject({ kind: "change", brackets: "", from: { kind: "array" } });
  });

  test("places of user memory", () => {
    expect(arg("@edge-24")).toMatchObject({ kind: "at", place: "edge", offset: -24, content: null });
    expect(arg("@frozen+4096")).toMatchObject({ kind: "at", place: "frozen", offset: 4096 });
    expect(arg("@edge-24:[{a=1}]")).toMatchObject({ kind: "at", offset: -24, content: { kind: "array" } });
    expect(arg('sun_path=@"x"')).toMatchObject({ value: { kind: "at", place: "", content: { kind: "str" } } });
  });

  test("symbols are one object each", () => {
    expect(arg("EPOLLIN")).toBe(arg("EPOLLIN"));
  });
});

describe("results", () => {
  const resultOf = (text: string): NonNullable<CallLine["result"]> => call(`f() = ${text}`).result!;

  test("errno and its sentence", () => {
    expect(resultOf("-1 EBADF (Bad file descriptor)")).toMatchObject({
      values: [{ num: -1 }],
      errnos: ["EBADF"],
      text: "Bad file descriptor",
      output: null,
    });
    expect(resultOf("-1 EBADF").text).toBeNull();
    expect(resultOf("? ERESTARTSYS (To be restarted if SA_RESTART is set)").errnos).toEqual(["ERESTARTSYS"]);
    expect(resultOf("-1 ENOSYS (Function not implemented) (INJECTED)").text).toBe(
      "Function not implemented) (INJECTED",
    );
  });

  test("further output is a struct, plain words are not", () => {
    expect(resultOf("0 (Timeout)").output).toBeNull();
    expect(printExpr(resultOf("1 ([{fd=3, revents=POLLIN}])").output!)).toBe("{[{fd=3, revents=POLLIN}]}");
    expect(printExpr(resultOf("1 (in [3], left {tv_sec=0, tv_usec=9})").output!)).toBe(
      "{in=[3], left={tv_sec=0, tv_usec=9}}",
    );
    expect(printExpr(resultOf("0x8000 (flags O_RDONLY|O_LARGEFILE)").output!)).toBe("{flags=O_RDONLY|O_LARGEFILE}");
    expect(printExpr(resultOf("1 ([{fd=3}], left {tv_sec=0})").output!)).toBe("{[{fd=3}], left={tv_sec=0}}");
  });

  test("a permitted set, a name, nothing at all", () => {
    expect(resultOf("{1 | 0}").values.length).toBe(2);
    expect(resultOf("{3 | -1 EAGAIN}").errnos).toEqual([null, "EAGAIN"]);
    expect(resultOf("$ep").values).toEqual([{ kind: "var", name: "ep" }]);
    expect(call("close(3)").result).toBeNull();
  });

  test("a blocked call is unfinished", () => {
    const line = call("epoll_wait(3, [], 8, -1) = ? <blocked>");
    expect([line.unfinished, line.args.length, line.result?.text]).toEqual([true, 4, "<blocked>"]);
  });

  test("a call whose task died inside it is unfinished and has a result", () => {
    const line = call("epoll_wait(3,  <unfinished ...>) = ?");
    expect([line.unfinished, line.args.length, line.result?.text]).toEqual([true, 1, null]);
  });

  test("durations", () => {
    expect(call("close(3) = 0 <0.000012>").durationNs).toBe(12_000);
    expect(call("close(3) = 0 <1.000000012>").durationNs).toBe(1_000_000_012);
    expect(call("f() = 3</a<b>> <0.000001>").durationNs).toBe(1000);
  });
});

describe("other lines", () => {
  const parsed = (text: string): Line => parseLine(text, 1);
  test("signals", () => {
    expect(parsed("7 --- SIGCHLD {si_signo=SIGCHLD} ---")).toMatchObject({
      signal: "SIGCHLD",
      stopped: false,
      task: "7",
    });
    expect(parsed("--- stopped by SIGSTOP ---")).toMatchObject({ signal: "SIGSTOP", stopped: true, info: null });
  });
  test("exits", () => {
    expect(parsed("+++ exited with 3 +++")).toMatchObject({ how: "exited", status: 3 });
    expect(parsed("+++ killed by SIGSEGV (core dumped) +++")).toMatchObject({
      how: "killed",
      signal: "SIGSEGV",
      core: true,
    });
    expect(parsed("7 +++ superseded by execve in pid 8 +++")).toMatchObject({
      how: "superseded",
      status: 8,
      task: "7",
    });
  });
  test("directives and comments", () => {
    expect(parsed("#! kernel >= 5.5")).toMatchObject({ type: "directive", word: "kernel", rest: ">= 5.5" });
    expect(parsed("# why")).toMatchObject({ type: "comment", text: " why" });
    expect(parsed("  ").type).toBe("blank");
  });
  test("messages of strace", () => {
    expect(parsed("strace: Process 12 attached")).toMatchObject({ type: "note", task: null });
    expect(parsed("Process 12 attached")).toMatchObject({ type: "note", task: null });
  });
  test("two halves that split a struct", () => {
    expect(call("7 f(256, {flags=0 <unfinished ...>").args[1]).toMatchObject({
      kind: "part",
      side: "head",
      brackets: "{}",
    });
    const second = parsed("7 <... f resumed>, sq_entries=256}, 8) = 3");
    expect(second.type === "resumed" && second.args).toMatchObject([{ kind: "part", side: "tail" }, { num: 8 }]);
  });
});

describe("errors say where, what and what else", () => {
  test.each<[string, string]>([
    ["A  close(3", "file:12:11: found the end of the line, expected ',' or ')'"],
    ["A  epoll_ctl(3, EPOLL_CTL_ADD 4)", "file:12:31: found '4)', expected ',' or ')'"],
    ["f({a=1 b=2})", "file:12:8: found 'b=2})', expected ',' or '}'"],
    ["f(3, )", "file:12:6: found ')', expected an argument behind ','"],
    ['f("abc)', "file:12:8: found the end of the line, expected '\"' at the end of the string"],
    ['f("\\q")', "file:12:4: found '\\q\")', expected an escape: \\n, \\t, \\\\, \\\", \\1 to \\377 or \\x1 to \\xff"],
    ["f(08)", "file:12:4: found '8)', expected an octal digit, since the number starts with 0"],
    ["f(3x)", "file:12:4: found 'x)', expected ',' or the end of the number"],
    ["f(3<pipe:[1)", "file:12:13: found the end of the line, expected '>' at the end of the note"],
    ["f(1) = 0 oops oops", "file:12:15: found 'oops', expected the end of the line"],
    ["f(1) = {1 | 0", "file:12:14: found the end of the line, expected '|' or '}' in the permitted results"],
    ["f(1) = ", "file:12:8: found the end of the line, expected a value"],
    ["f($)", "file:12:4: found ')', expected a name behind '$'"],
    ["f(@)", "file:12:4: found ')', expected the name of a place behind '@'"],
    ["f(1 /* x)", "file:12:10: found the end of the line, expected '*/' at the end of the comment"],
    [
      "hello world",
      "file:12:7: found 'world', expected a call, '<... NAME resumed>', '--- SIGNAL', '+++ exited' or '#'",
    ],
    ["#!", "file:12:3: found the end of the line, expected a word behind '#!', such as 'id', 'seed' or 'kernel'"],
    [
      "+++ exit +++",
      "file:12:5: found 'exit +++', expected 'exited with N', 'killed by SIG' or 'superseded by execve in pid N'",
    ],
    ["12:34 f()", "file:12:6: found ' f()', expected a time HH:MM:SS"],
  ])("%s", (text, message) => {
    expect(errorOf(text)).toBe(message);
  });

  test("hostile nesting and numbers are errors, not crashes", () => {
    expect(errorOf(`f(${"[".repeat(100_000)}`)).toContain("levels of brackets");
    expect(errorOf(`f(${"-".repeat(100_000)}1)`)).toContain("levels of brackets");
    expect(errorOf(`f(${"(".repeat(100_000)}`)).toContain("levels of brackets");
    expect(errorOf(`f(${"@a:".repeat(100_000)}1)`)).toContain("levels of brackets");
    expect(errorOf(`f(${"9".repeat(100_000)})`)).toContain("at most 64 bits");
    expect(errorOf(`${"[ 1] ".repeat(100_000)}x`)).toContain("expected a call");
  });

  test("the time for a long line grows with its length, not faster", () => {
    const forms = ["3<,", "1 / ", '"a",', "a /* x", "(", "1 /* x */ ,", "@a+", "$a{,", '"\\', "x;y, "];
    for (const form of forms) {
      const text = `f(${form.repeat(200_000)}`;
      expect(() => parseLine(text, 1, { lenient: true })).toThrow(ParseError);
    }
  });
});

describe("lenient", () => {
  test("an argument in an unknown form is kept as it stands", () => {
    const text = 'f(3, st_atime=2016/08/11-12:34:56, "a", {x;y}) = 0';
    expect(() => parseLine(text, 1)).toThrow(ParseError);
    const line = parseLine(text, 1, { lenient: true });
    expect(line.type === "call" && line.args.map((a) => a.kind)).toEqual(["int", "raw", "str", "raw"]);
    expect(printLine(line)).toBe(text);
  });
  test("output of the program is a note, a broken call is not", () => {
    expect(parseLine("hello world", 1, { lenient: true }).type).toBe("note");
    expect(() => parseLine("epoll_wait(3, [{ev", 1, { lenient: true })).toThrow(ParseError);
  });
});
