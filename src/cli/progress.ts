/**
 * Progress on standard error, on a terminal only.
 */
import cliProgress from "cli-progress";
import type { OnRead } from "./input.ts";
import type { Io } from "./io.ts";

/** A bar, or nothing where nobody sees it. */
export interface Progress {
  /** @param done - how many so far. @param note - a few words behind the bar. */
  readonly update: (done: number, note?: string) => void;
  /** Takes the bar away until the next update: something else is to be printed. */
  readonly hide: () => void;
  readonly stop: () => void;
}

/** A file below this size is read in no time. */
const LARGE_FILE_BYTES = 256 * 1024;
const KIB = 1024;
const BAR_COLUMNS = 30;

const SILENT: Progress = { update: () => {}, hide: () => {}, stop: () => {} };

/** Draws a bar for `total` things called `what`; silent when there are few of them. */
export function progress(io: Io, what: string, total: number): Progress {
  if (!io.errIsTerminal || total < 2) return SILENT;
  const bar = new cliProgress.SingleBar(
    {
      format: `${what} {bar} {value}/{total} {note}`,
      barsize: BAR_COLUMNS,
      // nothing that a Ctrl-C would leave behind: no hidden cursor, no terminal that does not wrap
      hideCursor: false,
      linewrap: true,
      clearOnComplete: true,
      stopOnComplete: false,
      fps: 10,
      stream: process.stderr,
    },
    cliProgress.Presets.shades_classic,
  );
  const room = (process.stderr.columns ?? io.columns) - what.length - BAR_COLUMNS - 2 * String(total).length - 4;
  bar.start(total, 0, { note: "" });
  return {
    update: (done, note = "") => bar.update(done, { note: note.slice(-Math.max(room, 1)) }),
    hide: () => void process.stderr.write("\r\u001b[K"),
    stop: () => bar.stop(),
  };
}

/** Files that are gone through one by one. */
export interface FilesProgress {
  /** The next one. @returns what is to be told how far it has been read. */
  readonly begin: (file: string) => OnRead;
  readonly hide: () => void;
  readonly stop: () => void;
}

/** Counts files called `what`; of a single large one it draws how far it has been read. */
export function filesProgress(io: Io, what: string, nrFiles: number): FilesProgress {
  let bar = progress(io, what, nrFiles);
  let begun = 0;
  return {
    begin: (file) => {
      bar.update(begun, file);
      begun += 1;
      return (readBytes, totalBytes) => {
        if (nrFiles > 1 || totalBytes === null || totalBytes < LARGE_FILE_BYTES) return;
        if (bar === SILENT) bar = progress(io, "KiB read", Math.ceil(totalBytes / KIB));
        bar.update(Math.ceil(readBytes / KIB), file);
      };
    },
    hide: () => bar.hide(),
    stop: () => bar.stop(),
  };
}
