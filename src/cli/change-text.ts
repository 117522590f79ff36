/**
 * Changes inside the kernel, in words.
 */
import type { Change, ListPicture } from "../export/changes.ts";
import { epollMask } from "../export/mask.ts";
import type { Style } from "./style.ts";

/** Bits that every registration has, so that nobody needs to read them. */
const ALWAYS = /\|EPOLLERR|\|EPOLLHUP|EPOLLERR\|EPOLLHUP\|?/g;
const MARK_WIDTH = 9;

/** One line without indentation and line feed: a mark, the structure concerned, what happened. */
export function changeText(change: Change, style: Style): string {
  const { mark, where, text } = describe(change, style);
  return `${mark} ${style.kernel(where.padEnd(MARK_WIDTH))} ${text}`;
}

interface Parts {
  readonly mark: string;
  readonly where: string;
  readonly text: string;
}

function describe(change: Change, style: Style): Parts {
  const { good, warn, dim } = style;
  switch (change.what) {
    case "inserted":
      return {
        mark: good("+"),
        where: "rbr",
        text: `${epoll(change.ep)} watches ${change.fd} for ${wantedMask(change.events)}`,
      };
    case "erased":
      return { mark: warn("-"), where: "rbr", text: `${epoll(change.ep)} no longer watches ${change.fd}` };
    case "queued":
      return describeQueued(change, style);
    case "dropped":
      return {
        mark: warn("<"),
        where: "rdllist",
        text: `${change.fd} dropped: a fresh look shows nothing of ${wantedMask(change.events)}`,
      };
    case "filtered":
      return { mark: dim("~"), where: "callback", text: dim(describeFiltered(change)) };
    case "disarmed":
      return { mark: warn("x"), where: "oneshot", text: `${change.fd} is disarmed until the next EPOLL_CTL_MOD` };
    case "wake":
      return {
        mark: dim("!"),
        where: "wake",
        text: dim(`${change.fd ?? "a closed file"} announces ${wordsOfKey(change.key)}`),
      };
    case "slept":
      return { mark: dim("z"), where: "task", text: `${change.task} goes to sleep` };
    case "time":
      return { mark: dim("@"), where: "clock", text: `${duration(change.ns)} pass` };
    case "woken":
      return { mark: good("*"), where: "task", text: `${change.task} wakes up` };
  }
}

const CAUSES = {
  add: "is ready as it is added",
  mod: "is ready for its new mask",
  wake: "queued by the wake",
  level: "is level-triggered: back to the end",
  arrival: "came during the scan, which is over",
} as const;

function describeQueued(change: Change & { what: "queued" }, style: Style): Parts {
  const text =
    change.list === "ovflist"
      ? `${change.fd} parked: a scan of ${epoll(change.ep)} is under way`
      : `${change.fd} ${CAUSES[change.cause]}`;
  return {
    mark: style.good(">"),
    where: change.list,
    text: `${text}  ${style.dim(`${epoll(change.ep)}: ${list(change.now)}`)}`,
  };
}

function describeFiltered(change: Change & { what: "filtered" }): string {
  const item = `${change.fd} in ${epoll(change.ep)}`;
  switch (change.why) {
    case "disarmed":
      return `${item} is disarmed: the wake is lost`;
    case "mask":
      return `${item} asks for ${wantedMask(change.events)} only: the wake is ignored`;
    case "linked":
      return `${item} is on the ready list already`;
  }
}

function epoll(fd: number | null): string {
  return fd === null ? "a closed epoll" : `epoll ${fd}`;
}

function list(picture: ListPicture): string {
  return `[${picture.fds.join(" ")}${picture.more > 0 ? ` +${picture.more}` : ""}]`;
}

/** A mask without the bits that are always in it. */
export function wantedMask(events: number): string {
  const text = epollMask(events).replace(ALWAYS, "");
  return text === "" ? "errors and hang-ups" : text;
}

/** A wake-up's key. */
export function wordsOfKey(mask: number): string {
  return mask === 0 ? "a change, without saying which" : epollMask(mask);
}

const UNITS = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "us"],
] as const;

/** `1.5 ms`. */
function duration(ns: number): string {
  const [size, unit] = UNITS.find(([least]) => ns >= least) ?? [1, "ns"];
  return `${Number((ns / size).toPrecision(6))} ${unit}`;
}
