/**
 * AF_UNIX sockets of the three types: pairs, names, connections, buffers, peeking, urgent bytes, descriptors in flight.
 */
import fc from "fast-check";
import { choose, type Draft, pick } from "../command.ts";
import type { Kind, KnownState } from "../known-state.ts";
import { drainCommand, everyFile } from "./every-file.ts";
import { data, type Family, install, installPair, none, on, opens, room, type Weighted } from "./family.ts";
import { socketCommands } from "./sockets.ts";

const DATA: readonly Kind[] = ["unix"];
const LISTENER: readonly Kind[] = ["unix listener"];
const ALL: readonly Kind[] = ["unix", "unix listener"];
const MAY_BE_UNIX: ReadonlySet<Kind> = new Set<Kind>([...ALL, "received"]);
/** Around a byte, the first fragments, pages, the smallest buffers and the largest messages. */
const SIZES = [
  0, 1, 1, 2, 3, 100, 192, 193, 448, 512, 1000, 1984, 2048, 3776, 4000, 4096, 4097, 8192, 16000, 32768, 36864, 65536,
  100000, 212992,
];
const NAMES = ['sun_path=@"u1"}, 5', 'sun_path=@"u2"}, 5', 'sun_path="p1"}, 5', 'sun_path="gone"}, 7'];
const BUFFERS = [0, 1, 2304, 4096, 4608, 8192, 20000, 65536, 106496, 212992];
const SEND = ["0", "0", "MSG_NOSIGNAL", "MSG_DONTWAIT", "MSG_OOB", "MSG_OOB", "MSG_MORE", "MSG_EOR"];
const RECEIVE = [
  "0",
  "0",
  "MSG_PEEK",
  "MSG_PEEK",
  "MSG_OOB",
  "MSG_OOB|MSG_PEEK",
  "MSG_TRUNC",
  "MSG_PEEK|MSG_TRUNC",
  "MSG_WAITALL",
  "MSG_DONTWAIT",
];

function address(name: string): string {
  return `{sa_family=AF_UNIX, ${name}`;
}

function openPair(type: string, known: KnownState, draft: Draft): void {
  const [a, b] = installPair(known, ["s", "s"], ["unix", "unix"]);
  draft.add(`socketpair(AF_UNIX, ${type}|SOCK_NONBLOCK, 0, [$${a.name}, $${b.name}]) = ?`);
}

function openSocket(type: string, known: KnownState, draft: Draft): string {
  const { name } = install(known, "s", "unix");
  draft.add(`socket(AF_UNIX, ${type}|SOCK_NONBLOCK, 0) = $${name}`);
  return name;
}

/** A message with descriptors; what they are, whoever receives them does not know. */
const sendDescriptors = fc
  .tuple(fc.constantFrom(0, 1, 1, 3, 100, 4097), fc.array(pick, { minLength: 1, maxLength: 3 }))
  .chain(([count, which]) =>
    on(DATA, "send descriptors", none, ({ name }, _none, draft, known) => {
      const sent = which.map((index) => choose(known.descriptors(), index));
      const list = sent.map((descriptor) => `$${descriptor.name}`);
      known.collects ||= sent.some(({ file }) => MAY_BE_UNIX.has(file.kind));
      const length = 16 + 4 * list.length;
      draft.add(
        `sendmsg($${name}, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=${data(count, known.token())}, iov_len=${count}}], msg_iovlen=1, ` +
          `msg_control=[{cmsg_len=${length}, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[${list.join(", ")}]}], ` +
          `msg_controllen=${Math.ceil(length / 8) * 8}, msg_flags=0}, 0) = ?`,
      );
    }),
  );

const receiveMessage = on(
  DATA,
  "recvmsg",
  fc.tuple(
    fc.constantFrom(0, 1, 2, 100, 5000),
    fc.constantFrom(0, 16, 20, 24, 24, 40, 64),
    fc.constantFrom("0", "0", "MSG_PEEK", "MSG_CMSG_CLOEXEC", "MSG_TRUNC"),
  ),
  ({ name }, [count, control, flags], draft) =>
    draft.add(
      `recvmsg($${name}, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=${room(count)}, iov_len=${count}}], msg_iovlen=1, ` +
        `msg_controllen=${control}, msg_flags=0}, ${flags}) = ?`,
    ),
);

const wantCredentials = on(ALL, "SO_PASSCRED", fc.constantFrom(0, 1, 1), ({ name }, value, draft, known) => {
  if (known.collects) return;
  known.credentials = true;
  draft.add(`setsockopt($${name}, SOL_SOCKET, SO_PASSCRED, [${value}], 4) = ?`);
});

