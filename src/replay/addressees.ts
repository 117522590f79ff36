/**
 * A name that messages still reach is not given up yet.
 */
import { SocketFile } from "../kernel/net/socket.ts";
import { UnixSock } from "../kernel/net/unix/unix-sock.ts";
import type { ActiveCall } from "./active-call.ts";
import { known } from "./foresight.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine } from "./machine.ts";
import { firstFile } from "./records.ts";
import { addresseeOf, unixAt } from "./relations.ts";

const LOOK = 400;

/** Whether a close of a socket with a name has to wait: a message that is sent inside its interval still arrives there. */
export function stillReceives(machine: Machine, future: Lookahead, call: ActiveCall): boolean {
  const { record, owner } = call;
  const file = record.name === "close" ? firstFile(owner, record) : null;
  if (!(file instanceof SocketFile) || !(file.sk instanceof UnixSock) || file.refs > 1) return false;
  for (const event of future.ahead(LOOK)) {
    if (event.kind === "exit" && event.call === record) return false;
    if (event.kind !== "enter") continue;
    const address = addresseeOf(event.call);
    const sender = address === null ? undefined : machine.tasks.get(event.call.task);
    const from = sender === undefined ? null : firstFile(sender, event.call);
    if (sender === undefined || address === null || !(from instanceof SocketFile)) continue;
    const { sk } = from;
    if (!(sk instanceof UnixSock) || known(() => unixAt(sender, sk, address), null) !== file.sk) continue;
    return (event.call.result?.errnos[0] ?? null) === null;
  }
  return false;
}
