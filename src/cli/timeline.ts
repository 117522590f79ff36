/**
 * A run as a timeline: each call as strace would print it, below it what changed inside the kernel.
 */
import { drawEventpoll } from "../export/draw-eventpoll.ts";
import type { EventpollPicture } from "../export/picture.ts";
import type { Story, StoryLine } from "../export/story.ts";
import type { Line } from "../trace/ast.ts";
import { printLine } from "../trace/printer.ts";
import { changeText } from "./change-text.ts";
import type { Style } from "./style.ts";

/** What to print. */
export interface TimelineOptions {
  readonly style: Style;
  /** Columns of the terminal. */
  readonly columns: number;
  /** Nothing but the calls that are not as expected. */
  readonly quiet: boolean;
  /** Pictures at `#! dump` lines and at the end. */
  readonly dump: boolean;
}

const INDENT = "    ";
const WIDTH_MIN = 40;
/** Room that the results want behind the `=`. */
const RESULT_ROOM = 16;

/** The timeline of one script, line by line, without line feeds. */
export function* timeline(story: Story, options: TimelineOptions): Generator<string, void, undefined> {
  const { style, quiet } = options;
  const printer = new LinePrinter(story.lines, options);
  for (const entry of story.lines) {
    if (quiet && entry.divergences.length === 0) continue;
    yield printer.print(entry.line);
    if (!quiet) for (const change of entry.changes) yield INDENT + changeText(change, style);
    for (const divergence of entry.divergences) yield INDENT + divergenceText(divergence, style);
    if (options.dump && entry.dump !== null) yield* dumpLines(entry.dump, style);
  }
  if (story.end !== "done") yield style.bad(`${story.end === "timeout" ? "stuck" : story.end}: ${story.reason}`);
  if (options.dump && story.atEnd.length > 0) {
    yield style.dim("# at the end");
    yield* dumpLines(story.atEnd, style);
  }
}

function divergenceText(divergence: StoryLine["divergences"][number], style: Style): string {
  const { field, expected, actual } = divergence;
  const what = field === "result" || field === "blocked" ? "" : ` for ${field}`;
  return `${style.bad("!! not as expected")}${what}: ${style.good(expected)} expected, ${style.bad(actual)} here`;
}

function* dumpLines(pictures: readonly EventpollPicture[], style: Style): Generator<string, void, undefined> {
  const paint = { red: style.red, black: style.strong, dim: style.dim, strong: style.strong };
  if (pictures.length === 0) yield INDENT + style.dim("no epoll");
  for (const picture of pictures) for (const line of drawEventpoll(picture, paint)) yield INDENT + line;
}

/** Prints lines with their results in one column, coloured. */
class LinePrinter {
  readonly #style: Style;
  readonly #width: number;
  readonly #tasks: readonly string[];

  constructor(lines: readonly StoryLine[], { style, columns }: TimelineOptions) {
    this.#style = style;
    this.#tasks = [...new Set(lines.flatMap(({ line }) => (line.task === null ? [] : [line.task])))];
    let longest = WIDTH_MIN;
    const most = Math.max(WIDTH_MIN, columns - RESULT_ROOM);
    for (const { line } of lines) {
      if (line.type !== "call" && line.type !== "resumed") continue;
      const head = printLine({ ...line, result: null }).length;
      if (head < most) longest = Math.max(longest, head + 1);
    }
    this.#width = longest;
  }

  print(line: Line): string {
    const text = printLine(line, { width: this.#width });
    const { style } = { style: this.#style };
    if (!style.colored || text === "") return text;
    if (line.type === "comment" || line.type === "directive") return style.dim(text);
    if (line.type !== "call" && line.type !== "resumed") return text;
    return this.#paint(line.task, line.name, text, (line.result?.errnos[0] ?? null) !== null);
  }

  #paint(task: string | null, name: string, text: string, failed: boolean): string {
    const style = this.#style;
    let rest = text;
    let painted = "";
    if (task !== null && rest.startsWith(task)) {
      painted = style.task(task, this.#tasks.indexOf(task));
      rest = rest.slice(task.length);
    }
    const result = / = [^=]*$/.exec(rest);
    const head = result === null ? rest : rest.slice(0, result.index);
    const tail = result === null ? "" : rest.slice(result.index);
    return painted + head.replace(name, style.call(name)) + (failed ? style.bad(tail) : style.good(tail));
  }
}
