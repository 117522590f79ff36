/**
 * The catalogue's sections: where a row belongs.
 */

/** Rows `first` to `last` of letter E, by section. */
const EPOLL: readonly (readonly [first: number, last: number, title: string])[] = [
  [1, 20, "creation, the descriptor"],
  [21, 48, "epoll_ctl: order of checks"],
  [49, 60, "identity of an item"],
  [61, 99, "ready list and delivery"],
  [100, 120, "epoll_wait: arguments, copying"],
  [121, 132, "signals"],
  [133, 142, "lifetime: close, dup, fork, exit"],
  [143, 154, "one file in many epolls"],
  [155, 163, "several waiters"],
  [164, 176, "scans and their lock"],
  [177, 195, "epoll in epoll"],
  [196, 203, "quota, busy poll"],
];

const FAMILIES: Readonly<Record<string, string>> = {
  P: "pipes and FIFOs",
  F: "descriptors, flags",
  V: "eventfd",
  T: "timerfd",
  S: "signalfd",
  D: "pidfd",
  U: "unix sockets",
  C: "TCP",
  G: "UDP",
  I: "inotify",
  Y: "pseudo-terminals",
  O: "other files",
  N: "between machines",
};

/** Title of the scripts that name no row. */
const NO_ROW = "without a row";

/** Titles in the order in which they are printed. */
export const sectionTitles: readonly string[] = [
  ...EPOLL.map(([, , title]) => `E ${title}`),
  ...Object.entries(FAMILIES).map(([letter, title]) => `${letter} ${title}`),
  NO_ROW,
];

/** The section of a row such as `E-081`. */
export function sectionOf(id: string | undefined): string {
  const [, letter = "", number = ""] = /^([A-Z])-(\d+)$/.exec(id ?? "") ?? [];
  if (letter === "E") {
    const section = EPOLL.find(([first, last]) => Number(number) >= first && Number(number) <= last);
    if (section !== undefined) return `E ${section[2]}`;
  }
  const title = FAMILIES[letter];
  return title === undefined ? NO_ROW : `${letter} ${title}`;
}
