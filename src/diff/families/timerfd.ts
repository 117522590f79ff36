/**
 * Timers: set in every way, expired, read, asked. What passes of real time is either long ago, far away or slept through, so
 * that a slow machine gives the same answers.
 */
import fc from "fast-check";
import type { Draft } from "../command.ts";
import type { Kind, KnownState } from "../known-state.ts";
import { everyFile } from "./every-file.ts";
import { type Family, install, on, opens } from "./family.ts";

const KIND: readonly Kind[] = ["timerfd"];
const CLOCKS = ["CLOCK_MONOTONIC", "CLOCK_REALTIME", "CLOCK_BOOTTIME"];

function time(seconds: number, ns: number): string {
  return `{tv_sec=${seconds}, tv_nsec=${ns}}`;
}

const NEVER = time(0, 0);
const LONG_AGO = time(0, 1);
const FAR = time(100000, 0);
/** Longer than any machine is up, and than the time since 1970. */
const PERIOD = time(4000000000, 0);
const INTERVALS = [NEVER, NEVER, PERIOD];

/** Flags, interval, value. */
const SETTINGS: readonly (readonly [string, string])[] = [
  ["0", NEVER],
  ["0", FAR],
  ["TFD_TIMER_ABSTIME", LONG_AGO],
  ["TFD_TIMER_ABSTIME", LONG_AGO],
  ["TFD_TIMER_ABSTIME", NEVER],
  ["TFD_TIMER_ABSTIME|TFD_TIMER_CANCEL_ON_SET", LONG_AGO],
  ["TFD_TIMER_CANCEL_ON_SET", FAR],
  ["0", time(0, 1000000000)],
  ["0", time(-1, 0)],
  ["0x10", FAR],
];

function open(known: KnownState, draft: Draft, clock: string, flags: string): void {
  const { name } = install(known, "t", "timerfd");
  draft.add(`timerfd_create(${clock}, ${flags}TFD_NONBLOCK) = $${name}`);
}

/** Timers. */
export const timerfd: Family = {
  name: "timerfd",
  open: (known, draft, variant) => {
    open(known, draft, CLOCKS[variant % 3]!, "");
    if (variant % 2 === 0) open(known, draft, "CLOCK_MONOTONIC", "");
  },
  commands: [
    ...everyFile,
    [
      1,
      opens(
        "timerfd_create",
        fc.tuple(fc.constantFrom(...CLOCKS), fc.constantFrom("", "TFD_CLOEXEC|")),
        ([clock, flags], draft, known) => open(known, draft, clock, flags),
      ),
    ],
    [
      8,
      on(
        KIND,
        "timerfd_settime",
        fc.tuple(fc.constantFrom(...SETTINGS), fc.constantFrom(...INTERVALS), fc.constantFrom("NULL", "?")),
        ({ name }, [[flags, value], interval, old], draft) =>
          draft.add(`timerfd_settime($${name}, ${flags}, {it_interval=${interval}, it_value=${value}}, ${old}) = ?`),
      ),
    ],
    [
      2,
      on(
        KIND,
        "expire",
        fc.tuple(fc.constantFrom(1, 1000, 300000), fc.constantFrom(...INTERVALS)),
        ({ name }, [ns, interval], draft) => {
          draft.add(`timerfd_settime($${name}, 0, {it_interval=${interval}, it_value=${time(0, ns)}}, NULL) = ?`);
          draft.add(`nanosleep(${time(0, 2000000)}, NULL) = ?`);
        },
      ),
    ],
    [
      6,
      on(KIND, "read", fc.constantFrom(8, 8, 8, 4, 16), ({ name }, length, draft) =>
        draft.add(`read($${name}, ?, ${length}) = ?`),
      ),
    ],
    [
      3,
      on(KIND, "timerfd_gettime", fc.constant("?"), ({ name }, to, draft) =>
        draft.add(`timerfd_gettime($${name}, ${to}) = ?`),
      ),
    ],
    [
      1,
      on(KIND, "TFD_IOC_SET_TICKS", fc.constantFrom(0, 1, 3, 1000), ({ name }, ticks, draft) =>
        draft.add(`ioctl($${name}, TFD_IOC_SET_TICKS, [${ticks}]) = ?`),
      ),
    ],
    [
      1,
      on(KIND, "write", fc.constant(8), ({ name }, length, draft) =>
        draft.add(`write($${name}, "12345678", ${length}) = ?`),
      ),
    ],
  ],
};
