/**
 * Event counters: both modes, overflow, wrong lengths.
 */
import fc from "fast-check";
import type { Draft } from "../command.ts";
import type { Kind, KnownState } from "../known-state.ts";
import { everyFile } from "./every-file.ts";
import { type Family, install, on, opens } from "./family.ts";

const KIND: readonly Kind[] = ["eventfd"];
const ALL = "\\377";

/** Eight bytes, the least significant first. */
const VALUES = [
  ...[0, 1, 1, 2, 3].map((value) => `\\${value}${"\\0".repeat(7)}`),
  `\\376${ALL.repeat(7)}`,
  `\\375${ALL.repeat(7)}`,
  ALL.repeat(8),
  `${"\\0".repeat(7)}\\200`,
];

function open(known: KnownState, draft: Draft, count: number, flags: string): void {
  const { name } = install(known, "ev", "eventfd");
  draft.add(`eventfd2(${count}, ${flags}EFD_NONBLOCK) = $${name}`);
}

/** Event counters. */
export const eventfd: Family = {
  name: "eventfd",
  open: (known, draft, variant) => {
    open(known, draft, variant % 2, "");
    if (variant % 3 !== 0) open(known, draft, 2, "EFD_SEMAPHORE|");
  },
  commands: [
    ...everyFile,
    [
      1,
      opens(
        "eventfd2",
        fc.tuple(fc.constantFrom(0, 1, 3, 4294967295), fc.constantFrom("", "EFD_SEMAPHORE|", "EFD_CLOEXEC|")),
        ([count, flags], draft, known) => open(known, draft, count, flags),
      ),
    ],
    [
      8,
      on(
        KIND,
        "write",
        fc.tuple(fc.constantFrom(...VALUES), fc.constantFrom(8, 8, 8, 8, 7, 16)),
        ({ name }, [value, length], draft) => draft.add(`write($${name}, "${value}", ${length}) = ?`),
      ),
    ],
    [
      6,
      on(KIND, "read", fc.constantFrom(8, 8, 8, 8, 4, 7, 9, 4096), ({ name }, length, draft) =>
        draft.add(`read($${name}, ?, ${length}) = ?`),
      ),
    ],
    [
      1,
      on(KIND, "writev", fc.constantFrom(...VALUES), ({ name }, value, draft) =>
        draft.add(`writev($${name}, [{iov_base="${value}", iov_len=8}, {iov_base="${value}", iov_len=8}], 2) = ?`),
      ),
    ],
    [
      1,
      on(KIND, "readv", fc.constantFrom(4, 8), ({ name }, length, draft) =>
        draft.add(`readv($${name}, [{iov_base=?, iov_len=${length}}, {iov_base=?, iov_len=8}], 2) = ?`),
      ),
    ],
  ],
};
