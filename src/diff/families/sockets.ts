/**
 * What all sockets have: sends and receives with their flags, shutdown, options, queue lengths.
 */
import fc from "fast-check";
import type { Kind } from "../known-state.ts";
import { data, iovecRoom, iovecsOf, none, on, room, sizesAround, type Weighted } from "./family.ts";

/** What differs between socket types. */
export interface SocketTraits {
  /** Sockets that data goes through. */
  readonly data: readonly Kind[];
  /** Every kind of socket of the type. */
  readonly all: readonly Kind[];
  readonly sizes: readonly number[];
  /** Largest of the other sizes; the largest of `sizes`. */
  readonly sizeMost?: number;
  readonly sendFlags: readonly string[];
  readonly receiveFlags: readonly string[];
  /** Queue lengths that are not a matter of time. */
  readonly queues: readonly string[];
  /** A line behind each shutdown; none. */
  readonly afterShutdown?: string;
  /** Options that are set, with values. */
  readonly options: readonly (readonly [string, readonly number[]])[];
}

const ASKED = [
  "SO_ERROR",
  "SO_ERROR",
  "SO_SNDBUF",
  "SO_RCVBUF",
  "SO_RCVLOWAT",
  "SO_TYPE",
  "SO_ACCEPTCONN",
  "SO_DOMAIN",
];
const URGENT_MAX = 100;

/** Commands of sockets that can send and receive. */
export function socketCommands({
  data: kinds,
  all,
  sizes,
  sizeMost,
  sendFlags,
  receiveFlags,
  queues,
  afterShutdown,
  options,
}: SocketTraits): readonly Weighted[] {
  const size = sizesAround(sizes, sizeMost);
  const some = fc.array(size, { minLength: 1, maxLength: 3 });
  return [
    [
      6,
      on(kinds, "write", size, ({ name }, count, draft, known) =>
        draft.add(`write($${name}, ${data(count, known.token())}, ${count}) = ?`),
      ),
    ],
    [6, on(kinds, "read", size, ({ name }, count, draft) => draft.add(`read($${name}, ${room(count)}, ${count}) = ?`))],
    [
      4,
      on(kinds, "sendto", fc.tuple(size, fc.constantFrom(...sendFlags)), ({ name }, [count, flags], draft, known) => {
        const length = flags.includes("MSG_OOB") ? Math.min(count, URGENT_MAX) : count;
        draft.add(`sendto($${name}, ${data(length, known.token())}, ${length}, ${flags}, NULL, 0) = ?`);
      }),
    ],
    [
      5,
      on(
        kinds,
        "recvfrom",
        fc.tuple(size, fc.constantFrom(...receiveFlags), fc.constantFrom("NULL, NULL", "NULL, NULL", "?, [110]")),
        ({ name }, [count, flags, address], draft) =>
          draft.add(`recvfrom($${name}, ${room(count)}, ${count}, ${flags}, ${address}) = ?`),
      ),
    ],
    [
      1,
      on(kinds, "writev", some, ({ name }, counts, draft, known) =>
        draft.add(`writev($${name}, ${iovecsOf(counts, known.token())}, ${counts.length}) = ?`),
      ),
    ],
    [
      1,
      on(kinds, "readv", some, ({ name }, counts, draft) =>
        draft.add(`readv($${name}, ${iovecRoom(counts)}, ${counts.length}) = ?`),
      ),
    ],
    [
      1,
      on(kinds, "sendmmsg", fc.array(size, { minLength: 1, maxLength: 3 }), ({ name }, counts, draft, known) => {
        const token = known.token();
        const messages = counts.map(
          (count) =>
            `{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=${iovecsOf([count], token)}, msg_iovlen=1, msg_controllen=0, msg_flags=0}}`,
        );
        draft.add(`sendmmsg($${name}, [${messages.join(", ")}], ${counts.length}, 0) = ?`);
      }),
    ],
    [
      1,
      on(
        kinds,
        "recvmmsg",
        fc.tuple(some, fc.constantFrom("0", "MSG_PEEK", "MSG_WAITFORONE")),
        ({ name }, [counts, flags], draft) => {
          const messages = counts.map(
            (count) =>
              `{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=${iovecRoom([count])}, msg_iovlen=1, msg_controllen=0, msg_flags=0}}`,
          );
          draft.add(`recvmmsg($${name}, [${messages.join(", ")}], ${counts.length}, ${flags}, NULL) = ?`);
        },
      ),
    ],
    [
      2,
      on(all, "shutdown", fc.constantFrom("SHUT_RD", "SHUT_WR", "SHUT_RDWR", "7"), ({ name }, how, draft) => {
        draft.add(`shutdown($${name}, ${how}) = ?`);
        if (afterShutdown !== undefined) draft.add(afterShutdown);
      }),
    ],
    [
      3,
      on(
        all,
        "setsockopt",
        fc
          .constantFrom(...options)
          .chain(([option, values]) => fc.constantFrom(...values).map((value) => [option, value] as const)),
        ({ name }, [option, value], draft) => draft.add(`setsockopt($${name}, ${option}, [${value}], 4) = ?`),
      ),
    ],
    [
      2,
      on(all, "getsockopt", fc.constantFrom(...ASKED), ({ name }, option, draft) =>
        draft.add(`getsockopt($${name}, SOL_SOCKET, ${option}, ?, [4]) = ?`),
      ),
    ],
    [
      2,
      on(all, "queue lengths", fc.constantFrom(...queues), ({ name }, what, draft) =>
        draft.add(`ioctl($${name}, ${what}, ?) = ?`),
      ),
    ],
    [1, on(all, "SIOCATMARK", none, ({ name }, _none, draft) => draft.add(`ioctl($${name}, SIOCATMARK, ?) = ?`))],
    [
      1,
      on(all, "names", fc.constantFrom("getsockname", "getpeername"), ({ name }, call, draft) =>
        draft.add(`${call}($${name}, ?, [110]) = ?`),
      ),
    ],
    [
      1,
      on(all, "accept", none, ({ name }, _none, draft) =>
        draft.add(`accept4($${name}, NULL, @bad, SOCK_NONBLOCK) = ?`),
      ),
    ],
  ];
}
