/**
 * Colours by meaning.
 */
import pc from "picocolors";

type Painter = (text: string) => string;

/** One painter a meaning; without colours each returns its text. */
export interface Style {
  readonly colored: boolean;
  /** Headings and names. */
  readonly strong: Painter;
  /** What a reader may skip. */
  readonly dim: Painter;
  readonly good: Painter;
  readonly bad: Painter;
  readonly warn: Painter;
  /** Names of calls. */
  readonly call: Painter;
  /** Words of the kernel: list names, event masks. */
  readonly kernel: Painter;
  /** A red node of the tree. */
  readonly red: Painter;
  /** A task, by its index: neighbours differ. */
  readonly task: (text: string, index: number) => string;
}

/** @param colored - whether to paint at all. */
export function style(colored: boolean): Style {
  const c = pc.createColors(colored);
  const tasks = [c.cyan, c.magenta, c.yellow, c.green, c.blue];
  return {
    colored,
    strong: c.bold,
    dim: c.dim,
    good: c.green,
    bad: c.red,
    warn: c.yellow,
    call: c.bold,
    kernel: c.cyan,
    red: c.red,
    task: (text, index) => (tasks[index % tasks.length] ?? c.cyan)(text),
  };
}