/** Takes one descriptor out of the next message, which may have none. */
const receiveDescriptor = on(DATA, "receive a descriptor", none, ({ name }, _none, draft, known) => {
  if (known.open.size > 11 || known.credentials) return;
  const received = install(known, "x", "received");
  draft.add(
    `recvmsg($${name}, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=?, iov_len=100}], msg_iovlen=1, ` +
      `msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[$${received.name}]}], msg_controllen=24, msg_flags=0}, 0) = ?`,
  );
});

const anyName = fc.constantFrom(...NAMES, ...NAMES.slice(0, 3));

function connecting(type: string): readonly Weighted[] {
  return [
    [1, opens("socketpair", none, (_none, draft, known) => openPair(type, known, draft))],
    [2, opens("socket", none, (_none, draft, known) => void openSocket(type, known, draft))],
    [2, on(ALL, "bind", anyName, ({ name }, to, draft) => draft.add(`bind($${name}, ${address(to)}) = ?`))],
    [4, on(ALL, "connect", anyName, ({ name }, to, draft) => draft.add(`connect($${name}, ${address(to)}) = ?`))],
    [1, opens("unlink", none, (_none, draft) => draft.add('unlink("p1") = ?'))],
    [
      2,
      on(ALL, "listen", fc.constantFrom(-1, 0, 1, 2, 5), ({ name, file }, backlog, draft) => {
        if (type !== "SOCK_DGRAM") file.kind = "unix listener";
        draft.add(`listen($${name}, ${backlog}) = ?`);
      }),
    ],
    [
      3,
      on(LISTENER, "accept4", fc.constantFrom("NULL, NULL", "?, [110]"), ({ name }, to, draft, known) => {
        if (known.open.size > 11) return;
        const accepted = install(known, "c", "unix");
        draft.add(`accept4($${name}, ${to}, SOCK_NONBLOCK) = $${accepted.name}`);
      }),
    ],
  ];
}

/** Datagram sockets send to names, and forget their peers. */
const datagrams: readonly Weighted[] = [
  [
    4,
    on(
      ALL,
      "sendto a name",
      fc.tuple(fc.constantFrom(0, 1, 100, 4096), anyName),
      ({ name }, [count, to], draft, known) =>
        draft.add(`sendto($${name}, ${data(count, known.token())}, ${count}, 0, ${address(to)}) = ?`),
    ),
  ],
  [
    1,
    on(ALL, "disconnect", none, ({ name }, _none, draft) =>
      draft.add(`connect($${name}, {sa_family=AF_UNSPEC}, 2) = ?`),
    ),
  ],
];

function family(name: string, type: string): Family {
  return {
    name,
    open: (known, draft, variant) => {
      openPair(type, known, draft);
      if (variant % 2 === 0) return;
      const listener = openSocket(type, known, draft);
      draft.add(`bind($${listener}, ${address(NAMES[0]!)}) = ?`);
      if (type === "SOCK_DGRAM") return;
      draft.add(`listen($${listener}, 2) = ?`);
      known.ofKind("unix").at(-1)!.file.kind = "unix listener";
    },
    commands: [
      ...everyFile,
      ...connecting(type),
      ...(type === "SOCK_DGRAM" ? datagrams : []),
      [1, drainCommand(DATA)],
      [1, wantCredentials],
      [2, sendDescriptors],
      [2, receiveDescriptor],
      [2, receiveMessage],
      ...socketCommands({
        data: DATA,
        all: ALL,
        sizes: SIZES,
        sendFlags: SEND,
        receiveFlags: RECEIVE,
        queues: ["FIONREAD", "TIOCOUTQ"],
        options: [
          ["SOL_SOCKET, SO_SNDBUF", BUFFERS],
          ["SOL_SOCKET, SO_SNDBUF", BUFFERS],
          ["SOL_SOCKET, SO_RCVBUF", BUFFERS],
          ["SOL_SOCKET, SO_RCVLOWAT", [0, 1, 2, 100, 5000]],
          ["SOL_SOCKET, SO_PEEK_OFF", [-1, 0, 2]],
          ["SOL_SOCKET, SO_OOBINLINE", [0, 1]],
          ["SOL_SOCKET, SO_BROADCAST", [0, 1]],
        ],
      }),
      [
        1,
        on(DATA, "fill", fc.constantFrom(1, 100, 1000, 4096, 10000), ({ name }, count, draft, known) => {
          for (let i = 0; i < 12; i += 1) draft.add(`write($${name}, ${data(count, known.token())}, ${count}) = ?`);
        }),
      ],
    ],
  };
}

/** Stream sockets. */
export const unixStream: Family = family("unix-stream", "SOCK_STREAM");
/** Datagram sockets. */
export const unixDgram: Family = family("unix-dgram", "SOCK_DGRAM");
/** Sequenced packets. */
export const unixSeqpacket: Family = family("unix-seqpacket", "SOCK_SEQPACKET");
