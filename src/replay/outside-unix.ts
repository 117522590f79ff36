/**
 * Who is outside at the other end of AF_UNIX sockets: daemons behind a path (a bus, a log), and clients of a server in the recording.
 *
 * A server is proved by a connect or a message that found somebody where nobody of the recording is bound; a client by an accept for
 * which nobody of the recording has connected.
 */
import type { File } from "../kernel/fs/file.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { SUN_PATH_OFFSET } from "../kernel/net/unix/names.ts";
import { UnixSock } from "../kernel/net/unix/unix-sock.ts";
import { Af, Sock } from "../kernel/uapi/socket.ts";
import { evalInt, exitOf, field } from "../trace/abi/evaluate.ts";
import type { Expr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import { flatten } from "./arguments.ts";
import { callsOn, contentOf, sourceOf } from "./arrivals.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine } from "./machine.ts";
import type { OutsideHost } from "./outside-host.ts";
import { firstFile, NOTHING } from "./records.ts";
import { addresseeOf, peerOf } from "./relations.ts";

const WRITES: ReadonlySet<string> = new Set("write writev sendto sendmsg".split(" "));
const READS: ReadonlySet<string> = new Set("read readv recvfrom recvmsg".split(" "));
/** `UNIX_PATH_MAX` and a NUL; a longer name is a mistake. */
const NAME_MAX = 109;
/** A datagram is no longer than what a socket may hold. */
const DATAGRAM_MAX = 212_992;

export class OutsideUnix {
  readonly #machine: Machine;
  readonly #future: Lookahead;
  readonly #host: OutsideHost;
  /** Servers and receivers by their addresses. */
  readonly #named = new Map<string, File>();
  /** Names that somebody of the recording has had. */
  readonly #inside = new Set<string>();

  constructor(machine: Machine, future: Lookahead, host: OutsideHost) {
    this.#machine = machine;
    this.#future = future;
    this.#host = host;
  }

  /** Before a call takes effect: has it found somebody whom the model does not have, or lost somebody? */
  before(call: ActiveCall): void {
    const { owner, record, errno } = call;
    const sk = unixOf(firstFile(owner, record));
    if (sk === null) return;
    if (errno === "EPIPE" && WRITES.has(record.name)) {
      const peer = this.#peer(sk);
      if (peer === null) return;
      this.#host.close(peer, false);
      call.learnt = true;
      return;
    }
    const named = record.name === "connect" ? (record.args[1] ?? null) : addresseeOf(record);
    const own = record.name === "bind" && record.args[1] !== undefined ? addressIn(record.args[1]) : null;
    if (own !== null) this.#inside.add(String(own));
    const address = errno !== null || named === null ? null : addressIn(named);
    if (address === null || this.#inside.has(String(address))) return;
    if (typeof sk.findOther(owner.task, address) !== "number") return;
    const server =
      sk.type === Sock.DGRAM ? this.#host.bindUnix(sk.type, address) : this.#host.listenUnix(sk.type, address);
    if (server !== null) this.#named.set(String(address), server);
  }

  /** After it has: the outside accepts and reads. */
  after({ owner, record }: ActiveCall): void {
    const sk = unixOf(firstFile(owner, record));
    if (sk === null) return;
    const named = record.name === "connect" ? (record.args[1] ?? null) : addresseeOf(record);
    const address = named === null ? null : addressIn(named);
    const server = address === null ? undefined : this.#named.get(String(address));
    if (server !== undefined && sk.type === Sock.DGRAM) this.#host.drain(server);
    else if (server !== undefined) this.#host.acceptAll(server);
    const peer = WRITES.has(record.name) ? this.#peer(sk) : null;
    if (peer !== null) this.#host.drain(peer);
  }

  /** @returns the other end, if that is outside. */
  #peer({ file }: UnixSock): File | null {
    const peer = file === null ? null : peerOf(file);
    return this.#host.owns(peer) ? peer : null;
  }

  /** A client that an accept shows. @returns whether there is one. */
  connectClient({ name, type }: UnixSock): boolean {
    return name !== null && this.#host.connectUnix(type, name.addr) !== null;
  }

  /** One message that a receive shows, from a peer or from nobody that the socket is connected to. */
  message(file: File, sk: UnixSock, now: CallRecord | null): CallRecord | null {
    for (const record of callsOn(this.#machine, this.#future, file, now)) {
      if (!READS.has(record.name)) continue;
      const length = evalInt(record.result?.values[0] ?? NOTHING);
      if ((record.result?.errnos[0] ?? null) !== null || length === null || length < 0 || length > DATAGRAM_MAX)
        return null;
      const peer = this.#peer(sk);
      if (peer === null && (sk.name === null || sk.peer !== null)) return null;
      const source = peer === null ? addressIn(sourceOf(record)) : null;
      const sender = peer ?? (source === null ? null : (this.#named.get(String(source)) ?? null));
      const from = sender ?? this.#host.bindUnix(sk.type, source);
      if (from === null) return null;
      if (source !== null) this.#named.set(String(source), from);
      const sent = this.#host.send(
        from,
        contentOf(record, length),
        peer === null && sk.name !== null ? sk.name.addr : null,
      );
      return sent >= 0 ? record : null;
    }
    return null;
  }

  /** Whether who is outside has closed its end, rather than only what it sends: nothing is written to it any more. */
  hasClosed(file: File): boolean {
    for (const record of callsOn(this.#machine, this.#future, file, null)) {
      if (WRITES.has(record.name)) return (record.result?.errnos[0] ?? null) !== null;
    }
    return true;
  }
}

/** The AF_UNIX socket behind a description; null for any other. */
export function unixOf(file: File | null): UnixSock | null {
  return file instanceof SocketFile && file.sk instanceof UnixSock ? file.sk : null;
}

/** `{sa_family=AF_UNIX, sun_path="/run/x"}` or `@"x"` as the model has it; null for other addresses. */
function addressIn(expr: Expr): Uint8Array | null {
  const address = exitOf(expr);
  const path = address.kind === "struct" ? field(address, "sun_path", -1) : null;
  const isAbstract = path?.kind === "at";
  const text = isAbstract ? path.content : path;
  if (text?.kind !== "str" || text.bytes.length > NAME_MAX || (!isAbstract && text.bytes.length === 0)) return null;
  const bytes = new Uint8Array(SUN_PATH_OFFSET + text.bytes.length + 1);
  bytes.set([Af.UNIX, 0]);
  bytes.set(isAbstract ? text.bytes : flatten(text).bytes, isAbstract ? SUN_PATH_OFFSET + 1 : SUN_PATH_OFFSET);
  return bytes;
}
