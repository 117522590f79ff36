/**
 * Signal descriptors: sets, pending signals of both queues, reading them in every way. Everything that is sent is blocked.
 */
import fc from "fast-check";
import type { Draft } from "../command.ts";
import type { Kind, KnownState } from "../known-state.ts";
import { everyFile } from "./every-file.ts";
import { type Family, install, none, on, opens } from "./family.ts";

const KIND: readonly Kind[] = ["signalfd"];
const SENT = ["SIGUSR1", "SIGUSR2", "SIGTERM", "SIGRT_2", "SIGRT_3", "SIGCHLD", "SIGURG"];
const BLOCKED = "[USR1 USR2 TERM CHLD URG RT_2 RT_3]";
const SETS = [
  "[USR1]",
  "[USR1 USR2]",
  "[TERM RT_2 RT_3]",
  "[]",
  "~[]",
  "[CHLD URG]",
  "[USR2 RT_2]",
  "[KILL STOP USR1]",
];

function open(known: KnownState, draft: Draft, set: string): void {
  const { name } = install(known, "g", "signalfd");
  draft.add(`signalfd4(-1, ${set}, 8, SFD_NONBLOCK) = $${name}`);
}

const anySet = fc.constantFrom(...SETS);
const anySignal = fc.constantFrom(...SENT);

/** Signal descriptors. */
export const signalfd: Family = {
  name: "signalfd",
  open: (known, draft, variant) => {
    draft.add(`rt_sigprocmask(SIG_BLOCK, ${BLOCKED}, NULL, 8) = ?`);
    draft.add("getpid() = $pid");
    draft.add("gettid() = $tid");
    open(known, draft, SETS[variant % 3]!);
    if (variant % 2 === 0) open(known, draft, "~[]");
  },
  commands: [
    ...everyFile,
    [2, opens("signalfd4", anySet, (set, draft, known) => open(known, draft, set))],
    [2, on(KIND, "another set", anySet, ({ name }, set, draft) => draft.add(`signalfd4($${name}, ${set}, 8, 0) = ?`))],
    [6, opens("kill", anySignal, (signal, draft) => draft.add(`kill($pid, ${signal}) = ?`))],
    [4, opens("tgkill", anySignal, (signal, draft) => draft.add(`tgkill($pid, $tid, ${signal}) = ?`))],
    [
      4,
      opens("rt_sigqueueinfo", fc.tuple(anySignal, fc.nat({ max: 9 })), ([signal, value], draft) =>
        draft.add(
          `rt_sigqueueinfo($pid, ${signal}, {si_signo=${signal}, si_code=SI_QUEUE, si_pid=1, si_uid=0, si_int=${value}, si_ptr=${value}}) = ?`,
        ),
      ),
    ],
    [
      8,
      on(KIND, "read", fc.constantFrom(128, 128, 128, 127, 256, 1280, 300), ({ name }, length, draft) =>
        draft.add(`read($${name}, ?, ${length}) = ?`),
      ),
    ],
    [
      1,
      on(KIND, "readv", none, ({ name }, _none, draft) =>
        draft.add(`readv($${name}, [{iov_base=?, iov_len=100}, {iov_base=?, iov_len=156}], 2) = ?`),
      ),
    ],
    [
      1,
      opens("rt_sigtimedwait", anySet, (set, draft) =>
        draft.add(`rt_sigtimedwait(${set}, NULL, {tv_sec=0, tv_nsec=0}, 8) = ?`),
      ),
    ],
    [1, opens("rt_sigpending", none, (_none, draft) => draft.add("rt_sigpending(?, 8) = ?"))],
    [
      1,
      opens("rt_sigaction", fc.tuple(anySignal, fc.constantFrom("SIG_IGN", "SIG_DFL")), ([signal, how], draft) =>
        draft.add(`rt_sigaction(${signal}, {sa_handler=${how}, sa_mask=[], sa_flags=0}, NULL, 8) = ?`),
      ),
    ],
  ],
};
