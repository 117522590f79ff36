/**
 * Ephemeral ports: Linux picks them at random, so the model's are others than the recorded ones. Each recorded port stands for
 * one of the model's, from the first line that shows it on.
 */
import type { File } from "../kernel/fs/file.ts";
import { UdpSock } from "../kernel/net/inet/udp-sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { evalInt, exitOf } from "../trace/abi/evaluate.ts";
import type { Expr, NamedExpr } from "../trace/ast.ts";
import { call, int } from "../trace/build.ts";
import type { CallRecord } from "../trace/pairs.ts";

/** `ip_local_port_range`. */
const LOW = 32_768;
const HIGH = 60_999;
const PORTS = 65_536;

/** The ports of one protocol. */
export class PortSpace {
  readonly #toModel = new Map<number, number>();
  readonly #toRecorded = new Map<number, number>();
  /** Connections that sockets of the recording have made: own port and the peer's. */
  readonly #inside = new Set<number>();
  /** The model's port of sockets whose own port a line has shown; a socket may get another one later. */
  readonly #shown = new WeakMap<object, number>();

  /** Sockets that have given up their port, and have not shown the next one. */
  readonly #moved = new WeakSet<object>();

  /** A disconnected socket gets another port when it needs one. Notes may still tell the former one. */
  lost(socket: object): void {
    this.#moved.add(socket);
  }

  /** Whether some socket of the recording has connected from this recorded port to that one, which is the model's. */
  isInside(port: number, to: number): boolean {
    return this.#inside.has(port * PORTS + (this.#toRecorded.get(to) ?? to));
  }

  /** Whether a socket of the recording has, or had, this recorded port. */
  isKnown(port: number): boolean {
    return this.#toModel.has(port);
  }

  /** An input as the model must see it. */
  toModel(expr: Expr): Expr {
    return this.#translate(expr, this.#toModel);
  }

  /** An output as the recording would show it. */
  toRecorded(expr: Expr): Expr {
    return this.#translate(expr, this.#toRecorded);
  }

  /**
   * Takes over what a recorded output says of ephemeral ports.
   *
   * @param socket - whose own port it is. The first line that shows it is right, even where an earlier socket had that number;
   *   null when it is somebody else's.
   * @returns whether there was something new.
   */
  learn(recorded: Expr, actual: Expr, socket: object | null): boolean {
    let learnt = false;
    for (const [index, child] of childrenOf(recorded).entries()) {
      const other = counterpart(child, childrenOf(actual), index);
      if (other === null) continue;
      if (child.kind === "named" && other.kind === "named" && isPort(child) && isPort(other)) {
        learnt = this.#show(portOf(child), portOf(other), socket) || learnt;
      } else learnt = this.learn(child, other, socket) || learnt;
    }
    return learnt;
  }

  /** The model's port of the peer that an accept was recorded with; null when the recording does not tell. */
  peerPort(record: CallRecord): number | null {
    const [, addr] = record.args;
    const port = (addr === undefined ? null : portIn(exitOf(addr))) ?? noteEnds(record.result?.values[0])?.peer ?? null;
    return port === null ? null : (this.#toModel.get(port) ?? port);
  }

  /** The note of a descriptor shows which port its socket has: `3<UDP:[0.0.0.0:49981]>`. @param port - the model's. */
  showOwn(expr: Expr, socket: object, port: number): void {
    if (this.#shown.get(socket) === port || this.#moved.has(socket)) return;
    const own = ownPort(expr);
    if (own !== null) this.#show(own, port, socket);
  }

  /** The note of a connected socket tells more: the connection is one inside the recording. @param port - the model's. */
  know(expr: Expr, port: number): void {
    const ends = noteEnds(expr);
    if (ends === null) return;
    this.#inside.add(ends.own * PORTS + ends.peer);
    this.pair(ends.own, port);
  }

  #show(recorded: number | null, model: number | null, socket: object | null): boolean {
    if (socket !== null && recorded !== null && model !== null && this.#isNew(socket, model)) {
      this.#shown.set(socket, model);
      if (this.#toModel.get(recorded) !== model) this.#forget(recorded, model);
    }
    return this.pair(recorded, model);
  }

  #isNew(socket: object, model: number): boolean {
    return this.#moved.delete(socket) || this.#shown.get(socket) !== model;
  }

  /** Earlier sockets had these numbers. */
  #forget(recorded: number, model: number): void {
    this.#toRecorded.delete(this.#toModel.get(recorded) ?? 0);
    this.#toModel.delete(this.#toRecorded.get(model) ?? 0);
    this.#toModel.delete(recorded);
    this.#toRecorded.delete(model);
  }

