/** Blocks of memory: bytes, decoded and encoded again, are the same bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { array } from "../../src/trace/abi/blocks.ts";
import type { BlockType } from "../../src/trace/abi/context.ts";
import { epollEvent } from "../../src/trace/abi/epoll.ts";
import { decodeEvents } from "../../src/trace/abi/evaluate.ts";
import { Image } from "../../src/trace/abi/image.ts";
import { parseInet6, printInet6 } from "../../src/trace/abi/inet.ts";
import { ucred } from "../../src/trace/abi/msghdr.ts";
import { sockaddr } from "../../src/trace/abi/sockaddr.ts";
import { itimerspec, sigset, timespec, timeval } from "../../src/trace/abi/time.ts";
import type { CallLine, Expr } from "../../src/trace/ast.ts";
import { matches } from "../../src/trace/compare.ts";
import { parseLine } from "../../src/trace/parser.ts";
import { printExpr } from "../../src/trace/printer.ts";
import { blockDecoder, blockEncoder } from "../helpers/abi-memory.ts";

const events = array(epollEvent, 12, 3);

const BLOCKS: readonly (readonly [string, BlockType, number])[] = [
  ["epoll_event[3]", events, 36],
  ["timespec", timespec, 16],
  ["timeval", timeval, 16],
  ["itimerspec", itimerspec, 32],
  ["sigset", sigset, 8],
  ["ucred", ucred, 12],
];

function encode(block: BlockType, expr: Expr, size: number): Uint8Array {
  const image = new Image(size);
  block.encode(expr, image, 0, blockEncoder());
  return image.bytes;
}

/** What a reader of the printed text sees. */
function reparse(expr: Expr): Expr {
  return (parseLine(`f(${printExpr(expr)}) = 0`, 1) as CallLine).args[0]!;
}

describe.each(BLOCKS)("%s", (_name, block, size) => {
  test("decode, print, parse, encode", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size }), (bytes) => {
        const expr = block.decode(bytes, blockDecoder());
        const read = reparse(expr);
        expect(encode(block, read, size)).toEqual(bytes);
        expect(matches(read, expr)).toBe(true);
      }),
    );
  });

  test("a changed byte is a changed value", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: size, maxLength: size }),
        fc.nat({ max: size - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (bytes, at, difference) => {
          const other = bytes.slice();
          other[at] = (other[at]! + difference) & 0xff;
          expect(matches(block.decode(bytes, blockDecoder()), block.decode(other, blockDecoder()))).toBe(false);
        },
      ),
    );
  });
});

test("events are read from text without going through bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 36, maxLength: 36 }), (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const expected = [0, 12, 24].map((at) => ({
        events: view.getUint32(at, true),
        data: view.getBigUint64(at + 4, true),
      }));
      expect(decodeEvents(reparse(events.decode(bytes, blockDecoder())))).toEqual(expected);
    }),
  );
});

/** Families with their lengths: whole addresses, and bytes that are no address. */
const addressBytes = fc
  .tuple(
    fc.constantFrom([1, 20], [1, 2], [2, 16], [10, 28], [16, 12], [0, 16], [5, 9]),
    fc.uint8Array({ minLength: 28, maxLength: 28 }),
  )
  .map(([[family = 0, length = 0], random]) => {
    const bytes = Uint8Array.from([family, 0, ...random]).slice(0, length);
    // padding that no text shows
    if (family === 2) bytes.fill(0, 8);
    if (family === 16) bytes.fill(0, 2, 4);
    return bytes;
  });

test("socket addresses", () => {
  fc.assert(
    fc.property(addressBytes, (bytes) => {
      const block = sockaddr(
        () => bytes.length,
        () => bytes.length,
      );
      const expr = block.decode(bytes, blockDecoder());
      const again = encode(block, reparse(expr), Math.max(bytes.length, 28)).slice(0, bytes.length);
      const isPath = bytes[0] === 1 && bytes[2] !== 0 && bytes.length > 2;
      const end = isPath ? bytes.indexOf(0, 2) : -1;
      // behind the NUL of a path anything may stand
      expect(again.slice(0, end < 0 ? undefined : end)).toEqual(bytes.slice(0, end < 0 ? undefined : end));
    }),
  );
});

test("IPv6 addresses as text", () => {
  const zeros = fc.array(fc.constantFrom(0, 0, 0, 1, 0xff, 0xff), { minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(zeros, (numbers) => {
      const bytes = Uint8Array.from(numbers);
      expect(parseInet6(printInet6(bytes))).toEqual(bytes);
    }),
  );
  expect(printInet6(parseInet6("::ffff:10.0.0.1")!)).toBe("::ffff:10.0.0.1");
  expect(printInet6(parseInet6("2001:db8:0:0:1:0:0:1")!)).toBe("2001:db8::1:0:0:1");
  for (const wrong of ["", "1", ":::", "1::2::3", "12345::", "::1.2.3", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8"]) {
    expect(parseInet6(wrong) === null || wrong === "").toBe(true);
  }
});
