import { describe, expect, test } from "vitest";
import { CallJoiner, type CallRecord } from "../../src/trace/pairs.ts";
import { printExpr } from "../../src/trace/printer.ts";
import { parseText } from "../../src/trace/reader.ts";
import { TraceClock } from "../../src/trace/time.ts";

interface Seen {
  readonly records: readonly (CallRecord | null)[];
  readonly joiner: CallJoiner;
}

function join(text: string): Seen {
  const joiner = new CallJoiner("f");
  return { records: parseText(text).map((line) => joiner.push(line)), joiner };
}

const argsOf = (call: CallRecord): string => call.args.map(printExpr).join(", ");

describe("joining", () => {
  test("a split call is one record, given at its entry and at its end", () => {
    const { records, joiner } = join(
      [
        "7 100000000.000000001 epoll_wait(3,  <unfinished ...>",
        '8 100000000.000000101 write(4, "x", 1) = 1 <0.000000050>',
        "7 100000000.000000201 <... epoll_wait resumed>[{events=EPOLLIN}], 8, -1) = 1 <0.000000190>",
      ].join("\n"),
    );
    const [wait, write, back] = records;
    expect(back).toBe(wait);
    expect(argsOf(wait!)).toBe("3, [{events=EPOLLIN}], 8, -1");
    expect(wait).toMatchObject({ task: "7", phase: "returned", entryLine: 1, exitLine: 3, entryNs: 0, exitNs: 200 });
    expect(wait?.durationNs).toBe(190);
    expect(write).toMatchObject({ phase: "returned", entryLine: 2, exitLine: 2, entryNs: 100, exitNs: 150 });
    expect([...joiner.pending()]).toEqual([]);
    expect(joiner.nowNs).toBe(200);
  });

  test("a call that never returns stays pending", () => {
    const { records, joiner } = join('7 epoll_wait(3,  <unfinished ...>\nA  read(4, "", 1) = ? <blocked>');
    expect(records.map((call) => call?.phase)).toEqual(["entered", "entered"]);
    expect([...joiner.pending()]).toEqual(records);
  });

  test("a task that ends inside a call loses it", () => {
    const { records } = join("7 read(3,  <unfinished ...>\n7 +++ killed by SIGKILL +++");
    expect(records[1]).toBe(records[0]);
    expect(records[0]).toMatchObject({ phase: "lost", result: null, exitLine: 2 });
    expect(join("7 read(3,  <unfinished ...>) = ?").records[0]).toMatchObject({ phase: "lost" });
    expect(join("7 exit_group(0) = ?").records[0]).toMatchObject({ phase: "returned" });
  });

  test("a trace may begin inside a call", () => {
    const { records } = join("7 <... epoll_wait resumed>[], 8, 5) = 0");
    expect(records[0]).toMatchObject({ entryLine: null, exitLine: 1, phase: "returned" });
  });

  test("an execve by a thread goes on under its leader's pid", () => {
    const { records } = join(
      ["7 pause( <unfinished ...>", '8 execve("/x", [], [] <unfinished ...>']
        .concat(["7 +++ superseded by execve in pid 8 +++", "7 <... execve resumed>) = 0"])
        .join("\n"),
    );
    expect(records[2]).toBe(records[0]);
    expect(records[0]?.phase).toBe("lost");
    expect(records[3]).toBe(records[1]);
    expect(records[1]).toMatchObject({ task: "7", phase: "returned", name: "execve" });
  });

  test("an argument that was cut becomes whole", () => {
    const joined = (first: string, second: string): string =>
      argsOf(join(`7 f(${first} <unfinished ...>\n7 <... f resumed>${second}) = 3`).records[1]!);
    expect(joined("256, {flags=0, cpu=0", ", sq=256, off={a=1}}")).toBe("256, {flags=0, cpu=0, sq=256, off={a=1}}");
    expect(joined("256, {flags=0, x={a=1", ", b=2}, c=[3]}, 8")).toBe("256, {flags=0, x={a=1, b=2}, c=[3]}, 8");
    expect(joined("{flags=CLONE_VM}", " => {tid=[7]}, 88")).toBe("{flags=CLONE_VM} => {tid=[7]}, 88");
    expect(joined("3, [16", " => 2], 0")).toBe("3, [16 => 2], 0");
    expect(joined("{len=28", " => 16}")).toBe("{len=28 => 16}");
    expect(joined("3, ", '"x", 1')).toBe('3, "x", 1');
  });

  test("halves of two calls do not fit", () => {
    expect(() => join("7 read(3,  <unfinished ...>\n7 <... write resumed>) = 0")).toThrow(
      "f:2:1: found '<... write resumed>', expected '<... read resumed>', which began in line 1",
    );
  });
});

describe("one time scale", () => {
  const times = (text: string): number[] => {
    const clock = new TraceClock();
    return parseText(text).map((line) => clock.at(line.time!));
  };

  test("dates count from the first, exactly", () => {
    expect(times("1795431087.035335706 a()\n1795431088.035335707 a()\n1795431087.035335705 a()")).toEqual([
      0, 1_000_000_001, -1,
    ]);
  });
  test("relative times add up", () => {
    expect(times("     0.000000 a()\n     0.000100 a()\n     0.000001 a()")).toEqual([0, 100_000, 101_000]);
  });
  test("a clock passes midnight, and a late line of the day before does not pass it twice", () => {
    expect(times("23:59:59 a()\n00:00:01 a()\n23:59:59 a()\n00:00:02 a()")).toEqual([0, 2e9, 0, 3e9]);
  });
});
