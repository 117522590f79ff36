/**
 * TCP over loopback, IPv4 and IPv6: listeners, connections, data, urgent bytes, every end of a connection.
 *
 * How much fits into a buffer and when an acknowledgement is sent is left to the kernel's timers. So a script never has more
 * under way than every window takes, small segments do not wait for each other (TCP_NODELAY), nobody asks what has been
 * acknowledged, and a shutdown sleeps until its FIN has been.
 */
import fc from "fast-check";
import { choose, type Draft } from "../command.ts";
import type { Descriptor, Kind, KnownState } from "../known-state.ts";
import { drainCommand, everyFile } from "./every-file.ts";
import { data, type Family, install, none, on, opens, type Weighted } from "./family.ts";
import { type IpVersion, V4, V6 } from "./ip.ts";
import { socketCommands } from "./sockets.ts";

const DATA: readonly Kind[] = ["tcp"];
const LISTENER: readonly Kind[] = ["tcp listener"];
const ALL: readonly Kind[] = ["tcp", "tcp listener"];
const SIZES = [0, 1, 1, 2, 3, 10, 100, 500, 1000, 1400];
const PORTS = [7101, 7102];
const CLOSED_PORT = 7999;
/** Longer than the kernel delays an acknowledgement: when a FIN has been acknowledged, its sender is woken once more. */
const ACKNOWLEDGED = "nanosleep({tv_sec=0, tv_nsec=60000000}, NULL) = ?";
const SEND = ["0", "0", "MSG_NOSIGNAL", "MSG_DONTWAIT", "MSG_OOB", "MSG_EOR"];
const RECEIVE = [
  "0",
  "0",
  "MSG_PEEK",
  "MSG_PEEK",
  "MSG_OOB",
  "MSG_OOB|MSG_PEEK",
  "MSG_TRUNC",
  "MSG_WAITALL",
  "MSG_DONTWAIT",
];

export function openSocket({ domain }: IpVersion, known: KnownState, draft: Draft): Descriptor {
  const socket = install(known, "s", "tcp");
  draft.add(`socket(${domain}, SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = $${socket.name}`);
  draft.add(`setsockopt($${socket.name}, SOL_TCP, TCP_NODELAY, [1], 4) = ?`);
  draft.add(`setsockopt($${socket.name}, SOL_TCP, TCP_CONGESTION, "cubic", 5) = ?`);
  return socket;
}

export function openListener(
  version: IpVersion,
  port: number,
  backlog: number,
  known: KnownState,
  draft: Draft,
): Descriptor {
  const listener = openSocket(version, known, draft);
  draft.add(`bind($${listener.name}, ${version.address(port)}) = ?`);
  draft.add(`listen($${listener.name}, ${backlog}) = ?`);
  listener.file.kind = "tcp listener";
  return listener;
}

export function accept(listener: Descriptor, to: string, known: KnownState, draft: Draft): void {
  const accepted = install(known, "c", "tcp");
  draft.add(`accept4($${listener.name}, ${to}, SOCK_NONBLOCK) = $${accepted.name}`);
}

function openConnection(version: IpVersion, port: number, listener: Descriptor, known: KnownState, draft: Draft): void {
  const client = openSocket(version, known, draft);
  draft.add(`connect($${client.name}, ${version.address(port)}) = ?`);
  accept(listener, "NULL, NULL", known, draft);
}

function commands(version: IpVersion): readonly Weighted[] {
  const anyPort = fc.constantFrom(...PORTS, PORTS[0]!, CLOSED_PORT);
  return [
    [2, opens("socket", none, (_none, draft, known) => void openSocket(version, known, draft))],
    [
      2,
      opens(
        "a listener",
        fc.tuple(fc.constantFrom(...PORTS), fc.constantFrom(1, 2, 5)),
        ([port, backlog], draft, known) => {
          if (known.open.size < 10) openListener(version, port, backlog, known, draft);
        },
      ),
    ],
    [
      3,
      opens(
        "a connection",
        fc.tuple(fc.nat({ max: 100 }), fc.constantFrom(...PORTS)),
        ([which, port], draft, known) => {
          if (known.ofKind(...LISTENER).length === 0 || known.open.size > 10) return;
          openConnection(version, port, choose(known.ofKind(...LISTENER), which), known, draft);
        },
      ),
    ],
    [
      1,
      on(ALL, "bind", fc.constantFrom(...PORTS), ({ name }, port, draft) =>
        draft.add(`bind($${name}, ${version.address(port)}) = ?`),
      ),
    ],
    [
      3,
      on(ALL, "connect", anyPort, ({ name }, port, draft) =>
        draft.add(`connect($${name}, ${version.address(port)}) = ?`),
      ),
    ],
    [
      1,
      on(ALL, "disconnect", none, ({ name }, _none, draft) =>
        draft.add(
          `connect($${name}, {sa_family=AF_UNSPEC, sa_data="\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0"}, 16) = ?`,
        ),
      ),
    ],
    [
      3,
      on(LISTENER, "accept4", fc.constantFrom("NULL, NULL", "?, [28]"), (listener, to, draft, known) => {
        if (known.open.size < 11) accept(listener, to, known, draft);
      }),
    ],
    [
      1,
      on(DATA, "SO_LINGER", fc.constantFrom(0, 1), ({ name }, onoff, draft) =>
        draft.add(`setsockopt($${name}, SOL_SOCKET, SO_LINGER, {l_onoff=${onoff}, l_linger=0}, 8) = ?`),
      ),
    ],
  ];
}

function family(name: string, version: IpVersion): Family {
  return {
    name,
    open: (known, draft, variant) => {
      const listener = openListener(version, PORTS[0]!, 2, known, draft);
      if (variant % 4 !== 0) openConnection(version, PORTS[0]!, listener, known, draft);
    },
    commands: [
      ...everyFile,
      ...commands(version),
      [2, drainCommand(DATA)],
      ...socketCommands({
        data: DATA,
        all: ALL,
        sizes: SIZES,
        sendFlags: SEND,
        receiveFlags: RECEIVE,
        queues: ["FIONREAD"],
        afterShutdown: ACKNOWLEDGED,
        options: [
          ["SOL_SOCKET, SO_RCVLOWAT", [0, 1, 2, 100, 1000]],
          ["SOL_SOCKET, SO_REUSEADDR", [0, 1]],
          ["SOL_SOCKET, SO_OOBINLINE", [0, 1]],
          ["SOL_SOCKET, SO_KEEPALIVE", [0, 1]],
          ["SOL_SOCKET, SO_SNDBUF", [65536, 212992]],
          ["SOL_TCP, TCP_NODELAY", [1]],
        ],
      }),
      [
        1,
        on(DATA, "long write", fc.constantFrom(4096, 8000), ({ name }, count, draft, known) =>
          draft.add(`write($${name}, ${data(count, known.token())}, ${count}) = ?`),
        ),
      ],
    ],
  };
}

/** Over IPv4. */
export const tcp: Family = family("tcp", V4);
/** Over IPv6. */
export const tcp6: Family = family("tcp6", V6);
