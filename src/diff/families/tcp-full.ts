/**
 * A TCP connection over loopback whose buffers get full: writes up to EAGAIN, reads of parts, room that comes back.
 *
 * The receive buffer has a size of its own, since the kernel lets others grow as fast as a program reads, and that takes a clock. Nor
 * does anything here wait for timers: what is acknowledged late, and how much then fits, is left to them. Segments are not so small
 * that memory runs out before the window does, for then they are thrown away, and sent again after a time-out.
 */
import fc from "fast-check";
import type { Draft } from "../command.ts";
import type { Kind, KnownState } from "../known-state.ts";
import { drainCommand, everyFile } from "./every-file.ts";
import { data, type Family, none, on, room, type Weighted } from "./family.ts";
import { V4 } from "./ip.ts";
import { accept, openListener, openSocket } from "./tcp.ts";

const DATA: readonly Kind[] = ["tcp"];
const PORT = 7103;
const RCVBUF = [16_384, 40_000, 65_536, 100_000, 300_000];
const SNDBUF = [0, 0, 20_000, 65_536, 200_000];
/** Around segments, halves of windows, pieces of pages, and more than everything. */
const WRITES = [
  1000, 1448, 4096, 8192, 16_384, 20_481, 32_741, 32_768, 50_000, 65_483, 65_536, 100_000, 131_072, 300_000,
];
const READS = [100, 1000, 4096, 8192, 10_000, 32_768, 65_536, 100_000, 1_000_000];
const RECEIVE = ["0", "MSG_PEEK", "MSG_DONTWAIT", "MSG_TRUNC", "MSG_WAITALL"];
const SEND = ["0", "MSG_NOSIGNAL", "MSG_DONTWAIT", "MSG_EOR"];

const size = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...WRITES) },
  { weight: 1, arbitrary: fc.integer({ min: 1000, max: 200_000 }) },
);
const amount = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...READS) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 200_000 }) },
);

const commands: readonly Weighted[] = [
  [
    6,
    on(DATA, "write", size, ({ name }, count, draft, known) =>
      draft.add(`write($${name}, ${data(count, known.token())}, ${count}) = ?`),
    ),
  ],
  [
    3,
    on(DATA, "fill", fc.tuple(size, fc.integer({ min: 2, max: 12 })), ({ name }, [count, times], draft, known) => {
      for (let i = 0; i < times; i += 1) draft.add(`write($${name}, ${data(count, known.token())}, ${count}) = ?`);
    }),
  ],
  [
    2,
    on(DATA, "sendto", fc.tuple(size, fc.constantFrom(...SEND)), ({ name }, [count, flags], draft, known) =>
      draft.add(`sendto($${name}, ${data(count, known.token())}, ${count}, ${flags}, NULL, 0) = ?`),
    ),
  ],
  [6, on(DATA, "read", amount, ({ name }, count, draft) => draft.add(`read($${name}, ${room(count)}, ${count}) = ?`))],
  [
    3,
    on(DATA, "recvfrom", fc.tuple(amount, fc.constantFrom(...RECEIVE)), ({ name }, [count, flags], draft) =>
      draft.add(`recvfrom($${name}, ${room(count)}, ${count}, ${flags}, NULL, NULL) = ?`),
    ),
  ],
  [2, on(DATA, "FIONREAD", none, ({ name }, _none, draft) => draft.add(`ioctl($${name}, FIONREAD, ?) = ?`))],
  [
    1,
    on(
      DATA,
      "setsockopt",
      fc.constantFrom(
        ...["SOL_SOCKET, SO_RCVLOWAT, [1]", "SOL_SOCKET, SO_RCVLOWAT, [20000]", "SOL_SOCKET, SO_SNDBUF, [100000]"],
        ...["SOL_TCP, TCP_NODELAY, [1]", "SOL_TCP, TCP_NOTSENT_LOWAT, [30000]", "SOL_TCP, TCP_WINDOW_CLAMP, [30000]"],
      ),
      ({ name }, option, draft) => draft.add(`setsockopt($${name}, ${option}, 4) = ?`),
    ),
  ],
  [
    1,
    on(DATA, "shutdown", fc.constantFrom("SHUT_RD", "SHUT_WR"), ({ name }, how, draft) =>
      draft.add(`shutdown($${name}, ${how}) = ?`),
    ),
  ],
];

function open(known: KnownState, draft: Draft, variant: number): void {
  const rcvbuf = RCVBUF[variant % RCVBUF.length]!;
  const sndbuf = SNDBUF[Math.trunc(variant / RCVBUF.length) % SNDBUF.length]!;
  const listener = openListener(V4, PORT, 2, known, draft);
  const client = openSocket(V4, known, draft);
  for (const { name } of [listener, client]) {
    draft.add(`setsockopt($${name}, SOL_SOCKET, SO_RCVBUF, [${rcvbuf}], 4) = ?`);
    if (sndbuf > 0) draft.add(`setsockopt($${name}, SOL_SOCKET, SO_SNDBUF, [${sndbuf}], 4) = ?`);
  }
  draft.add(`connect($${client.name}, ${V4.address(PORT)}) = ?`);
  accept(listener, "NULL, NULL", known, draft);
}

/** With full buffers. */
export const tcpFull: Family = {
  name: "tcp-full",
  open,
  commands: [...everyFile, ...commands, [1, drainCommand(DATA)]],
};
