/** Scripts with several machines: their directives, who runs where, and what is wrong with them. */
import { describe, expect, test } from "vitest";
import { lower } from "../../src/trace/lower.ts";
import { parseScript } from "../../src/trace/script.ts";

const HOSTS = "#! host a 10.9.0.1 fd00::1\n#! host b 10.9.0.2/16\n";

function program(text: string): ReturnType<typeof lower>["program"] {
  return lower(parseScript(text, "s")).program;
}

function changes(text: string): unknown[] {
  return program(`${HOSTS}${text}\na  close(3) = ?\n`).steps.flatMap((step) =>
    step.op === "network" ? [step.change] : [],
  );
}

test("machines become hosts of the setup, and tasks of their names the first there", () => {
  const { setup, steps } = program(`${HOSTS}#! thread t b\nt  close(3) = ?\na  close(4) = ?\n`);
  expect(setup.hosts).toEqual([
    {
      name: "a",
      addresses: [
        { bytes: Uint8Array.of(10, 9, 0, 1), prefix: null },
        { bytes: Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), prefix: null },
      ],
    },
    { name: "b", addresses: [{ bytes: Uint8Array.of(10, 9, 0, 2), prefix: 16 }] },
  ]);
  expect(steps).toMatchObject([
    { op: "spawn", task: 2, parent: 1, as: "thread", flags: 0 },
    { op: "call", task: 2 },
    { op: "call", task: 0 },
  ]);
});

test("what lies between them", () => {
  expect(changes("#! link a b delay=1.5ms jitter=20us bandwidth=10mbit loss=2% mtu=9000")).toEqual([
    {
      what: "link",
      from: "a",
      to: "b",
      options: { delayNs: 1_500_000, jitterNs: 20_000, bandwidthBps: 10_000_000, loss: 0.02, mtu: 9000 },
    },
  ]);
  expect(changes("#! link a b\n#! partition a b\n#! heal b -> a\n#! drop a -> b 3")).toEqual([
    { what: "link", from: "a", to: "b", options: {} },
    { what: "partition", from: "a", to: "b", oneWay: false },
    { what: "heal", from: "b", to: "a", oneWay: true },
    { what: "drop", from: "a", to: "b", count: 3 },
  ]);
});

test("such scripts are for the model alone, and no part of them is without order", () => {
  expect(parseScript(HOSTS, "s").modelOnly).toBe("several simulated machines");
  expect(() => parseScript(`${HOSTS}#! par\n`, "s")).toThrow("one machine");
});

describe("errors name place, value and remedy", () => {
  test.each([
    ["#! host a", "s:1:9: found 'a', expected '#! host NAME ADDRESS...'"],
    ["#! host a 10.0.0.256", "s:1:11: found '10.0.0.256', expected an address such as"],
    ["#! host a 127.0.0.1", "expected an address of one machine"],
    ["#! host a 10.0.0.1/33", "found '10.0.0.1/33'"],
    ["#! host 9 10.0.0.1", "found '9' for a name"],
    [`${HOSTS}#! host a 10.9.0.3`, "a second machine 'a'"],
    [`${HOSTS}#! host c 10.9.0.2`, "an address of 'b'"],
    ["#! partition a b", "expected '#! host' lines before it"],
    [`${HOSTS}#! partition a c`, "s:3:16: found the host 'c', expected one of a, b"],
    [`${HOSTS}#! link a a`, "expected two machines"],
    [`${HOSTS}#! link a b delay=10`, "found 'delay=10', expected a time such as 10ms"],
    [`${HOSTS}#! link a b loss=1.5`, "a share such as 0.01 or 1%"],
    [`${HOSTS}#! link a b mtu=10`, "a number from 576 to 65535"],
    [`${HOSTS}#! link a b colour=red`, "delay=, jitter=, bandwidth=, loss= or mtu="],
    [`${HOSTS}#! link a -> b`, "a link has two directions"],
    [`${HOSTS}#! heal a b`, "found no link of a and b, expected '#! link a b' before it"],
    [`${HOSTS}#! drop a b 3`, "'#! drop A -> B COUNT'"],
    [`${HOSTS}close(3) = 0`, "found a line without a task, expected a machine (a, b)"],
    [`${HOSTS}c  close(3) = 0`, "found the task 'c', on no machine"],
  ])("%s", (text, message) => {
    expect(() => lower(parseScript(text, "s"))).toThrow(message);
  });
});
