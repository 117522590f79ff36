/**
 * Process descriptors: children that are born, get signals, exit and are waited for.
 */
import fc from "fast-check";
import { Act, choose, pick } from "../command.ts";
import type { Kind } from "../known-state.ts";
import { everyFile } from "./every-file.ts";
import { type Family, install, none, on, opens } from "./family.ts";

const KIND: readonly Kind[] = ["pidfd"];
const CHILDREN_MAX = 5;
const STATUSES = [0, 1, 3, 255];

/** A child that may be alive. */
const child = (name: string, what: (task: string) => readonly string[], dies: boolean): fc.Arbitrary<Act> =>
  pick.map(
    (which) =>
      new Act(
        name,
        (known) => known.children.some(({ alive }) => alive),
        (known, draft) => {
          const found = choose(
            known.children.filter(({ alive }) => alive),
            which,
          );
          for (const line of what(found.task)) draft.add(line);
          if (dies) found.alive = false;
        },
      ),
  );

const anyChild = (name: string, what: (task: string) => string): fc.Arbitrary<Act> =>
  pick.map(
    (which) =>
      new Act(
        name,
        (known) => known.children.length > 0,
        (known, draft) => draft.add(what(choose(known.children, which).task)),
      ),
  );

/** Process descriptors. */
export const pidfd: Family = {
  name: "pidfd",
  open: () => {},
  commands: [
    ...everyFile,
    [
      3,
      fc.constant(null).map(
        () =>
          new Act(
            "fork",
            (known) => known.children.length < CHILDREN_MAX,
            (known, draft) => {
              const task = `P${known.children.length + 1}`;
              known.children.push({ task, alive: true });
              draft.add(`#! fork ${task} A`);
              draft.add(`${task} getpid() = $pid${task}`);
            },
          ),
      ),
    ],
    [
      6,
      pick.map(
        (which) =>
          new Act(
            "pidfd_open",
            (known) => known.children.length > 0 && known.open.size < 10,
            (known, draft) => {
              const { task } = choose(known.children, which);
              const { name } = install(known, "p", "pidfd");
              draft.add(`pidfd_open($pid${task}, ${which % 3 === 0 ? "0" : "PIDFD_NONBLOCK"}) = $${name}`);
            },
          ),
      ),
    ],
    [
      3,
      fc
        .constantFrom(...STATUSES)
        .chain((status) => child("exit_group", (task) => [`${task} exit_group(${status}) = ?`], true)),
    ],
    [2, anyChild("wait4", (task) => `wait4($pid${task}, ?, WNOHANG, NULL) = ?`)],
    [1, anyChild("waitid", (task) => `waitid(P_PID, $pid${task}, ?, WNOHANG|WEXITED|WNOWAIT, NULL) = ?`)],
    [1, opens("wait for any", none, (_none, draft) => draft.add("wait4(-1, ?, WNOHANG, NULL) = ?"))],
    [
      2,
      on(KIND, "waitid", fc.constantFrom("WNOHANG|WEXITED", "WNOHANG|WEXITED|WNOWAIT"), ({ name }, flags, draft) =>
        draft.add(`waitid(P_PIDFD, $${name}, ?, ${flags}, NULL) = ?`),
      ),
    ],
    [
      2,
      on(KIND, "pidfd_send_signal", fc.constantFrom("0", "SIGCHLD", "SIGURG", "0x65"), ({ name }, signal, draft) =>
        draft.add(`pidfd_send_signal($${name}, ${signal}, NULL, 0) = ?`),
      ),
    ],
    [1, on(KIND, "read", none, ({ name }, _none, draft) => draft.add(`read($${name}, ?, 8) = ?`))],
  ],
};
