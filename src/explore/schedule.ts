/**
 * A schedule: who runs one section after the other in a race, and what is chosen inside it. As text it is short enough for a bug
 * report, and `run --schedule` replays it.
 *
 * `B C B/1 C B *` gives B a section, then C, then B one that ends at its first preemption point, then C and the rest of B; `*`
 * lets the next timer run out, `kworker` is the kernel's own worker. Behind `/` stand the choices of a section, with dots between them; zeros at the end are left
 * out. `end/1` holds the choices behind the race.
 */
import { CLOCK, WORKER } from "../syscalls/race.ts";

/** Stands for what has an order again, behind the race. */
export const END = -2;

/** One section. */
export interface Turn {
  /** Number of the task, `CLOCK`, `WORKER`, or `END`. */
  readonly task: number;
  /** What was chosen inside, in order. */
  readonly choices: readonly number[];
}

/** A schedule that cannot be read, or does not fit its script. */
export class ScheduleError extends Error {
  override readonly name = "ScheduleError";
}

const OTHERS: ReadonlyMap<number, string> = new Map([
  [CLOCK, "*"],
  [WORKER, "kworker"],
]);
const END_NAME = "end/";

/** Whose turn it is. @param names - of the tasks; null for the only one of a script without names. */
export function turnName(task: number, names: readonly (string | null)[]): string {
  return OTHERS.get(task) ?? names[task] ?? "A";
}

/** A schedule as text. @param names - of the tasks; null for the only one of a script without names. */
export function printSchedule(turns: readonly Turn[], names: readonly (string | null)[]): string {
  const words: string[] = [];
  for (const { task, choices } of turns) {
    const used = choices.slice(0, choices.findLastIndex((choice) => choice !== 0) + 1).join(".");
    if (task === END) {
      if (used !== "") words.push(END_NAME + used);
      continue;
    }
    const name = turnName(task, names);
    words.push(used === "" ? name : `${name}/${used}`);
  }
  return words.join(" ");
}

/** Reads a schedule. @throws ScheduleError for a word that is no turn of one of these tasks. */
export function parseSchedule(text: string, names: readonly (string | null)[]): Turn[] {
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  const words = lines.join(" ").split(/\s+/u);
  return words.filter((word) => word !== "").map((word) => parseTurn(word, names));
}

function parseTurn(word: string, names: readonly (string | null)[]): Turn {
  const slash = word.lastIndexOf("/");
  const name = slash < 0 ? word : word.slice(0, slash);
  const list = slash < 0 ? "" : word.slice(slash + 1);
  const known = names.findIndex((other) => (other ?? "A") === name);
  const task = known >= 0 ? known : name === "end" ? END : [...OTHERS].find(([, other]) => other === name)?.[0];
  if (task === undefined) {
    const tasks = names.map((other) => other ?? "A").join(", ");
    throw new ScheduleError(`schedule: '${word}', expected a turn of one of ${tasks}, such as ${names[0] ?? "A"}/1`);
  }
  if (slash >= 0 && !/^\d+(?:\.\d+)*$/u.test(list)) {
    throw new ScheduleError(`schedule: '${word}', expected numbers with dots between them behind the '/'`);
  }
  return { task, choices: list === "" ? [] : list.split(".").map(Number) };
}
