/**
 * Every family of commands by its name.
 */
import { dev } from "./dev.ts";
import { epoll } from "./epoll.ts";
import { eventfd } from "./eventfd.ts";
import type { Family } from "./family.ts";
import { fifo } from "./fifo.ts";
import { inotify } from "./inotify.ts";
import { pidfd } from "./pidfd.ts";
import { pipe } from "./pipe.ts";
import { pty } from "./pty.ts";
import { regular } from "./regular.ts";
import { signalfd } from "./signalfd.ts";
import { tcp, tcp6 } from "./tcp.ts";
import { tcpFull } from "./tcp-full.ts";
import { timerfd } from "./timerfd.ts";
import { udp, udp6 } from "./udp.ts";
import { unixDgram, unixSeqpacket, unixStream } from "./unix.ts";

const single: readonly Family[] = [
  pipe,
  fifo,
  eventfd,
  timerfd,
  signalfd,
  pidfd,
  inotify,
  pty,
  regular,
  unixStream,
  unixDgram,
  unixSeqpacket,
  tcp,
  tcp6,
  tcpFull,
  udp,
  udp6,
  epoll,
  dev,
];

/** Families whose files may stand in one script: the others need a world of their own (signals, children, workers). */
const mixed: readonly Family[] = [pipe, fifo, eventfd, timerfd, regular, unixStream, tcp, udp];

/** Several types of files in one script. */
const mix: Family = {
  name: "mix",
  open: (known, draft, variant) => {
    mixed[variant % mixed.length]!.open(known, draft, variant);
    mixed[(variant * 3 + 1) % mixed.length]!.open(known, draft, variant);
  },
  commands: mixed.flatMap(({ commands }) => commands),
};

/** Families in the order in which they take turns. */
export const families: readonly Family[] = [...single, mix];

/** What `all` stands for: every family but `tcp-full`, where the model still differs in places (see docs/diff.md). */
export const allFamilies: readonly Family[] = families.filter((family) => family !== tcpFull);

/** The family of a name; null for a name that nobody has. */
export function familyNamed(name: string): Family | null {
  return families.find((family) => family.name === name) ?? null;
}
