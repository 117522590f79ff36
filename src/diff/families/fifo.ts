/**
 * FIFOs: what a pipe does, and opening one side or both by name.
 */
import fc from "fast-check";
import type { Draft } from "../command.ts";
import type { Kind, KnownState } from "../known-state.ts";
import { everyFile } from "./every-file.ts";
import { type Family, install, on, opens } from "./family.ts";
import { pipeCommands } from "./pipe.ts";

const PATHS = ["fifo1", "fifo2"];
/** Access modes and the kind of descriptor that they give. */
const MODES: readonly (readonly [string, Kind])[] = [
  ["O_RDONLY", "fifo read"],
  ["O_WRONLY", "fifo write"],
  ["O_RDWR", "fifo both"],
];
const READ: readonly Kind[] = ["fifo read", "fifo both"];
const WRITE: readonly Kind[] = ["fifo write", "fifo both"];

function open(known: KnownState, draft: Draft, path: string, [access, kind]: readonly [string, Kind]): void {
  const { name } = install(known, "f", kind);
  draft.add(`open("${path}", ${access}|O_NONBLOCK) = $${name}`);
}

/** FIFOs. */
export const fifo: Family = {
  name: "fifo",
  open: (known, draft, variant) => {
    for (const path of PATHS) draft.add(`mknod("${path}", S_IFIFO|0600) = ?`);
    open(known, draft, "fifo1", MODES[variant % 2 === 0 ? 0 : 2]!);
  },
  commands: [
    ...everyFile,
    [
      6,
      opens(
        "open a FIFO",
        fc.tuple(fc.constantFrom("fifo1", "fifo1", "fifo2"), fc.constantFrom(0, 0, 1, 1, 2)),
        ([path, mode], draft, known) => open(known, draft, path, MODES[mode]!),
      ),
    ],
    [
      2,
      on(
        [...READ, ...WRITE],
        "open again by proc",
        fc.constantFrom(...MODES.slice(0, 1)),
        ({ fd }, [access, kind], draft, known) => {
          if (known.open.size > 10) return;
          const again = install(known, "f", kind);
          draft.add(`open("/proc/self/fd/${fd}", ${access}|O_NONBLOCK) = $${again.name}`);
        },
      ),
    ],
    [1, opens("unlink", fc.constantFrom(...PATHS), (path, draft) => draft.add(`unlink("${path}") = ?`))],
    [1, opens("mknod", fc.constantFrom(...PATHS), (path, draft) => draft.add(`mknod("${path}", S_IFIFO|0600) = ?`))],
    ...pipeCommands(READ, WRITE),
  ],
};
