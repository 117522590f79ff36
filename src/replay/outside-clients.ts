/**
 * Clients from outside: who connects to a server of the recording, as its accepts show.
 */
import type { File } from "../kernel/fs/file.ts";
import { TcpSock } from "../kernel/net/inet/tcp-sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { exitOf } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { callsOn } from "./arrivals.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine } from "./machine.ts";
import { addressOf, type OutsideHost } from "./outside-host.ts";
import { type OutsideUnix, unixOf } from "./outside-unix.ts";
import { noteEnds, portIn } from "./ports.ts";
import { NOTHING } from "./records.ts";

const WAITS = /^epoll_p?wait|^p?poll$|select/;
/** Events that are looked at for what a task does behind an accept. */
const LOOK = 200;

export class OutsideClients {
  readonly #machine: Machine;
  readonly #future: Lookahead;
  readonly #host: OutsideHost;
  readonly #unix: OutsideUnix;
  readonly #proofs: WeakSet<CallRecord>;

  /** @param proofs - gets the accepts that are taken from the recording. */
  constructor(machine: Machine, future: Lookahead, host: OutsideHost, unix: OutsideUnix, proofs: WeakSet<CallRecord>) {
    this.#machine = machine;
    this.#future = future;
    this.#host = host;
    this.#unix = unix;
    this.#proofs = proofs;
  }

  /** Clients that are accepted from now on, up to the accept that finds nobody. */
  connect(listener: File, now: CallRecord | null): boolean {
    const unix = unixOf(listener);
    if (unix !== null && unix.receiveQueue.length > 0) return false; // somebody is there already
    if (unix !== null) return this.#connectClients(listener, now, () => this.#unix.connectClient(unix));
    const to = addressOf(listener);
    if (to === null || !(listener instanceof SocketFile) || !(listener.sk instanceof TcpSock)) return false;
    const { sk } = listener;
    return withoutDefer(sk, () => {
      return this.#connectClients(listener, now, (accept) => this.#connectFrom(accept, to, sk.num));
    });
  }

  /** @param connect - makes the client that an accept shows, or one that nobody accepts. */
  #connectClients(listener: File, now: CallRecord | null, connect: (accept: CallRecord | null) => boolean): boolean {
    let found = false;
    let accepts = false;
    for (const record of callsOn(this.#machine, this.#future, listener, now)) {
      if (!record.name.startsWith("accept")) continue;
      accepts = true;
      if ((record.result?.errnos[0] ?? null) !== null) break;
      if (this.#proofs.has(record)) continue; // has connected already
      if (!connect(record)) break;
      this.#proofs.add(record);
      found = true;
      if (this.#waitsBefore(record)) break;
    }
    return accepts || now !== null ? found : connect(null);
  }

  /** A TCP client. @param accept - shows its port; null for one that nobody sees. */
  #connectFrom(accept: CallRecord | null, to: Uint8Array, ownPort: number): boolean {
    const shown = accept === null ? null : portIn(exitOf(accept.args[1] ?? NOTHING));
    const port = shown ?? noteEnds(accept?.result?.values[0])?.peer ?? null;
    if (port !== null && this.#machine.ports.isInside(port, ownPort)) return false;
    const from = to.slice();
    from.set([(port ?? 0) >> 8, (port ?? 0) & 0xff], 2);
    if (port !== null && this.#host.isConnected(from, to)) return false; // a later one that has the same port
    const client = this.#host.connect(from, to);
    if (client === null) return false;
    const own = addressOf(client);
    if (port !== null && own !== null) this.#machine.ports.pair(port, ((own[2] as number) << 8) | (own[3] as number));
    return true;
  }

  /** Whether the task waits again right after this accept, before it accepts once more. */
  #waitsBefore(accept: CallRecord): boolean {
    for (const event of this.#future.ahead(LOOK)) {
      if (event.kind !== "enter" || event.call.task !== accept.task) continue;
      if ((event.call.entryLine ?? 0) <= (accept.entryLine ?? 0)) continue;
      if (event.call.name.startsWith("accept")) return false;
      if (WAITS.test(event.call.name)) return true;
    }
    return true;
  }
}

/** Who connects to a socket with TCP_DEFER_ACCEPT shows with the first bytes: that they have come, the accept proves. */
function withoutDefer(sk: TcpSock, connect: () => boolean): boolean {
  const { tcpOpts } = sk;
  const { deferAccept } = tcpOpts;
  if (deferAccept === 0) return connect();
  tcpOpts.deferAccept = 0;
  const found = connect();
  tcpOpts.deferAccept = deferAccept;
  return found;
}
