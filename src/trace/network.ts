/**
 * The directives that describe machines and the wires between them.
 *
 * See docs/language.md, "Several machines".
 */
import type { HostSetup, NetworkChange } from "../syscalls/port.ts";
import { parseInet4, parseInet6 } from "./abi/inet.ts";

/** Words of the directives that change the network. */
export const NETWORK_DIRECTIVES: readonly string[] = ["link", "partition", "heal", "drop"];

const TIME_NS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };
const RATE_BPS: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };
const MTU_MIN = 576;
const MTU_MAX = 65_535;

/** What was read, and what would be right. */
export class DirectiveError extends Error {
  readonly found: string;
  readonly expected: string;

  constructor(found: string, expected: string) {
    super(`${found}; expected: ${expected}`);
    this.found = found;
    this.expected = expected;
  }
}

/** `#! host NAME ADDRESS...`. @throws DirectiveError */
export function parseHost(rest: string): HostSetup {
  const [name = "", ...texts] = rest.split(/\s+/u);
  const form = "'#! host NAME ADDRESS...'";
  if (!/^[A-Za-z_][\w.-]*$/u.test(name)) throw new DirectiveError(`'${name}' for a name`, form);
  if (texts.length === 0) throw new DirectiveError(`'${rest}'`, `${form}, such as '#! host a 10.0.0.1'`);
  return { name, addresses: texts.map(parseAddress) };
}

function parseAddress(text: string): HostSetup["addresses"][number] {
  const [address = "", bits] = text.split("/");
  const bytes = parseInet4(address) ?? parseInet6(address);
  const prefix = bits === undefined ? null : Number(bits);
  const fits = prefix === null || (/^\d+$/u.test(bits ?? "") && prefix >= 1 && prefix <= 8 * (bytes?.length ?? 0));
  if (bytes === null || !fits)
    throw new DirectiveError(`'${text}'`, "an address such as 10.0.0.1, 10.0.0.1/16 or fd00::1");
  const any = bytes.every((byte) => byte === 0);
  const loopback = bytes.length === 4 ? bytes[0] === 127 : bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
  const many = bytes.length === 4 ? (bytes[0] as number) >= 224 : bytes[0] === 0xff;
  if (any || loopback || many) throw new DirectiveError(`'${text}'`, "an address of one machine");
  return { bytes, prefix };
}

/** A directive of `NETWORK_DIRECTIVES`. @param hosts - names that the script has. @throws DirectiveError */
export function parseNetworkChange(word: string, rest: string, hosts: readonly string[]): NetworkChange {
  const words = rest.split(/\s+/u).filter((part) => part !== "");
  const oneWay = words[1] === "->";
  const [from = "", to = ""] = oneWay ? [words[0], words[2]] : words;
  const others = words.slice(oneWay ? 3 : 2);
  for (const name of [from, to]) {
    if (!hosts.includes(name)) throw new DirectiveError(`the host '${name}'`, `one of ${hosts.join(", ")}`);
  }
  if (from === to) throw new DirectiveError(`'${from}' twice`, "two machines");
  if (word === "link") {
    if (oneWay) throw new DirectiveError("'->'", "'#! link A B': a link has two directions");
    return { what: "link", from, to, options: Object.assign({}, ...others.map(parseOption)) };
  }
  if (word === "drop") {
    const [count = ""] = others;
    if (!oneWay || others.length !== 1 || !/^\d{1,6}$/u.test(count)) {
      throw new DirectiveError(`'${rest}'`, "'#! drop A -> B COUNT'");
    }
    return { what: "drop", from, to, count: Number(count) };
  }
  if (others.length > 0) throw new DirectiveError(`'${others.join(" ")}'`, "nothing behind the two machines");
  return { what: word === "heal" ? "heal" : "partition", from, to, oneWay };
}

/** `delay=10ms` and the like. */
function parseOption(text: string): (NetworkChange & { what: "link" })["options"] {
  const [, name = "", value = ""] = /^(\w+)=(.+)$/u.exec(text) ?? [];
  switch (name) {
    case "delay":
      return { delayNs: quantity(text, value, TIME_NS, "a time such as 10ms") };
    case "jitter":
      return { jitterNs: quantity(text, value, TIME_NS, "a time such as 2ms") };
    case "bandwidth":
      return { bandwidthBps: quantity(text, value, RATE_BPS, "a rate such as 10mbit") };
    case "loss": {
      const percent = value.endsWith("%");
      const share = Number(percent ? value.slice(0, -1) : value) / (percent ? 100 : 1);
      if (!(share >= 0 && share <= 1)) throw new DirectiveError(`'${text}'`, "a share such as 0.01 or 1%");
      return { loss: share };
    }
    case "mtu": {
      const mtu = Number(value);
      const fits = Number.isInteger(mtu) && mtu >= MTU_MIN && mtu <= MTU_MAX;
      if (!fits) throw new DirectiveError(`'${text}'`, `a number from ${MTU_MIN} to ${MTU_MAX}`);
      return { mtu };
    }
    default:
      throw new DirectiveError(`'${text}'`, "delay=, jitter=, bandwidth=, loss= or mtu=");
  }
}

function quantity(text: string, value: string, units: Readonly<Record<string, number>>, expected: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,9}(?:\.\d{1,9})?)([a-z]+)$/u.exec(value) ?? [];
  const factor = units[unit];
  if (factor === undefined) throw new DirectiveError(`'${text}'`, expected);
  return Math.round(Number(digits) * factor);
}
