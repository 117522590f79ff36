/**
 * A script: its lines with the loops written out, and what its directives ask for.
 *
 * See docs/language.md, "Directives". Loops are expanded as text, so that `{i}` may stand anywhere.
 */
import { Sysctls } from "../kernel/sysctl.ts";
import type { HostSetup } from "../syscalls/port.ts";
import type { DirectiveLine, Line } from "./ast.ts";
import { CLONE_FLAGS_FORM, cloneFlags } from "./clone-flags.ts";
import { ParseError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import { DirectiveError, NETWORK_DIRECTIVES, parseHost, parseNetworkChange } from "./network.ts";
import { LineParser } from "./parser.ts";

/** Most lines that the loops of one script may expand to. */
export const EXPANDED_LINES_MAX = 200_000;

/** A line of the expanded script. */
export interface ScriptLine {
  readonly line: Line;
  /** Its text, loop values filled in. */
  readonly text: string;
  /** Rows of the catalogue that it belongs to. */
  readonly ids: readonly string[];
}

/** `#! kernel >= 6.15`. */
export interface KernelCondition {
  readonly op: ">=" | ">" | "<=" | "<" | "==" | "!=";
  readonly version: string;
}

/** A parsed script. */
export interface Script {
  readonly file: string;
  readonly lines: readonly ScriptLine[];
  /** Every id of the script, in the order of their first mention. */
  readonly ids: readonly string[];
  readonly kernel: readonly KernelCondition[];
  readonly seed: string | null;
  readonly uid: number | null;
  readonly nofile: number | null;
  readonly sysctls: ReadonlyMap<string, string>;
  /** Machines, when there are several. */
  readonly hosts: readonly HostSetup[];
  /** What a real kernel must offer: `root`, `userfaultfd`, `net`. */
  readonly needs: ReadonlySet<string>;
  /** Why the script is not run on a real kernel; null if it is. */
  readonly modelOnly: string | null;
  /** Meant for `epollsim litmus`: it has a part without order, or says `#! litmus`. */
  readonly litmus: boolean;
  /** The part without order; null if there is none. */
  readonly par: ParallelPart | null;
}

/** Lines `from` up to, not with, `to`: between `#! par` and `#! join`, or the end. */
export interface ParallelPart {
  readonly from: number;
  readonly to: number;
}

const BODY_DIRECTIVES = ["id", "fork", "thread", "dump", "par", "join"];
const HEAD_DIRECTIVES = ["host", "kernel", "seed", "uid", "nofile", "sysctl", "needs", "model-only", "litmus", "order"];
const NEEDS = ["root", "userfaultfd", "net"];

/** Reads a script. @throws ParseError for the first thing that is wrong. */
export function parseScript(text: string, file: string): Script {
  return new ScriptReader(file).read(text);
}

/** Whether a kernel fulfils every `#! kernel` line. @param version - such as `6.18` or `6.18.44-distro`. */
export function kernelFits(script: Script, version: string): boolean {
  return script.kernel.every((condition) => fits(compareVersions(version, condition.version), condition.op));
}

/** Negative, 0 or positive, as `a` is older than, as old as or newer than `b`; only the parts that `b` names count. */
export function compareVersions(a: string, b: string): number {
  const left = numbers(a);
  const right = numbers(b);
  for (const [index, part] of right.entries()) {
    const difference = (left[index] ?? 0) - part;
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbers(version: string): number[] {
  return (/^\d+(?:\.\d+)*/u.exec(version)?.[0] ?? "0").split(".").map(Number);
}

function fits(order: number, op: KernelCondition["op"]): boolean {
  switch (op) {
    case ">=":
      return order >= 0;
    case ">":
      return order > 0;
    case "<=":
      return order <= 0;
    case "<":
      return order < 0;
    case "==":
      return order === 0;
    case "!=":
      return order !== 0;
  }
}

interface SourceLine {
  readonly text: string;
  readonly number: number;
}

class ScriptReader {
  readonly #file: string;
  readonly #parser: LineParser;
  readonly #lines: ScriptLine[] = [];
  readonly #allIds = new Set<string>();
  #ids: readonly string[] = [];
  #idsOpen = false;
  #callSeen = false;
  readonly #kernel: KernelCondition[] = [];
  readonly #sysctls = new Map<string, string>();
  readonly #hosts: HostSetup[] = [];
  /** Pairs of machines that a link joins by now. */
  readonly #links = new Set<string>();
  readonly #needs = new Set<string>();
  #seed: string | null = null;
  #uid: number | null = null;
  #nofile: number | null = null;
  #modelOnly: string | null = null;
  #litmus = false;
  /** Where the part without order begins and ends, as indexes into the lines; null if not yet seen. */
  #parFrom: number | null = null;
  #parTo: number | null = null;
  /** How often a loop's lines were written out: empty loops need a bound too. */
  #rounds = 0;

  constructor(file: string) {
    this.#file = file;
    this.#parser = new LineParser({ file });
  }

  read(text: string): Script {
    const source = text.split("\n").map((line, index) => ({ text: line.replace(/\r$/u, ""), number: index + 1 }));
    if (source.at(-1)?.text === "") source.pop();
    this.#expand(source, new Map());
    const from = this.#parFrom;
    return {
      file: this.#file,
      lines: this.#lines,
      ids: [...this.#allIds],
      kernel: this.#kernel,
      seed: this.#seed,
      uid: this.#uid,
      nofile: this.#nofile,
      sysctls: this.#sysctls,
      hosts: this.#hosts,
      needs: this.#needs,
      modelOnly: this.#modelOnly ?? (this.#hosts.length > 0 ? "several simulated machines" : null),
      litmus: this.#litmus || from !== null,
      par: from === null ? null : { from, to: this.#parTo ?? this.#lines.length },
    };
  }

  /** Takes lines with the loop variables of the loops around them. */
  #expand(source: readonly SourceLine[], variables: ReadonlyMap<string, number>): void {
    for (let index = 0; index < source.length; index += 1) {
      const { text: template, number } = source[index]!;
      const text = variables.size === 0 ? template : substitute(template, variables);
      const word = /^\s*#!\s*(\S+)/u.exec(text)?.[1];
      if (word === "end") this.#fail(number, text, "end", "an 'end' without its 'for'", "a '#! for' line before it");
      if (word !== "for") {
        this.#take(text, number);
        continue;
      }
      const end = this.#matchingEnd(source, index);
      this.#loop(text, number, source.slice(index + 1, end), variables);
      index = end;
    }
  }

  #matchingEnd(source: readonly SourceLine[], start: number): number {
    let depth = 0;
    for (let index = start; index < source.length; index += 1) {
      const word = /^\s*#!\s*(for|end)\b/u.exec(source[index]!.text)?.[1];
      if (word === "for") depth += 1;
      else if (word === "end") depth -= 1;
      if (depth === 0) return index;
    }
    const { text, number } = source[start]!;
    return this.#fail(number, text, "for", "a 'for' without its end", "a '#! end' line behind its lines");
  }

  #loop(text: string, number: number, body: readonly SourceLine[], variables: ReadonlyMap<string, number>): void {
    const form = /^\s*#!\s*for\s+([A-Za-z_]\w*)\s+in\s+(-?\d+)\.\.(-?\d+)\s*$/u.exec(text);
    if (form === null) this.#fail(number, text, "for", `'${text.trim()}'`, "'#! for NAME in FIRST..LAST'");
    const [, name, first, last] = form;
    for (let value = Number(first); value <= Number(last); value += 1) {
      this.#rounds += 1;
      if (this.#rounds > EXPANDED_LINES_MAX) this.#tooLong(number, text);
      this.#expand(body, new Map(variables).set(name!, value));
    }
  }

  #take(text: string, number: number): void {
    if (this.#lines.length >= EXPANDED_LINES_MAX) this.#tooLong(number, text);
    const line = this.#parser.parse(text, number);
    if (line.type === "directive") this.#directive(line, text);
    else if (line.type === "call" || line.type === "resumed") {
      this.#callSeen = true;
      this.#idsOpen = false;
    }
    this.#lines.push({ line, text, ids: this.#ids });
  }

  #tooLong(number: number, text: string): never {
    const most = `at most ${EXPANDED_LINES_MAX} lines and loop rounds in all`;
    return this.#fail(number, text, "", "a script that grows too long", most);
  }

  #directive(line: DirectiveLine, text: string): void {
    const { word, rest } = line;
    if (HEAD_DIRECTIVES.includes(word)) {
      if (this.#callSeen)
        this.#fail(line.line, text, word, `'${word}' behind a call`, "its place before the first call");
      this.#head(line, text);
    } else if (word === "id") this.#id(line, text);
    else if (word === "fork" || word === "thread") {
      const [, parent, flags, ...others] = rest.split(/\s+/u);
      if (parent === undefined || others.length > 0 || (flags !== undefined && word === "thread"))
        this.#fail(line.line, text, word, `'${rest}'`, `'#! ${word} NEW PARENT'`);
      if (flags !== undefined && cloneFlags(flags) === null)
        this.#fail(line.line, text, flags, `'${flags}'`, CLONE_FLAGS_FORM);
    } else if (word === "par" || word === "join") this.#part(line, text);
    else if (NETWORK_DIRECTIVES.includes(word)) this.#network(line, text);
    else if (word === "dump") {
      if (!/^(?:\d+|\$\w+)?$/u.test(rest)) this.#fail(line.line, text, word, `'${rest}'`, "'#! dump' or '#! dump FD'");
    } else {
      const known = [...BODY_DIRECTIVES, ...NETWORK_DIRECTIVES, ...HEAD_DIRECTIVES, "for", "end"];
      const near = nearest(word, known);
      this.#fail(line.line, text, word, `the unknown directive '${word}'`, near ?? `one of ${known.join(", ")}`);
    }
  }

  #network({ word, rest, line }: DirectiveLine, text: string): void {
    if (this.#hosts.length === 0)
      this.#fail(line, text, word, `'${word}' without machines`, "'#! host' lines before it");
    const names = this.#hosts.map(({ name }) => name);
    const { what, from, to } = this.#directiveErrors(line, text, () => parseNetworkChange(word, rest, names));
    if (what === "link") this.#links.add(`${from} ${to}`).add(`${to} ${from}`);
    else if (!this.#links.has(`${from} ${to}`)) {
      this.#fail(line, text, from, `no link of ${from} and ${to}`, `'#! link ${from} ${to}' before it`);
    }
  }

  #host({ rest, line }: DirectiveLine, text: string): void {
    const host = this.#directiveErrors(line, text, () => parseHost(rest));
    if (this.#hosts.some(({ name }) => name === host.name)) {
      this.#fail(line, text, host.name, `a second machine '${host.name}'`, "another name");
    }
    for (const { bytes } of host.addresses) {
      const owner = this.#hosts.find(({ addresses }) => addresses.some((other) => other.bytes.join() === bytes.join()));
      if (owner !== undefined) this.#fail(line, text, "", `an address of '${owner.name}'`, "one that is free");
    }
    this.#hosts.push(host);
  }

  #directiveErrors<T>(line: number, text: string, parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof DirectiveError)) throw error;
      const at = /'([^']+)'/u.exec(error.found)?.[1] ?? "";
      return this.#fail(line, text, at, error.found, error.expected);
    }
  }

  /** `#! par` and `#! join`: each once, in this order. */
  #part({ word, line }: DirectiveLine, text: string): void {
    const at = this.#lines.length;
    if (word === "par") {
      if (this.#parFrom !== null) this.#fail(line, text, word, "a second 'par'", "one in a script");
      if (this.#hosts.length > 0) this.#fail(line, text, word, "a part without order", "one machine for that");
      this.#parFrom = at + 1;
    } else if (this.#parFrom === null) {
      this.#fail(line, text, word, "a 'join' without its 'par'", "a '#! par' line before it");
    } else if (this.#parTo !== null) {
      this.#fail(line, text, word, "a second 'join'", "one in a script");
    } else this.#parTo = at;
  }

  /** Ids that stand together belong together; one behind a call begins anew. */
  #id(line: DirectiveLine, text: string): void {
    const ids = line.rest.split(/[\s,]+/u).filter((id) => id !== "");
    if (ids.length === 0) this.#fail(line.line, text, "id", "no id", "'#! id E-061'");
    this.#ids = this.#idsOpen ? [...this.#ids, ...ids] : ids;
    this.#idsOpen = true;
    for (const id of ids) this.#allIds.add(id);
  }

  #head(line: DirectiveLine, text: string): void {
    const { word, rest } = line;
    switch (word) {
      case "host":
        this.#host(line, text);
        return;
      case "kernel":
        this.#kernel.push(this.#condition(line, text));
        return;
      case "seed":
        this.#seed = rest === "" ? this.#fail(line.line, text, word, "no seed", "'#! seed 7'") : rest;
        return;
      case "uid":
        this.#uid = this.#number(line, text);
        return;
      case "nofile":
        this.#nofile = this.#number(line, text);
        return;
      case "sysctl": {
        const [, name, value] = /^([\w.]+)\s*=\s*(.+)$/u.exec(rest) ?? [];
        if (name === undefined || value === undefined) {
          this.#fail(line.line, text, word, `'${rest}'`, "'#! sysctl NAME=VALUE'");
        }
        const { values } = new Sysctls();
        if (!values.has(name)) {
          this.#fail(line.line, text, name, `the unknown sysctl '${name}'`, `one of ${[...values.keys()].join(", ")}`);
        }
        if (!/^\d{1,15}$/u.test(value))
          this.#fail(line.line, text, value, `'${value}'`, "a whole number of at least 0");
        this.#sysctls.set(name, value);
        return;
      }
      case "needs":
        for (const need of rest.split(/[\s,]+/u)) {
          if (!NEEDS.includes(need)) this.#fail(line.line, text, need, `'${need}'`, `one of ${NEEDS.join(", ")}`);
          this.#needs.add(need);
        }
        return;
      case "model-only":
        this.#modelOnly = rest === "" ? this.#fail(line.line, text, word, "no reason", "'#! model-only REASON'") : rest;
        return;
      case "order":
        // A script's calls take effect in their order in any case.
        if (rest !== "exact") this.#fail(line.line, text, rest, `'${rest}'`, "'#! order exact'");
        return;
      default:
        this.#litmus = true;
    }
  }

  #condition(line: DirectiveLine, text: string): KernelCondition {
    const [, op, version] = /^(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)$/u.exec(line.rest) ?? [];
    if (op === undefined || version === undefined) {
      this.#fail(line.line, text, "kernel", `'${line.rest}'`, "'#! kernel >= 6.15'");
    }
    return { op: op as KernelCondition["op"], version };
  }

  #number(line: DirectiveLine, text: string): number {
    if (!/^\d{1,9}$/u.test(line.rest)) {
      this.#fail(line.line, text, line.word, `'${line.rest}'`, `'#! ${line.word} NUMBER'`);
    }
    return Number(line.rest);
  }

  #fail(line: number, text: string, at: string, found: string, expected: string): never {
    throw new ParseError(this.#file, line, Math.max(0, text.indexOf(at)) + 1, found, expected);
  }
}

/** Replaces `{i}`, `{i+1}`, `{2*i-1}` by their value. Braces that hold anything else stay. */
function substitute(template: string, variables: ReadonlyMap<string, number>): string {
  return template.replace(/\{([\w\s+*-]+)\}/gu, (whole, sum: string) => {
    const value = evaluateSum(sum, variables);
    return value === null ? whole : String(value);
  });
}

/** A sum of products of numbers and loop variables; null when it is none, or names no variable. */
function evaluateSum(sum: string, variables: ReadonlyMap<string, number>): number | null {
  if (!/[A-Za-z_]/u.test(sum)) return null;
  let total = 0;
  const signed = sum.trimStart().startsWith("-") ? sum : `+${sum}`;
  for (const [, sign, product] of signed.matchAll(/([+-])\s*([^+-]*)/gu)) {
    let value = 1;
    for (const factor of product!.split("*")) {
      const word = factor.trim();
      const known = /^\d+$/u.test(word) ? Number(word) : variables.get(word);
      if (known === undefined) return null;
      value *= known;
    }
    total += sign === "-" ? -value : value;
  }
  return total;
}
