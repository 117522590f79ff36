/**
 * Makes a failing script small: first fewer lines, then simpler ones.
 *
 * Lines refer to each other by `$names`, so leaving out a line never changes what another one means; with the line that binds
 * a name go all that use it. The search is delta debugging (Zeller, Hildebrandt 2002) over lines, repeated until no single
 * line can go.
 */

/** Whether a script still fails. */
export type StillFails = (text: string) => Promise<boolean>;

/** A line with the names that it binds and uses. */
interface Part {
  readonly text: string;
  readonly binds: readonly string[];
  readonly uses: readonly string[];
}

/** A second name for a descriptor. */
const ALIAS = /^dup2?\(\$(\w+)[,)].* = \$(\w+)$/;
const RESULT_NAME = / = \$(\w+)\s*$/;
/** The array of a new pair of descriptors. */
const PAIR = /^(?:\w+\s+)?(?:pipe2?|socketpair)\(.*?\[\$(\w+), \$(\w+)\]/;
/** A descriptor that arrives with a message. */
const RECEIVED = /^(?:\w+\s+)?recvmsg\(.*cmsg_data=\[\$(\w+)\]/;
/** One half of a call that sleeps: the second cannot be without the first. */
const HALF = /^(\w+)\s+(<\.\.\.|.*<unfinished \.\.\.>)/;
/** In front of a task: what its first half binds and its second half uses. */
const CALL_OF = "call of ";
const NAME = /\$(\w+)/g;

/**
 * Shrinks a script that fails.
 *
 * @param text - its lines; comments and blank lines are left out.
 */
export async function shrinkScript(text: string, stillFails: StillFails): Promise<string> {
  let parts = parse(text);
  parts = await fewerLines(parts, stillFails);
  parts = await fewerNames(parts, stillFails);
  parts = await simplerLines(parts, stillFails);
  parts = await fewerLines(parts, stillFails);
  return renameNames(print(parts));
}

/** A script without some lines, counted from 1, and without those that cannot be without them. */
export function dropLines(text: string, lines: ReadonlySet<number>): string {
  const parts = text.split("\n").map((line, index) => (lines.has(index + 1) ? parsePart("") : parsePart(line)));
  return print(without(parts, 0, 0));
}

/** A sleep is part of the line before it: without it, what that line sets off would be a matter of chance. */
const SLEEP = /^nanosleep\(/;

function parse(text: string): Part[] {
  const blocks: string[] = [];
  for (const line of text.split("\n")) {
    if (line.trim() === "" || (line.startsWith("#") && !line.startsWith("#!"))) continue;
    const before = blocks.at(-1);
    if (before !== undefined && SLEEP.test(line)) blocks[blocks.length - 1] = `${before}\n${line}`;
    else blocks.push(line);
  }
  return blocks.map(parsePart);
}

function parsePart(text: string): Part {
  const named = [RESULT_NAME.exec(text)?.[1], ...(PAIR.exec(text) ?? RECEIVED.exec(text) ?? []).slice(1)];
  const binds = named.filter((name) => name !== undefined);
  const uses = [...text.matchAll(NAME)].map(([, name]) => name as string).filter((name) => !binds.includes(name));
  const [, task, half] = HALF.exec(text) ?? [];
  if (half !== undefined) (half === "<..." ? uses : binds).push(CALL_OF + task);
  return { text, binds, uses };
}

function print(parts: readonly Part[]): string {
  return parts.map(({ text }) => `${text}\n`).join("");
}

/** `parts` without some, without those that would use an unbound name, and without calls that would never be resumed. */
function without(parts: readonly Part[], from: number, to: number): Part[] {
  const bound = new Set<string>();
  const resumed = new Set<string>();
  const kept: Part[] = [];
  for (const [index, part] of parts.entries()) {
    if ((index >= from && index < to) || part.uses.some((name) => !bound.has(name))) continue;
    for (const name of part.binds) bound.add(name);
    for (const name of part.uses) resumed.add(name);
    kept.push(part);
  }
  return kept.filter(({ binds }) => binds.every((name) => !name.startsWith(CALL_OF) || resumed.has(name)));
}

async function fewerLines(all: readonly Part[], stillFails: StillFails): Promise<Part[]> {
  let parts = [...all];
  for (let chunk = Math.ceil(parts.length / 2); chunk >= 1; ) {
    const shorter = await dropOne(parts, chunk, stillFails);
    if (shorter !== null) parts = shorter;
    else if (chunk === 1) break;
    else chunk = Math.ceil(chunk / 2);
    chunk = Math.min(chunk, Math.max(1, parts.length));
  }
  return parts;
}

/** The first way to leave out `chunk` lines in a row, from the end, since later lines hang on earlier ones. */
async function dropOne(parts: readonly Part[], chunk: number, stillFails: StillFails): Promise<Part[] | null> {
  for (let to = parts.length; to > 0; to -= chunk) {
    const candidate = without(parts, Math.max(0, to - chunk), to);
    if (candidate.length < parts.length && (await stillFails(print(candidate)))) return candidate;
  }
  return null;
}

/** Uses the first name of a descriptor instead of a second one. */
async function fewerNames(all: readonly Part[], stillFails: StillFails): Promise<Part[]> {
  let parts = [...all];
  for (let index = 0; index < parts.length; index += 1) {
    const [, name, alias] = ALIAS.exec((parts[index] as Part).text) ?? [];
    if (name === undefined || alias === undefined) continue;
    const pattern = new RegExp(`\\$${alias}\\b`, "g");
    const candidate = parts.toSpliced(index, 1).map(({ text }) => parsePart(text.replace(pattern, `$$${name}`)));
    if (!(await stillFails(print(candidate)))) continue;
    parts = candidate;
    index -= 1;
  }
  return parts;
}

async function simplerLines(all: readonly Part[], stillFails: StillFails): Promise<Part[]> {
  let parts = [...all];
  for (let index = 0; index < parts.length; index += 1) {
    for (let improved = true; improved; ) {
      improved = false;
      for (const text of simpler((parts[index] as Part).text)) {
        const candidate = parts.with(index, parsePart(text));
        if (!(await stillFails(print(candidate)))) continue;
        parts = candidate;
        improved = true;
        break;
      }
    }
  }
  return parts;
}

/** Simpler forms of one line, the boldest first. Each is strictly simpler, so that the search ends. */
function* simpler(line: string): Generator<string, void, undefined> {
  yield* plainerWait(line);
  const flags = /(events=|\(\d+, |\(|, )([A-Z][A-Z_0-9]+(?:\|[A-Z][A-Z_0-9]+)+)/.exec(line);
  if (flags !== null) {
    const [whole, before = "", list = ""] = flags;
    const words = list.split("|");
    for (const word of words) {
      const rest = words.filter((other) => other !== word).join("|");
      yield line.replace(whole, before + rest);
    }
  }
  const single = /events=(0|EPOLL[A-Z]+),/.exec(line);
  if (single !== null && single[1] !== "EPOLLIN") yield line.replace(single[0], "events=EPOLLIN,");
  yield* smallerNumbers(line);
}

function* plainerWait(line: string): Generator<string, void, undefined> {
  const wait = /epoll_pwait2?\((\$\w+), ([^,]+), (\d+), .*\) =/.exec(line);
  if (wait !== null) yield line.replace(wait[0], `epoll_wait(${wait[1]}, ${wait[2]}, ${wait[3]}, 0) =`);
}

const NUMBERS: readonly (readonly [RegExp, (size: number) => readonly number[]])[] = [
  // how much is transferred
  [/^((?:read|write)\(\$\w+, (?:\?|0x[0-9a-f]+), )(\d+)(\).*)$/, (size) => [1, 4096, 65536, Math.floor(size / 2)]],
  // how many events fit
  [/^(epoll_wait\(\$\w+, \?, )(\d+)(,.*)$/, () => [1, 2]],
  // what an eventfd counts at first
  [/^(eventfd2\()(\d+)(,.*)$/, () => [0, 1]],
];

function* smallerNumbers(line: string): Generator<string, void, undefined> {
  for (const [pattern, smaller] of NUMBERS) {
    const match = pattern.exec(line);
    if (match === null) continue;
    const [, before, number, after] = match;
    const size = Number(number);
    for (const value of smaller(size)) if (value < size) yield `${before}${value}${after}`;
  }
}

/** Names by the order of their appearance: `$ev7` becomes `$ev1`. */
function renameNames(text: string): string {
  const names = new Map<string, string>();
  const counts = new Map<string, number>();
  return text.replace(NAME, (_whole, name: string) => {
    let renamed = names.get(name);
    if (renamed === undefined) {
      const prefix = name.replace(/\d+$/, "");
      const count = (counts.get(prefix) ?? 0) + 1;
      counts.set(prefix, count);
      renamed = `${prefix}${count}`;
      names.set(name, renamed);
    }
    return `$${renamed}`;
  });
}
