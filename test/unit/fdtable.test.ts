/** Descriptor tables with numbers far apart. */
import { expect, test } from "vitest";
import { firstChoice } from "../../src/kernel/choice.ts";
import { FdTable } from "../../src/kernel/fs/fdtable.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { ExternalFile } from "../../src/replay/external.ts";

const kernel = new Kernel({ profile: kernelProfile("6.18"), chooser: firstChoice, bootNs: 0, bootEpochNs: 0n });
const file = (): ExternalFile => new ExternalFile(kernel, "file", null, false);

function open(files: FdTable): number[] {
  const found: number[] = [];
  for (let fd = files.nextOpen(0); fd < files.end; fd = files.nextOpen(fd + 1)) found.push(fd);
  return found;
}

test("finds what is open, in ascending order, over holes of any size", () => {
  const files = new FdTable(1 << 20);
  expect(open(files)).toEqual([]);
  for (const fd of [1_048_575, 0, 31, 32, 63, 5000, 1_000_000]) files.replace(fd, file(), fd === 32);
  files.reserve(40);
  expect(open(files)).toEqual([0, 31, 32, 63, 5000, 1_000_000, 1_048_575]);
  files.take(63);
  files.take(1_048_575);
  expect(open(files)).toEqual([0, 31, 32, 5000, 1_000_000]);
  expect(files.lowestFree(31)).toBe(33);
  expect(files.lowestFree(1_000_000)).toBe(1_000_001);
  const copy = files.clone();
  expect(open(copy)).toEqual(open(files));
  expect([31, 32].map((fd) => copy.cloexec(fd))).toEqual([false, true]);
});

test("numbers below a far one are given in order, and fill up", () => {
  const files = new FdTable(1 << 20);
  files.replace(100_000, file(), false);
  for (let fd = 0; fd < 100; fd += 1) expect(files.install(file(), false)).toBe(fd);
  expect(files.install(file(), false, 100_000)).toBe(100_001);
  expect(files.count).toBe(102);
});
