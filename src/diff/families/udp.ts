/**
 * UDP over loopback: datagrams of every size, connected and not, to ports where nobody is.
 */
import fc from "fast-check";
import type { Draft } from "../command.ts";
import type { Descriptor, Kind, KnownState } from "../known-state.ts";
import { everyFile } from "./every-file.ts";
import { data, type Family, install, none, on, opens } from "./family.ts";
import { type IpVersion, V4, V6 } from "./ip.ts";
import { socketCommands } from "./sockets.ts";

const ALL: readonly Kind[] = ["udp"];
const SIZES = [0, 1, 1, 2, 100, 188, 512, 700, 1000, 1400, 2000, 4096, 9000, 30000, 65000];
const PORTS = [7201, 7202, 7203];
const CLOSED_PORT = 7999;
const anyPort = fc.constantFrom(...PORTS, CLOSED_PORT);
const SEND = ["0", "0", "MSG_NOSIGNAL", "MSG_DONTWAIT", "MSG_MORE", "MSG_OOB"];
const RECEIVE = ["0", "0", "MSG_PEEK", "MSG_TRUNC", "MSG_PEEK|MSG_TRUNC", "MSG_WAITALL", "MSG_OOB"];
const BUFFERS = [0, 1, 2304, 4096, 8192, 65536, 212992];

function open({ domain }: IpVersion, known: KnownState, draft: Draft): Descriptor {
  const socket = install(known, "u", "udp");
  draft.add(`socket(${domain}, SOCK_DGRAM|SOCK_NONBLOCK, IPPROTO_UDP) = $${socket.name}`);
  return socket;
}

function family(name: string, version: IpVersion): Family {
  const { address, payloadMax, pieceMax } = version;
  const sizes = [...SIZES, pieceMax, payloadMax + 1];
  return {
    name,
    open: (known, draft, variant) => {
      const a = open(version, known, draft);
      const b = open(version, known, draft);
      draft.add(`bind($${a.name}, ${address(PORTS[0]!)}) = ?`);
      draft.add(`bind($${b.name}, ${address(PORTS[1]!)}) = ?`);
      if (variant % 2 === 0) draft.add(`connect($${b.name}, ${address(PORTS[0]!)}) = ?`);
      if (variant % 4 === 0) draft.add(`connect($${a.name}, ${address(PORTS[1]!)}) = ?`);
    },
    commands: [
      ...everyFile,
      [2, opens("socket", none, (_none, draft, known) => void open(version, known, draft))],
      [2, on(ALL, "bind", anyPort, ({ name }, port, draft) => draft.add(`bind($${name}, ${address(port)}) = ?`))],
      [3, on(ALL, "connect", anyPort, ({ name }, port, draft) => draft.add(`connect($${name}, ${address(port)}) = ?`))],
      [
        1,
        on(ALL, "disconnect", none, ({ name }, _none, draft) =>
          draft.add(
            `connect($${name}, {sa_family=AF_UNSPEC, sa_data="\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0"}, 16) = ?`,
          ),
        ),
      ],
      [
        6,
        on(ALL, "sendto a port", fc.tuple(fc.constantFrom(...sizes), anyPort), ({ name }, [size, port], draft, known) =>
          draft.add(`sendto($${name}, ${data(size, known.token())}, ${size}, 0, ${address(port)}) = ?`),
        ),
      ],
      ...socketCommands({
        data: ALL,
        all: ALL,
        sizes,
        sizeMost: pieceMax,
        sendFlags: SEND.slice(0, 4),
        receiveFlags: RECEIVE,
        queues: ["FIONREAD", "TIOCOUTQ"],
        options: [
          ["SOL_SOCKET, SO_SNDBUF", BUFFERS],
          ["SOL_SOCKET, SO_RCVBUF", BUFFERS],
          ["SOL_SOCKET, SO_RCVBUF", BUFFERS],
          ["SOL_SOCKET, SO_REUSEADDR", [0, 1]],
          ["SOL_SOCKET, SO_REUSEPORT", [0, 1]],
          ["SOL_SOCKET, SO_RCVLOWAT", [0, 1, 100]],
          ["SOL_SOCKET, SO_PEEK_OFF", [-1, 0, 2]],
        ],
      }),
    ],
  };
}

/** Over IPv4. */
export const udp: Family = family("udp", V4);
/** Over IPv6. */
export const udp6: Family = family("udp6", V6);
