/**
 * Names that the kernel gives to AF_UNIX sockets (`unix_autobind`): five digits that Linux chooses at random. The first line that shows
 * one tells it; from then on the socket of the model has that name.
 */
import { SUN_PATH_OFFSET } from "../kernel/net/unix/names.ts";
import type { UnixSock } from "../kernel/net/unix/unix-sock.ts";
import { Af } from "../kernel/uapi/socket.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { Difference } from "./active-call.ts";
import type { ReplayTask } from "./machine.ts";
import { unixOf } from "./outside-unix.ts";
import { firstFile } from "./records.ts";

const SHOWS: ReadonlySet<string> = new Set("accept accept4 getpeername getsockname recvfrom recvmsg".split(" "));
const NAME = /sun_path=@"([0-9a-f]{5})"/;

export class AutoboundNames {
  readonly #told = new WeakSet<UnixSock>();

  /** @returns whether two outputs differ only in a name that nothing has shown before. */
  learn(owner: ReplayTask, record: CallRecord, { recorded, predicted }: Difference): boolean {
    const sk = SHOWS.has(record.name) ? unixOf(firstFile(owner, record)) : null;
    const [, shown] = NAME.exec(recorded) ?? [];
    const [, own] = NAME.exec(predicted) ?? [];
    if (sk === null || shown === undefined || own === undefined) return false;
    if (recorded.replace(NAME, "") !== predicted.replace(NAME, "")) return false;
    const { unix } = sk.net;
    const named = unix.findAbstract(sk.type, addressOf(own));
    if (named === null || this.#told.has(named)) return false;
    this.#told.add(named);
    const addr = addressOf(shown);
    unix.remove(named.type, addressOf(own), null, named);
    unix.insertAbstract(named.type, addr, named);
    named.name = { addr, inode: null };
    return true;
  }
}

function addressOf(digits: string): Uint8Array {
  const addr = new Uint8Array(SUN_PATH_OFFSET + 1 + digits.length);
  addr.set([Af.UNIX, 0]);
  addr.set(new TextEncoder().encode(digits), SUN_PATH_OFFSET + 1);
  return addr;
}
