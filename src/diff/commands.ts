/**
 * What a generated script may do next: fast-check commands over `KnownState`, each of which writes lines of script.
 *
 * Parameters are plain numbers that pick among what is there, so the same command makes sense in any state; `check` refuses
 * it where nothing fits. Everything is non-blocking, save that up to two tasks may sleep in epoll_wait until something, and
 * in the end the script itself, wakes them.
 */
import fc from "fast-check";
import type { ScriptCommand } from "./command.ts";
import { epollCommands } from "./epoll-commands.ts";
import { fileCommands } from "./file-commands.ts";

/** Any command, the useful ones more often. */
export const anyCommand: fc.Arbitrary<ScriptCommand> = fc.oneof(
  ...[...fileCommands, ...epollCommands].map(([weight, arbitrary]) => ({ weight, arbitrary })),
);
