/**
 * Explanations in words.
 */
import type { Verdict } from "../analysis/explain/absence.ts";
import type { Answer, Explanation, Unread, Waking } from "../analysis/explain/explain.ts";
import type { Fact } from "../analysis/explain/facts.ts";
import { wantedMask, wordsOfKey } from "./change-text.ts";
import type { Style } from "./style.ts";

const INDENT = "  ";
const NOT_FORESEEN =
  "the recording shows another result than the model gave (epollsim replay tells which): what follows is the model's, not what happened";

/** The lines of one explanation, without line feeds. */
export function* explanationText(explanation: Explanation, style: Style): Generator<string, void, undefined> {
  const { line, task, call, ending, answers, wakings, effects } = explanation;
  const who = task === null ? "" : ` of task ${task}`;
  yield style.strong(`line ${line}: ${call}${who}: ${endingText(explanation)}`);
  if (!explanation.foreseen) yield `${INDENT}${style.bad(NOT_FORESEEN)}`;
  for (const waking of wakings) yield* wakingText(waking, style);
  for (const answer of answers) yield* answerText(answer, style);
  if (ending === "time-out" && effects.length === 0) yield `${INDENT}it was not to wait (time-out 0)`;
  yield* chainText(effects, style);
}

function endingText({ ending, answers }: Explanation): string {
  switch (ending) {
    case "events":
      return `${answers.length} ${answers.length === 1 ? "event" : "events"}`;
    case "time-out":
      return "nothing, and its time was up";
    case "interrupted":
      return "nothing: a signal ended the wait";
    case "asleep":
      return "still asleep at the end";
    case "failed":
      return "failed";
    case "returned":
      return "what it set off";
    case "not-reached":
      return "never made: the run ended before it, or it has nothing to do with descriptors";
  }
}

function* wakingText(waking: Waking, style: Style): Generator<string, void, undefined> {
  yield `${INDENT}${style.strong(`${waking.task === null ? "it" : `task ${waking.task}`} was woken`)}${waking.in_vain ? style.warn(" in vain") : ""}`;
  yield* chainText(waking.facts, style);
  if (waking.waiters.length > 1) {
    const rest = waking.waiters.slice(1).join(", ");
    yield `${INDENT}${INDENT}${style.dim(`asleep there, newest first: ${waking.waiters[0]}, ${rest}; one wake-up takes the newest`)}`;
  }
}

/** The lines of one answer: the verdict, then the chain. */
export function* answerText(answer: Answer, style: Style): Generator<string, void, undefined> {
  const { fd, ep, verdict, facts, unread, stale_since } = answer;
  const where = ep === null ? "" : ` in epoll ${ep}`;
  const paint = verdict === "delivered" ? style.good : style.warn;
  yield `${INDENT}${style.strong(`fd ${fd}${where}`)}: ${paint(verdictText(verdict, answer))}`;
  yield* chainText(facts, style);
  if (unread.length > 0) yield `${INDENT}${INDENT}${style.dim(`to be read at that moment: ${unreadText(unread)}`)}`;
  if (stale_since !== null) {
    yield `${INDENT}${INDENT}${style.warn(`line ${stale_since} closed the number ${fd}, but the description lives on (dup, fork): the registration is still there, and no EPOLL_CTL_DEL by number reaches it`)}`;
  }
}

function unreadText(unread: readonly Unread[]): string {
  return unread.map(({ line, amount }) => `${amount}${line > 0 ? ` from line ${line}` : ""}`).join(", ");
}

function verdictText(verdict: Verdict, { unread, facts }: Answer): string {
  const last = facts.findLast(({ line }) => line > 0)?.line ?? 0;
  switch (verdict) {
    case "delivered":
      return "reported";
    case "queued":
      return "on the ready list: the next scan with room will look at it";
    case "disarmed":
      return "EPOLLONESHOT has disarmed it; only EPOLL_CTL_MOD arms it again";
    case "taken":
      return unread.length > 0
        ? "edge-triggered and reported already; what is left unread announces itself no second time"
        : "reported already, and nobody has announced anything since";
    case "drained":
      return "a look found it no longer ready, and nobody has announced anything since";
    case "filtered":
      return "announced, but not with what it asks for";
    case "exclusive":
      return "the wake-up went to another EPOLLEXCLUSIVE waiter";
    case "below-mark":
      return "something arrived without announcing itself: below SO_RCVLOWAT, or behind data that was there already";
    case "no-room":
      return "the other side has read, but not enough to announce room to write";
    case "quiet":
      return `nobody has announced anything since line ${last}`;
    case "erased":
      return "no longer registered";
  }
}

