/**
 * Findings of the doctor, and the catalogue of their ids. docs/doctor.md has an entry for each.
 */

/** `error`: the program loses events or burns the CPU, and the trace proves it. `warning`: it will, or wastes much. `note`: worth knowing. */
export type Severity = "error" | "warning" | "note";

/** An entry of the catalogue. */
export interface Kind {
  readonly id: string;
  /** A few words, as a title. */
  readonly name: string;
  readonly consequence: string;
  readonly remedy: string;
}

/** A line of the trace that a finding rests on. */
export interface EvidenceLine {
  readonly line: number;
  /** What this line has to do with it. */
  readonly note: string;
}

export interface Finding {
  readonly kind: Kind;
  readonly severity: Severity;
  /** One sentence with numbers. */
  readonly message: string;
  /** Oldest first, at least one. */
  readonly evidence: readonly EvidenceLine[];
  readonly fd: number | null;
  readonly task: string | null;
  /** How often it happened, where it happened more than once. */
  readonly count: number;
}

const entry = (id: string, name: string, consequence: string, remedy: string): Kind => ({
  id,
  name,
  consequence,
  remedy,
});

/** Keys of the catalogue. */
export type KindName =
  | "edgeStalled"
  | "edgeLeft"
  | "acceptLeft"
  | "writeUnfinished"
  | "oneshot"
  | "outlives"
  | "ghost"
  | "reused"
  | "inUnread"
  | "outIdle"
  | "hangup"
  | "hangupUnasked"
  | "endOfFile"
  | "counterUndrained"
  | "polling"
  | "herd"
  | "starved"
  | "modStorm"
  | "ctlErrors"
  | "leak"
  | "blocking"
  | "wakeups"
  | "latency";

