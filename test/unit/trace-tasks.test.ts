import { describe, expect, test } from "vitest";
import { printLine } from "../../src/trace/printer.ts";
import { parseText } from "../../src/trace/reader.ts";

const tasksOf = (text: string): (string | null)[] => parseText(text).map((line) => line.task);

describe("a recording from a terminal", () => {
  test("a call that a message broke in two is whole again, behind the message", () => {
    const lines = parseText(
      [
        "clone(child_stack=NULL, flags=SIGCHLDstrace: Process 12 attached",
        ", child_tidptr=0x7f) = 12",
        "[pid    11] clone(child_stack=NULL, flags=SIGCHLDstrace: Process 13 attached",
        " <unfinished ...>",
        "[pid    13] close(3) = 0",
        "[pid    11] <... clone resumed>, child_tidptr=0x7f) = 13",
      ].join("\n"),
    );
    expect(lines.map((line) => printLine({ ...line, task: null }))).toEqual([
      "strace: Process 12 attached",
      "clone(child_stack=NULL, flags=SIGCHLD, child_tidptr=0x7f) = 12",
      "strace: Process 13 attached",
      "clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>",
      "close(3) = 0",
      "<... clone resumed>child_tidptr=0x7f) = 13",
    ]);
  });

  test("the first task is null throughout; a line without a pid is the only task's", () => {
    const text = [
      "getpid() = 11",
      "strace: Process 12 attached",
      "[pid    12] close(3) = 0",
      "[pid    11] close(4) = 0",
      "[pid    12] +++ exited with 0 +++",
      "close(5) = 0",
      "strace: Process 13 attached",
      "[pid    11] +++ exited with 0 +++",
      "close(6) = 0",
      "+++ exited with 0 +++",
    ];
    expect(tasksOf(text.join("\n"))).toEqual([null, null, "12", null, "12", null, null, null, "13", "13"]);
  });

  test("with -p there is no first task", () => {
    const text = [
      "strace: Process 7 attached",
      "close(3) = 0",
      "strace: Process 8 attached",
      "[pid     7] close(3) = 0",
    ];
    expect(tasksOf(text.join("\n"))).toEqual([null, "7", null, "7"]);
  });

  test("a file with a pid column is left alone", () => {
    expect(tasksOf("7 close(3) = 0\n8 close(3) = 0")).toEqual(["7", "8"]);
    expect(tasksOf("A  close(3) = 0\nclose(3) = 0")).toEqual(["A", null]);
  });
});
