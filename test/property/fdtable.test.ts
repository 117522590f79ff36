import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { firstChoice } from "../../src/kernel/choice.ts";
import { FdTable } from "../../src/kernel/fs/fdtable.ts";
import type { File } from "../../src/kernel/fs/file.ts";
import { NullFile } from "../../src/kernel/fs/mem.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { Errno } from "../../src/kernel/uapi/errno.ts";

const kernel = new Kernel({ profile: kernelProfile("6.18"), chooser: firstChoice, bootNs: 0, bootEpochNs: 0n });
const file = (): File => new NullFile(kernel, 2);

describe("F-01: the lowest free number", () => {
  test("agrees with a scan from 0, for installs, closes, dup2 and F_DUPFD", () => {
    const command = fc.oneof(
      fc.record({ op: fc.constant("install" as const), fd: fc.constant(0) }),
      fc.record({ op: fc.constantFrom("take" as const, "replace" as const, "from" as const), fd: fc.nat(200) }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
        const table = new FdTable(150);
        const naive = new Set<number>();
        const lowest = (from: number): number => {
          let fd = from;
          while (naive.has(fd)) fd += 1;
          return fd;
        };
        for (const { op, fd } of commands) {
          if (op === "take") {
            expect(table.take(fd) !== null).toBe(naive.delete(fd));
          } else if (op === "replace") {
            expect(table.replace(fd, file(), false) !== null).toBe(naive.has(fd));
            naive.add(fd);
          } else {
            const want = lowest(op === "from" ? fd : 0);
            const got = table.install(file(), false, op === "from" ? fd : 0);
            expect(got).toBe(want < 150 ? want : -Errno.EMFILE);
            if (got >= 0) naive.add(got);
          }
          expect(table.count).toBe(naive.size);
        }
      }),
      { seed: 2, numRuns: 200 },
    );
  });

  test("stays right across the words of every level", () => {
    const table = new FdTable(1 << 20);
    const one = file();
    for (let fd = 0; fd < 40_000; fd += 1) expect(table.install(one, false)).toBe(fd);
    for (const fd of [39_999, 32_768, 1024, 1023, 32, 31, 0]) {
      table.take(fd);
      expect(table.lowestFree()).toBe(fd);
    }
    expect(table.lowestFree(33)).toBe(1023);
    expect(table.lowestFree(1025)).toBe(32_768);
    expect(table.lowestFree(50_000)).toBe(50_000);
  });
});
