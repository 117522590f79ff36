/**
 * When does an AF_UNIX name appear, and when is it given up, where messages to it overlap?
 *
 * What became of the messages tells: one that arrived, or found nobody behind the name any more, came before an unlink and behind a bind.
 */
import { SocketFile } from "../kernel/net/socket.ts";
import { UnixSock } from "../kernel/net/unix/unix-sock.ts";
import { field } from "../trace/abi/evaluate.ts";
import type { Expr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import { known } from "./foresight.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { firstFile, pathOf } from "./records.ts";
import { addresseeOf, unixAt } from "./relations.ts";

const LOOK = 400;
const UNIX_PATH_MAX = 108;

/** What a message shows of the call in question: whether it has still to come; null where it tells nothing. */
type Question = (sender: ReplayTask, message: CallRecord, address: Expr) => boolean | null;

/**
 * Whether a bind, an unlink or a close of a socket with a name has to wait: a message that overlaps with it found things as they were
 * before.
 */
export function isAddressedBefore(machine: Machine, future: Lookahead, call: ActiveCall): boolean {
  const { record } = call;
  const question = questionOf(call);
  if (question === null) return false;
  for (const { active } of machine.tasks.values()) {
    const address = active === null || active.progress !== "idle" ? null : addresseeOf(active.record);
    if (active !== null && address !== null && question(active.owner, active.record, address) === true) return true;
  }
  for (const event of future.ahead(LOOK)) {
    if (event.kind === "exit" && event.call === record) return false;
    if (event.kind !== "enter") continue;
    const address = addresseeOf(event.call);
    const sender = address === null ? undefined : machine.tasks.get(event.call.task);
    const answer = sender === undefined || address === null ? null : question(sender, event.call, address);
    if (answer !== null) return answer;
  }
  return false;
}

function questionOf({ record, owner }: ActiveCall): Question | null {
  const errnoOf = ({ result }: CallRecord): string | null => result?.errnos[0] ?? null;
  if (record.name === "close") {
    const file = firstFile(owner, record);
    const sk = file instanceof SocketFile && file.refs === 1 ? file.sk : null;
    if (!(sk instanceof UnixSock)) return null;
    // the sender's own descriptor may be another one's until the message is sent
    return (sender, message, address) => {
      return known(() => unixAt(sender, sk, address), null) === sk ? errnoOf(message) === null : null;
    };
  }
  const isBind = record.name === "bind";
  if ((!isBind && !record.name.startsWith("unlink")) || errnoOf(record) !== null) return null;
  const name = isBind ? nameIn(record.args[1]) : pathOf(record);
  if (name === null) return null;
  return (_sender, message, address) => {
    if (nameIn(address) !== name) return null;
    const errno = errnoOf(message);
    if (errno === "ENOENT") return isBind;
    if (errno === null) return !isBind;
    return errno === "ECONNREFUSED" && !isBind ? true : null;
  };
}

/** The name in a `{sa_family=AF_UNIX, sun_path="..."}`; null in any other address. */
function nameIn(address: Expr | undefined): string | null {
  const path = address?.kind === "struct" ? field(address, "sun_path", 1) : null;
  return path?.kind === "str" ? String.fromCharCode(...path.bytes.subarray(0, UNIX_PATH_MAX)) : null;
}