/** Events in words: what one call did stands behind its line, on one line. */
function* chainText(facts: readonly Fact[], style: Style): Generator<string, void, undefined> {
  for (let index = 0; index < facts.length; ) {
    const first = facts[index] as Fact;
    let end = index + 1;
    while (facts[end]?.line === first.line && facts[end]?.task === first.task) end += 1;
    const told = facts.slice(index, end).filter(({ what }) => what !== "call");
    const caller = first.call === null ? "" : `${first.task === null ? "" : `task ${first.task}, `}${first.call}: `;
    const place = first.line > 0 ? `line ${first.line}: ` : "";
    const text = told.map((fact) => describe(fact, style)).join("; ");
    yield `${INDENT}${INDENT}${style.dim(place)}${caller}${text}`;
    index = end;
  }
}

function describe(fact: Fact, style: Style): string {
  const { what, fd, ep, mask, why, list, amount, whom, call } = fact;
  const who = whom === null ? "the task" : `task ${whom}`;
  const item = `${fd ?? "?"}${ep === null ? "" : ` in epoll ${ep}`}`;
  switch (what) {
    case "call":
      return call ?? "a call";
    case "outside":
      return "from outside of the recording, as this line proves";
    case "timer":
      return "the time is up";
    case "return":
      return `the call returns ${amount}`;
    case "bytes":
      return `${amount} joined the queue`;
    case "taken":
      return `${amount} were taken from the queue`;
    case "wake":
      return `${fd === null ? "it" : `fd ${fd}`} announces ${style.kernel(wordsOfKey(mask ?? 0))}`;
    case "filtered":
      return `${item} ${filteredText(why, mask ?? 0, style)}`;
    case "queued":
      return `${item} joins ${style.kernel(list ?? "rdllist")}: ${queuedText(why)}`;
    case "delivered":
      return `${item} is reported with ${style.kernel(wordsOfKey(mask ?? 0))}`;
    case "dropped":
      return `${item} is taken off the list: a fresh look shows nothing that it asks for`;
    case "disarmed":
      return `${item} is disarmed by EPOLLONESHOT`;
    case "scan":
      return `a scan of epoll ${ep ?? "?"} begins`;
    case "scan-end":
      return `the scan of epoll ${ep ?? "?"} ends`;
    case "inserted":
      return `epoll ${ep ?? "?"} watches ${fd} for ${style.kernel(wantedMask(mask ?? 0))}`;
    case "modified":
      return `epoll ${ep ?? "?"} now watches ${fd} for ${style.kernel(wantedMask(mask ?? 0))}`;
    case "erased":
      return `${item} is no longer registered: ${erasedText(why)}`;
    case "waits":
      return `${who} waits on epoll ${ep ?? "?"}`;
    case "slept":
      return `${who} goes to sleep`;
    case "woken":
      return `${who} is woken`;
  }
}

function filteredText(why: string | null, mask: number, style: Style): string {
  const key = style.kernel(wordsOfKey(mask));
  if (why === "disarmed") return `is disarmed: the wake-up with ${key} is lost`;
  if (why === "linked") return `is on the ready list already when ${key} comes`;
  return `does not ask for ${key}: the wake-up is ignored`;
}

function queuedText(why: string | null): string {
  switch (why) {
    case "add":
      return "ready as it is added";
    case "mod":
      return "ready for its new mask";
    case "level":
      return "level-triggered, so back to the end";
    case "arrival":
      return "it came during the scan, which is over";
    default:
      return "by the wake-up";
  }
}

function erasedText(why: string | null): string {
  switch (why) {
    case "del":
      return "EPOLL_CTL_DEL";
    case "epoll":
      return "its epoll is closed";
    case "refused":
      return "the ADD was refused";
    default:
      return "the last descriptor of its description is closed";
  }
}
