/**
 * Progress on standard error, on a terminal only.
 */
import cliProgress from "cli-progress";
import type { Io } from "./io.ts";

/** A bar, or nothing where nobody sees it. */
export interface Progress {
  /** @param done - how many so far. @param note - a few words behind the bar. */
  readonly update: (done: number, note?: string) => void;
  readonly stop: () => void;
}

const SILENT: Progress = { update: () => {}, stop: () => {} };

/** Draws a bar for `total` things called `what`; silent when there are few of them. */
export function progress(io: Io, what: string, total: number): Progress {
  if (!io.errIsTerminal || total < 2) return SILENT;
  const bar = new cliProgress.SingleBar(
    {
      format: `${what} {bar} {value}/{total} {note}`,
      barsize: 30,
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: false,
      fps: 10,
      stream: process.stderr,
    },
    cliProgress.Presets.shades_classic,
  );
  const showCursor = (): void => void process.stderr.write("\u001b[?25h");
  process.once("exit", showCursor);
  bar.start(total, 0, { note: "" });
  return {
    update: (done, note = "") => bar.update(done, { note }),
    stop: () => {
      process.off("exit", showCursor);
      bar.stop();
    },
  };
}
