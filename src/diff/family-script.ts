/**
 * Scripts about one type of file: after each operation everything is looked at.
 *
 * Three epolls watch every descriptor: level-triggered for all events, edge-triggered for all, and edge-triggered for a single one,
 * which tells the key of a wake. They are asked first, then the poll mask of each descriptor, so that a script shows which
 * operation changed what.
 */
import fc from "fast-check";
import { Act, choose, Draft, pick, type ScriptCommand } from "./command.ts";
import type { Family, Weighted } from "./families/family.ts";
import { type Kind, KnownState } from "./known-state.ts";
import { hashText, mix } from "./mix.ts";

/** Operations of one script, besides what it opens first and the looks. */
export const OPERATIONS_PER_SCRIPT = 40;
/** Some commands do not apply where they come up. */
const DRAWN = 4 * OPERATIONS_PER_SCRIPT;

const BITS = [
  "EPOLLIN",
  "EPOLLOUT",
  "EPOLLRDNORM",
  "EPOLLWRNORM",
  "EPOLLPRI",
  "EPOLLRDBAND",
  "EPOLLWRBAND",
  "EPOLLRDHUP",
  "0",
];
const ALL = BITS.slice(0, -1).join("|");
const LEVEL = "lt";
const EDGE = "et";
const SINGLE = "one";
const WATCHERS = [EDGE, SINGLE, LEVEL];
/** epoll refuses them, so one attempt is enough. */
const REFUSED: ReadonlySet<Kind> = new Set<Kind>(["regular", "dev"]);
const MAXEVENTS = 32;
/** Longer than the worker that looks for unreachable sockets takes to start, even on a busy machine. */
const COLLECTED = "nanosleep({tv_sec=0, tv_nsec=15000000}, NULL) = ?";

const remask = fc
  .tuple(
    pick,
    fc.constantFrom(...WATCHERS),
    fc.constantFrom(ALL, ...BITS),
    fc.constantFrom("", "|EPOLLET", "|EPOLLONESHOT"),
  )
  .map(
    ([which, watcher, bits, how]) =>
      new Act(
        "EPOLL_CTL_MOD",
        (known) => known.open.size > 0,
        (known, draft) => {
          const { name } = choose(known.descriptors(), which);
          const token = known.token();
          draft.add(
            `epoll_ctl($${watcher}, EPOLL_CTL_MOD, $${name}, {events=${bits}${how}, data={u32=${token}, u64=${token}}}) = ?`,
          );
        },
      ),
  );

/** The text of script `index` of a family. */
export function familyScript(family: Family, index: number, seed: number): string {
  const known = new KnownState();
  const draft = new Draft();
  draft.add(`# generated: seed ${seed}, ${family.name} ${index}`);
  for (const name of WATCHERS) openWatcher(name, known, draft);
  const looks = new Looks(known, draft, family.apart ?? false);
  family.open(known, draft, index);
  looks.take();
  const [drawn] = fc.sample(sequenceOf(family), {
    seed: mix(seed ^ hashText(family.name), index),
    numRuns: 1,
    unbiased: true,
  });
  let operations = 0;
  for (const command of drawn ?? []) {
    if (!command.check(known)) continue;
    command.run(known, draft);
    if (known.collects) collect(known, draft);
    looks.take();
    operations += 1;
    if (operations === OPERATIONS_PER_SCRIPT) break;
  }
  return `${draft.lines.join("\n")}\n`;
}

/**
 * The collector of unreachable sockets is the machine's: any program that closes a unix socket sets it off. So each operation
 * does that, too, and waits until it has looked.
 */
function collect(known: KnownState, draft: Draft): void {
  const name = known.name("gc");
  draft.add(`socket(AF_UNIX, SOCK_STREAM, 0) = $${name}`);
  draft.add(`close($${name}) = ?`);
  draft.add(COLLECTED);
}

const sequences = new Map<string, fc.Arbitrary<ScriptCommand[]>>();

function sequenceOf({ name, commands }: Family): fc.Arbitrary<ScriptCommand[]> {
  const known = sequences.get(name);
  if (known !== undefined) return known;
  const weighted: readonly Weighted[] = [[2, remask], ...commands];
  const any = fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })));
  const made = fc.array(any, { minLength: DRAWN, maxLength: DRAWN, size: "max" });
  sequences.set(name, made);
  return made;
}

/** Looks at everything, and watches what is new. */
class Looks {
  readonly #known: KnownState;
  readonly #draft: Draft;
  readonly #apart: boolean;
  readonly #watched = new Set<string>();
  /** Epolls to ask. */
  readonly #epolls: string[] = [...WATCHERS];

  constructor(known: KnownState, draft: Draft, apart: boolean) {
    this.#known = known;
    this.#draft = draft;
    this.#apart = apart;
  }

  take(): void {
    const descriptors = this.#known.descriptors();
    for (const { name, file } of descriptors) {
      if (this.#watched.has(name)) continue;
      this.#watched.add(name);
      if (this.#apart) this.#watchApart(name);
      else this.#watch(name, file.kind);
    }
    for (const name of this.#epolls) this.#draft.add(`epoll_wait($${name}, ?, ${MAXEVENTS}, 0) = ?`);
    for (const { name } of descriptors) this.#draft.add(`poll_mask($${name}) = ?`);
  }

  #watch(name: string, kind: Kind): void {
    const token = this.#known.token();
    this.#add(LEVEL, name, token, ALL);
    if (REFUSED.has(kind)) return;
    this.#add(EDGE, name, token, `${ALL}|EPOLLET`);
    this.#add(SINGLE, name, token, `${BITS[token % BITS.length]}|EPOLLET`);
  }

  #watchApart(name: string): void {
    const token = this.#known.token();
    for (const events of [ALL, BITS[token % BITS.length]]) {
      const epoll = this.#known.name("e");
      openWatcher(epoll, this.#known, this.#draft);
      this.#epolls.push(epoll);
      this.#add(epoll, name, token, `${events}|EPOLLET`);
    }
  }

  #add(epoll: string, name: string, token: number, events: string): void {
    this.#draft.add(
      `epoll_ctl($${epoll}, EPOLL_CTL_ADD, $${name}, {events=${events}, data={u32=${token}, u64=${token}}}) = ?`,
    );
  }
}

function openWatcher(name: string, known: KnownState, draft: Draft): void {
  known.hide(name, { kind: "epoll", peer: null });
  // the name in front is the parent of children
  draft.add(`${draft.lines.length === 1 ? "A " : ""}epoll_create1(0) = $${name}`);
}