export const kinds: Readonly<Record<KindName, Kind>> = {
  edgeStalled: entry(
    "D-001",
    "an edge-triggered descriptor was not read to EAGAIN, and stalled",
    "What is left announces itself no second time: it waits until the peer sends more, which it may never do.",
    "After each event read (or accept) until EAGAIN, or remember that the descriptor is still readable and come back to it.",
  ),
  edgeLeft: entry(
    "D-002",
    "an edge-triggered descriptor was not read to EAGAIN",
    "It went well this time, because more arrived or something else made the program read; the same program hangs when nothing does.",
    "After each event read until EAGAIN, or remember that the descriptor is still readable and come back to it.",
  ),
  acceptLeft: entry(
    "D-003",
    "connections were left in the backlog of an edge-triggered listener",
    "They wait until somebody else connects, and are accepted one behind from then on.",
    "After each event accept until EAGAIN, or watch the listener level-triggered.",
  ),
  writeUnfinished: entry(
    "D-004",
    "an edge-triggered writer stopped before EAGAIN and waited for room",
    "There was room all the time, so no EPOLLOUT comes: the rest is sent late, or never.",
    "Write until EAGAIN or until there is nothing left; wait for EPOLLOUT only after EAGAIN or a short write.",
  ),
  oneshot: entry(
    "D-005",
    "an EPOLLONESHOT registration was never armed again",
    "Whatever arrives from then on is not reported.",
    "End the handler with EPOLL_CTL_MOD (it looks at the descriptor at once, so nothing is lost), or remove the registration.",
  ),
  outlives: entry(
    "D-006",
    "a registration outlived its descriptor number",
    "close() ends a registration only with the last descriptor of the description; a duplicate or a forked child keeps it, and its events come under a number that is closed.",
    "EPOLL_CTL_DEL before close(), close-on-exec for what children must not keep.",
  ),
  ghost: entry(
    "D-007",
    "an event was reported for a descriptor number that was closed before",
    "The program is handed data that it has freed or given to somebody else, and cannot remove the registration by its number any more.",
    "EPOLL_CTL_DEL before close(); close what keeps the description alive.",
  ),
  reused: entry(
    "D-008",
    "an event was acted on after its descriptor had been closed and reused within the same batch",
    "The operation reaches a connection for which nothing was reported.",
    "Remember what was closed during a batch and skip its events: a generation number in epoll_data, or close after the batch.",
  ),
  inUnread: entry(
    "D-009",
    "EPOLLIN is reported again and again, and nobody reads",
    "Every wait returns at once: the loop burns a CPU without getting anything done.",
    "Read it, or take EPOLLIN out of the mask (EPOLL_CTL_MOD) while nothing is to be read.",
  ),
  outIdle: entry(
    "D-010",
    "EPOLLOUT stays armed while there is nothing to write",
    "A writable socket is always ready: every wait returns at once.",
    "Ask for EPOLLOUT only after a write gave EAGAIN or was short, and take it out again when the rest is written.",
  ),
  hangup: entry(
    "D-011",
    "a hang-up or an error is reported again and again, and nobody handles it",
    "EPOLLHUP and EPOLLERR cannot be masked out: every wait returns at once.",
    "Close the descriptor or remove it with EPOLL_CTL_DEL when EPOLLHUP, EPOLLRDHUP or EPOLLERR comes.",
  ),
  hangupUnasked: entry(
    "D-012",
    "EPOLLHUP or EPOLLERR on a registration with an empty mask",
    "A mask of 0 does not silence a descriptor: hang-ups and errors are reported all the same, and every wait returns at once.",
    "Remove the registration with EPOLL_CTL_DEL instead of emptying its mask.",
  ),
  endOfFile: entry(
    "D-013",
    "the end of file is read again and again",
    "A closed connection stays readable: every wait returns at once.",
    "Close the descriptor when read returns 0, or remove it from the epoll.",
  ),
  counterUndrained: entry(
    "D-014",
    "an eventfd, timerfd or signalfd is reported again and again, and nobody reads it",
    "Its count stays: every wait returns at once.",
    "Read its 8 bytes (128 of a signalfd) after each event, or watch it edge-triggered.",
  ),
  polling: entry(
    "D-015",
    "epoll_wait with time-out 0 in a loop",
    "The loop asks without waiting and burns a CPU.",
    "Give the wait the time to the next timer, or -1; wake it with an eventfd.",
  ),
  herd: entry(
    "D-016",
    "thundering herd: wake-ups for a connection that another task had accepted already",
    "Each connection wakes several tasks, and all but one find nothing.",
    "EPOLLEXCLUSIVE on the listener, or a listener for each task with SO_REUSEPORT.",
  ),
  starved: entry(
    "D-017",
    "a ready descriptor waits behind others for many rounds",
    "The array is full each time, so whoever stands behind is served late.",
    "A larger maxevents, or serve each descriptor for a bounded time.",
  ),
  modStorm: entry(
    "D-018",
    "EPOLL_CTL_MOD that changes nothing",
    "Each costs a system call and a look at the descriptor.",
    "Keep the mask beside the descriptor, and call epoll_ctl only when it changes.",
  ),
  ctlErrors: entry(
    "D-019",
    "epoll_ctl answers EEXIST or ENOENT",
    "The program's picture of what is registered is wrong: typically a descriptor was closed (which removes it) or reused.",
    "Keep the registration's state with the descriptor; EPOLL_CTL_DEL before close().",
  ),
  leak: entry(
    "D-020",
    "descriptors whose peer is gone are never closed",
    "They add up until EMFILE, and accept() fails.",
    "Close a descriptor when read returns 0, and after EPOLLHUP or EPOLLERR.",
  ),
  blocking: entry(
    "D-021",
    "a blocking descriptor is watched edge-triggered",
    "Reading until EAGAIN never ends: the last read sleeps, and the whole loop with it.",
    "O_NONBLOCK (SOCK_NONBLOCK, accept4) on whatever is watched with EPOLLET.",
  ),
  wakeups: entry(
    "D-022",
    "wake-ups that led to nothing",
    "Each costs two context switches and a scan.",
    "Look at what the loop was woken for (explain --at LINE), and ask for less.",
  ),
  latency: entry(
    "D-023",
    "ready descriptors wait long for service",
    "The time between an arrival and its first read is time that a client waits.",
    "Shorter handlers, more loops, or work moved to other threads.",
  ),
};
