/**
 * Commands on epolls: change the interest list, wait, sleep, look.
 */
import fc from "fast-check";
import { Act, choose, type Draft, hasEpoll, pick, roomLeft, type ScriptCommand, sources } from "./command.ts";
import type { Descriptor, KnownState, Waiter } from "./known-state.ts";

/** Tasks that may go to sleep. */
const SLEEPERS = ["B", "C"];
/** A number that nothing ever has. */
const NEVER_OPEN = 999;

// epoll_ctl

const bits = fc.constantFrom(
  "EPOLLIN",
  "EPOLLIN",
  "EPOLLOUT",
  "EPOLLIN|EPOLLOUT",
  "EPOLLIN|EPOLLRDHUP",
  "EPOLLIN|EPOLLPRI",
  "EPOLLRDNORM",
  "EPOLLWRNORM",
  "EPOLLRDBAND",
  "EPOLLRDHUP",
  "EPOLLPRI",
);
const flags = fc.constantFrom("", "", "|EPOLLET", "|EPOLLET", "|EPOLLONESHOT", "|EPOLLET|EPOLLONESHOT", "|EPOLLWAKEUP");
const mask = fc.oneof(
  { arbitrary: fc.tuple(bits, flags).map(([b, f]) => b + f), weight: 12 },
  { arbitrary: fc.constantFrom("0", "EPOLLET", "EPOLLONESHOT"), weight: 1 },
);
const exclusiveMask = fc.constantFrom(
  "EPOLLIN|EPOLLEXCLUSIVE",
  "EPOLLIN|EPOLLOUT|EPOLLEXCLUSIVE",
  "EPOLLIN|EPOLLEXCLUSIVE|EPOLLET",
  "EPOLLOUT|EPOLLEXCLUSIVE|EPOLLET",
  "EPOLLIN|EPOLLEXCLUSIVE|EPOLLONESHOT",
  "EPOLLIN|EPOLLRDHUP|EPOLLEXCLUSIVE",
);
const addMask = fc.oneof({ arbitrary: mask, weight: 8 }, { arbitrary: exclusiveMask, weight: 2 });

function eventText(events: string, token: number): string {
  return `{events=${events}, data={u32=${token}, u64=${token}}}`;
}

const add = fc.tuple(pick, pick, addMask).map(
  ([which, what, events]) =>
    new Act(
      "EPOLL_CTL_ADD",
      (known) => hasEpoll(known) && sources(known).length > 0,
      (known, draft) => {
        const epoll = choose(known.ofKind("epoll"), which);
        const fresh = sources(known).filter((candidate) => !known.isWatched(epoll, candidate));
        const target = choose(fresh.length > 0 ? fresh : sources(known), what);
        draft.add(`epoll_ctl($${epoll.name}, EPOLL_CTL_ADD, $${target.name}, ${eventText(events, known.token())}) = ?`);
        if (!forbiddenExclusive(events)) known.watch(epoll, target);
      },
    ),
);

function forbiddenExclusive(events: string): boolean {
  return events.includes("EPOLLEXCLUSIVE") && /EPOLLONESHOT|EPOLLRDHUP/.test(events);
}

const nest = fc.tuple(pick, pick, mask).map(
  ([which, what, events]) =>
    new Act(
      "nest",
      (known) => known.ofKind("epoll").length > 1,
      (known, draft) => {
        const outer = choose(known.ofKind("epoll"), which);
        const inner = choose(known.ofKind("epoll"), what);
        draft.add(`epoll_ctl($${outer.name}, EPOLL_CTL_ADD, $${inner.name}, ${eventText(events, known.token())}) = ?`);
        if (outer.file !== inner.file) known.watch(outer, inner);
      },
    ),
);

const modify = fc.tuple(pick, pick, mask).map(
  ([which, what, events]) =>
    new Act("EPOLL_CTL_MOD", hasWatch, (known, draft) => {
      const [epoll, target] = chooseWatch(known, which, what);
      draft.add(`epoll_ctl($${epoll.name}, EPOLL_CTL_MOD, $${target.name}, ${eventText(events, known.token())}) = ?`);
    }),
);

const remove = fc.tuple(pick, pick).map(
  ([which, what]) =>
    new Act("EPOLL_CTL_DEL", hasWatch, (known, draft) => {
      const [epoll, target] = chooseWatch(known, which, what);
      draft.add(`epoll_ctl($${epoll.name}, EPOLL_CTL_DEL, $${target.name}, NULL) = ?`);
      known.unwatch(epoll, target);
    }),
);

function hasWatch(known: Readonly<KnownState>): boolean {
  return known.ofKind("epoll").some((epoll) => known.watchedBy(epoll).length > 0);
}

function chooseWatch(known: KnownState, which: number, what: number): [Descriptor, Descriptor] {
  const epoll = choose(
    known.ofKind("epoll").filter((candidate) => known.watchedBy(candidate).length > 0),
    which,
  );
  return [epoll, choose(known.watchedBy(epoll), what)];
}

