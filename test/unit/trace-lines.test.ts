import { describe, expect, test } from "vitest";
import type { Line } from "../../src/trace/ast.ts";
import type { ParseError } from "../../src/trace/errors.ts";
import { lineToJson, printJson } from "../../src/trace/json.ts";
import { LineSplitter } from "../../src/trace/lines.ts";
import { parseLine } from "../../src/trace/parser.ts";
import { printLine } from "../../src/trace/printer.ts";
import { parseText, readBatches, readLines, TraceReader } from "../../src/trace/reader.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function split(chunks: readonly string[], lineBytesMax = 100): string[] {
  const splitter = new LineSplitter({ file: "f", lineBytesMax });
  return [...chunks.flatMap((chunk) => splitter.push(bytes(chunk))), ...splitter.end()];
}

describe("lines", () => {
  test("the chunks do not matter", () => {
    const text = "one\ntwo\n\nthree é\nfour";
    const expected = ["one", "two", "", "three é", "four"];
    expect(split([text])).toEqual(expected);
    const all = bytes(text);
    for (let size = 1; size < all.length; size += 1) {
      const splitter = new LineSplitter();
      const lines: string[] = [];
      for (let at = 0; at < all.length; at += size) lines.push(...splitter.push(all.subarray(at, at + size)));
      lines.push(...splitter.end());
      expect(lines).toEqual(expected);
      expect(splitter.nrLines).toBe(5);
    }
  });

  test("a line feed ends a line, it does not begin one", () => {
    expect(split([])).toEqual([]);
    expect(split(["a\n"])).toEqual(["a"]);
    expect(split(["\n"])).toEqual([""]);
    expect(split(["a\n", "\n"])).toEqual(["a", ""]);
  });

  test("a chunk may be reused by its owner", () => {
    const chunk = bytes("ab");
    const splitter = new LineSplitter();
    splitter.push(chunk);
    chunk.fill(0x78);
    expect(splitter.push(bytes("c\n"))).toEqual(["abc"]);
  });

  test("a byte order mark is passed over, UTF-16 is refused", () => {
    expect(split(["\u{feff}close(3)\n"])).toEqual(["close(3)"]);
    expect(() => new LineSplitter({ file: "f" }).push(new Uint8Array([0xff, 0xfe, 0x61, 0, 0x0a]))).toThrow(
      "f:1:1: found UTF-16 text, expected UTF-8 or plain ASCII",
    );
  });

  test("an endless line is an error that names it", () => {
    const message = "f:2:101: found a line of more than 100 bytes, expected a line feed before that";
    expect(() => split(["a\n", "b".repeat(60), "c".repeat(60)])).toThrow(message);
    expect(() => split([`a\n${"b".repeat(101)}\nc\n`])).toThrow(message);
    expect(() => split(["a\n", "b".repeat(60), `${"b".repeat(60)}\n`])).toThrow(message);
    expect(split([`a\n${"b".repeat(100)}\nc\n`]).length).toBe(3);
  });
});

describe("reading", () => {
  async function* stream(...chunks: string[]): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield bytes(chunk);
  }

  async function collect<T>(of: AsyncIterable<T>): Promise<T[]> {
    const all: T[] = [];
    for await (const one of of) all.push(one);
    return all;
  }

  test("lines are numbered through the chunks", async () => {
    const chunks = ["clo", "se(3) = 0\n\nclose(4", ") = 0\n", "close(5) = 0"];
    const lines = await collect(readLines(stream(...chunks)));
    expect(lines.map((line) => [line.line, line.type])).toEqual([
      [1, "call"],
      [2, "blank"],
      [3, "call"],
      [4, "call"],
    ]);
    const batches: Line[][] = await collect(readBatches(stream(...chunks)));
    expect(batches.map((batch) => batch.length)).toEqual([2, 1, 1]);
  });

  test("strace text and NDJSON may be mixed", () => {
    const call = parseLine("7 close(3) = 0", 1);
    const lines = parseText(`7 close(3) = 0\n${printJson(call)}\n`);
    expect(lines.map((line) => lineToJson(line))).toEqual([lineToJson(call), lineToJson(call)]);
  });

  test("an error names the line, and may be taken as a report", () => {
    const text = "close(3) = 0\nclose(\nclose(4) = 0\n";
    expect(() => parseText(text, { file: "f" })).toThrow("f:2:7: found the end of the line, expected a value");
    const errors: ParseError[] = [];
    const lines = parseText(text, { onError: (error) => errors.push(error) });
    expect(lines.map((line) => line.line)).toEqual([1, 3]);
    expect(errors.map((error) => error.line)).toEqual([2]);
  });

  test("a recording cut off in the middle of a line ends in a note", () => {
    const text = "7 close(3) = 0\n7 epoll_wait(4, [{ev";
    expect(() => parseText(text)).toThrow();
    expect(parseText(text, { lenient: true })[1]).toMatchObject({
      type: "note",
      line: 2,
      text: "7 epoll_wait(4, [{ev",
    });
    expect(() => parseText(`${text}\n`, { lenient: true })).toThrow();
  });

  test("a reader that saw nothing has nothing", () => {
    expect(new TraceReader().end()).toEqual([]);
  });
});

describe("printing", () => {
  const printed = (text: string, width?: number): string => printLine(parseLine(text, 1), { width: width ?? null });

  test("the result stands where strace puts it", () => {
    const brk = "26137 1795431087.035797014 brk(NULL)    = 0x56347e70b000 <0.000034682>";
    expect(printed(brk, 40)).toBe(brk);
    expect(printed(brk)).toBe("26137 1795431087.035797014 brk(NULL) = 0x56347e70b000 <0.000034682>");
    const long = '123   openat(AT_FDCWD</scratch/w>, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3</etc/ld.so.cache>';
    expect(printed(long, 40)).toBe(long);
  });

  test.each([
    '7     write(4, "\\1\\0\\0\\0\\177\\377\\t\\n\\v\\f\\r\\"\\\\ \\0019", 15) = 15 <0.000012>',
    "7     umask(022) = 000",
    "7     12:34:56.000001 close(3</tmp/x>(deleted)) = 0",
    "7          0.000123 close(3) = -1 EBADF (Bad file descriptor)",
    "7     <... clone3 resumed> => {parent_tid=[3758]}, 88) = 3758",
    "7     --- stopped by SIGSTOP ---",
    "7     +++ killed by SIGSEGV (core dumped) +++",
    "A  epoll_wait($ep, @edge-24:[{events=EPOLLIN, data={u32=4, u64=4}}, ...], 8, -1) = {1 | -1 EINTR}",
    "#! kernel >= 5.5",
    "# why",
    "",
  ])("%s", (text) => {
    expect(printed(text)).toBe(text);
  });
});
