/** Scripts: directives, loops, and what is wrong with them. */
import { describe, expect, test } from "vitest";
import { printLine } from "../../src/trace/printer.ts";
import { compareVersions, kernelFits, parseScript } from "../../src/trace/script.ts";

function calls(text: string): string[] {
  return parseScript(text, "s")
    .lines.filter(({ line }) => line.type === "call")
    .map(({ line }) => printLine(line));
}

describe("directives", () => {
  test("of the head", () => {
    const script = parseScript(
      [
        "#! id E-061 E-062",
        "#! id F-001",
        "#! kernel >= 5.5",
        "#! kernel < 6.19",
        "#! seed 7",
        "#! uid 4242",
        "#! nofile 8",
        "#! sysctl fs.epoll.max_user_watches=10",
        "#! needs root, net",
        "#! model-only the clock jumps",
        "#! litmus",
        "close(3) = 0",
        "#! id E-063",
        "close(4) = 0",
      ].join("\n"),
      "s",
    );
    expect(script).toMatchObject({ seed: "7", uid: 4242, nofile: 8, modelOnly: "the clock jumps", litmus: true });
    expect(script.ids).toEqual(["E-061", "E-062", "F-001", "E-063"]);
    expect([...script.sysctls]).toEqual([["fs.epoll.max_user_watches", "10"]]);
    expect([...script.needs]).toEqual(["root", "net"]);
    const ids = script.lines.filter(({ line }) => line.type === "call").map((line) => line.ids);
    expect(ids).toEqual([["E-061", "E-062", "F-001"], ["E-063"]]);
    expect(["5.4.99", "5.5", "6.18.44-cloud", "6.19"].map((version) => kernelFits(script, version))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  test("versions compare by as many parts as the condition names", () => {
    expect(compareVersions("6.18.44", "6.18")).toBe(0);
    expect(compareVersions("6.9", "6.18")).toBeLessThan(0);
    expect(compareVersions("6.18", "6.18.1")).toBeLessThan(0);
  });

  test.each([
    ["#! sead 7", "s:1:4: found the unknown directive 'sead', expected seed"],
    ["#! seed", "s:1:4: found no seed, expected '#! seed 7'"],
    ["#! uid root", "s:1:4: found 'root', expected '#! uid NUMBER'"],
    ["#! kernel 6.1", "s:1:4: found '6.1', expected '#! kernel >= 6.15'"],
    ["#! needs cake", "s:1:10: found 'cake', expected one of root, userfaultfd, net"],
    ["#! sysctl fs.nr", "s:1:4: found 'fs.nr', expected '#! sysctl NAME=VALUE'"],
    [
      "#! sysctl __proto__=1",
      "s:1:11: found the unknown sysctl '__proto__', expected one of fs.epoll.max_user_watches",
    ],
    ["#! sysctl fs.nr_open=-1", "s:1:22: found '-1', expected a whole number of at least 0"],
    ["#! fork B", "s:1:4: found 'B', expected '#! fork NEW PARENT'"],
    ["#! thread B A CLONE_VM", "s:1:4: found 'B A CLONE_VM', expected '#! thread NEW PARENT'"],
    [
      "#! fork B A CLONE_VM|CLONE_NEWPID",
      "s:1:13: found 'CLONE_VM|CLONE_NEWPID', expected CLONE_VM|CLONE_FILES|CLONE_SIGHAND|CLONE_PIDFD|CLONE_VFORK; CLONE_SIGHAND only with CLONE_VM",
    ],
    ["close(3) = 0\n#! uid 5", "s:2:4: found 'uid' behind a call, expected its place before the first call"],
  ])("%j is wrong", (text, message) => {
    expect(() => parseScript(text, "s")).toThrow(message);
  });
});

describe("loops", () => {
  test("write their lines out, with sums", () => {
    const text = '#! for i in 1..2\nA{i} write({i+2}, "{i}", {2*i-1}) = $e{i}\n#! end';
    expect(calls(text)).toEqual(['A1  write(3, "1", 1) = $e1', 'A2  write(4, "2", 3) = $e2']);
  });

  test("nest, and an inner bound may depend on the outer value", () => {
    const text = "#! for i in 1..2\n#! for k in {i}..2\nclose({i*10+k}) = 0\n#! end\n#! end";
    expect(calls(text)).toEqual(["close(11) = 0", "close(12) = 0", "close(22) = 0"]);
  });

  test("leave braces alone that are structs", () => {
    const text = "#! for i in 3..3\nf({events=EPOLLIN, data={u32={i}, u64={-i+4}}}, {x}) = 0\n#! end";
    expect(calls(text)).toEqual(["f({events=EPOLLIN, data={u32=3, u64=1}}, {x}) = 0"]);
  });

  test("may be empty, and keep the line number of the file", () => {
    expect(calls("#! for i in 1..0\nclose({i}) = 0\n#! end")).toEqual([]);
    const script = parseScript("#! for i in 1..3\nclose({i}) = 0\n#! end", "s");
    expect(script.lines.map(({ line }) => line.line)).toEqual([2, 2, 2]);
  });

  test.each([
    ["#! for i in 1..3\nclose(3) = 0", "s:1:4: found a 'for' without its end"],
    ["#! end", "s:1:4: found an 'end' without its 'for'"],
    ["#! for i in 1-3\n#! end", "s:1:4: found '#! for i in 1-3', expected '#! for NAME in FIRST..LAST'"],
    [
      "#! for i in 1..300000\nclose(3) = 0\n#! end",
      "found a script that grows too long, expected at most 200000 lines and loop rounds",
    ],
    ["#! for i in 1..99999999\n#! end", "s:1:1: found a script that grows too long"],
    ["#! for i in 1..2\nclose({i) = 0\n#! end", "s:2:"],
  ])("%j is wrong", (text, message) => {
    expect(() => parseScript(text, "s")).toThrow(message);
  });
});