/** Arguments that some check refuses. The model must refuse them for the same reason. */
const badCtl = fc.tuple(pick, pick, fc.nat({ max: 8 })).map(
  ([which, what, how]) =>
    new Act("bad epoll_ctl", hasEpoll, (known, draft) => {
      const { name: ep } = choose(known.ofKind("epoll"), which);
      const { name: any } = choose(known.descriptors(), what);
      const stale = known.closed.length > 0 ? `$${choose(known.closed, what)}` : String(NEVER_OPEN);
      const event = eventText("EPOLLIN", 0);
      const forms = [
        `$${ep}, EPOLL_CTL_ADD, ${NEVER_OPEN}, ${event}`,
        `${NEVER_OPEN}, EPOLL_CTL_ADD, $${any}, ${event}`,
        `$${any}, EPOLL_CTL_ADD, $${ep}, NULL`,
        `$${ep}, 77, $${any}, ${event}`,
        `$${ep}, EPOLL_CTL_ADD, $${ep}, ${event}`,
        `$${ep}, EPOLL_CTL_DEL, $${any}, @bad`,
        `$${ep}, EPOLL_CTL_MOD, $${any}, @bad`,
        `$${ep}, EPOLL_CTL_MOD, $${any}, ${eventText("EPOLLIN|EPOLLEXCLUSIVE", 0)}`,
        `$${ep}, EPOLL_CTL_DEL, ${stale}, NULL`,
      ];
      // whether DEL meets a watched pair is known only for an open descriptor
      if (how === 5) known.unwatch(choose(known.ofKind("epoll"), which), choose(known.descriptors(), what));
      draft.add(`epoll_ctl(${choose(forms, how)}) = ?`);
    }),
);

// waiting and looking

const wait = fc.tuple(pick, fc.integer({ min: 1, max: 8 }), fc.constantFrom("wait", "wait", "pwait", "pwait2")).map(
  ([which, maxevents, form]) =>
    new Act("epoll_wait", hasEpoll, (known, draft) => {
      draft.add(waitText(choose(known.ofKind("epoll"), which).name, maxevents, form));
    }),
);

/** A wait that does not sleep. */
export function waitText(name: string, maxevents: number, form: string): string {
  switch (form) {
    case "pwait":
      return `epoll_pwait($${name}, ?, ${maxevents}, 0, NULL, 8) = ?`;
    case "pwait2":
      return `epoll_pwait2($${name}, ?, ${maxevents}, {tv_sec=0, tv_nsec=0}, NULL, 8) = ?`;
    default:
      return `epoll_wait($${name}, ?, ${maxevents}, 0) = ?`;
  }
}

/** A task goes to sleep in an epoll, unless something is ready there. */
const sleep = fc.tuple(pick, fc.integer({ min: 1, max: 4 })).map(
  ([which, maxevents]) =>
    new Act(
      "sleep in epoll_wait",
      (known) => roomLeft(known) && hasEpoll(known) && known.waiters.length < SLEEPERS.length,
      (known, draft) => {
        const { name, file } = choose(known.ofKind("epoll"), which);
        const epoll = known.name("k");
        const task = SLEEPERS[known.waiters.length] as string;
        known.hide(epoll, file);
        known.waiters.push({ task, epoll, maxevents });
        draft.add(`dup($${name}) = $${epoll}`);
        draft.add(`${task} epoll_wait($${epoll},  <unfinished ...>`);
      },
    ),
);

/** Whatever happened to a sleeper, this wakes it: a ready file that nobody else watches. */
export function wakeSleeper({ task, epoll, maxevents }: Waiter, known: KnownState, draft: Draft): void {
  const ready = known.name("ev");
  draft.add(`eventfd2(1, EFD_NONBLOCK) = $${ready}`);
  draft.add(`epoll_ctl($${epoll}, EPOLL_CTL_ADD, $${ready}, ${eventText("EPOLLIN", known.token())}) = ?`);
  draft.add(`${task} <... epoll_wait resumed>?, ${maxevents}, -1) = ?`);
}

const badWait = fc.tuple(pick, pick, fc.nat({ max: 6 })).map(
  ([which, what, how]) =>
    new Act("bad epoll_wait", hasEpoll, (known, draft) => {
      const { name: ep } = choose(known.ofKind("epoll"), which);
      const { name: any } = choose(known.descriptors(), what);
      const forms = [
        `epoll_wait($${ep}, ?, 0, 0)`,
        `epoll_wait($${ep}, ?, -1, 0)`,
        `epoll_wait($${ep}, NULL, 4, 0)`,
        `epoll_wait($${ep}, @edge-24, 4, 0)`,
        `epoll_wait($${ep}, @edge-12, 3, 0)`,
        `epoll_wait($${any}, ?, 0, 0)`,
        `epoll_wait($${any}, ?, 4, 0)`,
      ];
      draft.add(`${choose(forms, how)} = ?`);
    }),
);

const pollMask = pick.map(
  (which) =>
    new Act(
      "poll_mask",
      (known) => known.open.size > 0,
      (known, draft) => draft.add(`poll_mask($${choose(known.descriptors(), which).name}) = ?`),
    ),
);

/** The commands with their weights. */
export const epollCommands: readonly (readonly [number, fc.Arbitrary<ScriptCommand>])[] = [
  [5, add],
  [3, nest],
  [3, modify],
  [1, remove],
  [1, badCtl],
  [6, wait],
  [1, sleep],
  [1, badWait],
  [1, pollMask],
];

/** Those of them that never sleep. */
export const wakefulEpollCommands: typeof epollCommands = epollCommands.filter(([, command]) => command !== sleep);