  /** @returns whether that was new. */
  pair(recorded: number | null, model: number | null): boolean {
    if (recorded === null || model === null || recorded === model || !isEphemeral(recorded) || !isEphemeral(model)) {
      return false;
    }
    if (this.#toModel.has(recorded) || this.#toRecorded.has(model)) return false;
    this.#toModel.set(recorded, model);
    this.#toRecorded.set(model, recorded);
    return true;
  }

  #translate(expr: Expr, map: ReadonlyMap<number, number>): Expr {
    if (map.size === 0) return expr;
    switch (expr.kind) {
      case "named":
        return { ...expr, value: isPort(expr) ? translatePort(expr, map) : this.#translate(expr.value, map) };
      case "struct":
        return { ...expr, fields: expr.fields.map((field) => this.#translate(field, map)) };
      case "array":
        return { ...expr, items: expr.items.map((item) => this.#translate(item, map)) };
      default:
        return expr;
    }
  }
}

/** Those of TCP, and of UDP, whose numbers have nothing to do with them. */
export class PortMap extends PortSpace {
  readonly #udp = new PortSpace();

  /** The ports that calls on a description speak of. */
  of(file: File | null): PortSpace {
    return file instanceof SocketFile && file.sk instanceof UdpSock ? this.#udp : this;
  }
}

function translatePort(expr: NamedExpr, map: ReadonlyMap<number, number>): Expr {
  const port = map.get(portOf(expr) ?? -1);
  return port === undefined ? expr.value : call("htons", [int(port)]);
}

function isEphemeral(port: number): boolean {
  return port >= LOW && port <= HIGH;
}

function isPort(expr: Expr): boolean {
  return expr.kind === "named" && (expr.name === "sin_port" || expr.name === "sin6_port");
}

/** The number in `sin_port=htons(80)`. */
function portOf({ value }: NamedExpr): number | null {
  const [number] = value.kind === "call" ? value.args : [];
  return number === undefined ? null : evalInt(number);
}

function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case "named":
      return [expr.value];
    case "struct":
      return expr.fields;
    case "array":
      return expr.items;
    default:
      return [];
  }
}

/** The part of the other side that has the same name, or else the same place. */
function counterpart(child: Expr, others: readonly Expr[], index: number): Expr | null {
  if (child.kind === "named") {
    return others.find((other) => other.kind === "named" && other.name === child.name) ?? null;
  }
  return others[index] ?? null;
}

/** The port in a socket address. */
export function portIn(expr: Expr): number | null {
  const found = childrenOf(expr).find(isPort);
  return found?.kind === "named" ? portOf(found) : null;
}

/** The first port of `7<TCP:[127.0.0.1:80]>`, `8<UDPv6:[[::1]:53->[::1]:4711]>`; null when the note tells none. */
function ownPort(expr: Expr): number | null {
  if (expr.kind !== "int" || expr.note === null) return null;
  const found = /^(?:TCP|UDP|UDPLITE)(?:v6)?:\[[^\]]*?(?:\]:|:)(\d+)(?:->|\]$)/u.exec(expr.note);
  return found === null ? null : Number(found[1]);
}

/** The two ports of `7<TCP:[127.0.0.1:80->127.0.0.1:4711]>`; null when the note tells none. */
export function noteEnds(expr: Expr | undefined): { readonly own: number; readonly peer: number } | null {
  if (expr?.kind !== "int" || expr.note === null) return null;
  const found = /^TCPv?6?:\[.*:(\d+)->.*:(\d+)\]/u.exec(expr.note);
  return found === null ? null : { own: Number(found[1]), peer: Number(found[2]) };
}
