/**
 * The text of /proc/PID/fdinfo/N as values.
 *
 * Counterpart: `fs/eventpoll.c` `ep_show_fdinfo`, `fs/proc/fd.c` `seq_show`.
 */
import type { Expr } from "./ast.ts";
import { array, hex, int, named, struct } from "./build.ts";

/** Bytes as text, a character each. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** One `tfd:` line. */
export interface FdinfoItem {
  readonly tfd: number;
  readonly events: number;
  readonly data: bigint;
  /** `pos`, `ino`, `sdev` of the target as they stand there; they differ from machine to machine. */
  readonly target: string;
}

const ITEM = /^tfd:\s*(-?\d+)\s+events:\s*([0-9a-f]+)\s+data:\s*([0-9a-f]+)\s*(.*)$/u;

/** The interest list in an epoll descriptor's fdinfo, in its order. */
export function fdinfoItems(text: string): FdinfoItem[] {
  const items: FdinfoItem[] = [];
  for (const line of text.split("\n")) {
    const [, tfd, events, data, target] = ITEM.exec(line) ?? [];
    if (tfd === undefined) continue;
    items.push({
      tfd: Number(tfd),
      events: Number.parseInt(events!, 16),
      data: BigInt(`0x${data}`),
      target: target!.trimEnd(),
    });
  }
  return items;
}

/** `[{tfd=4, events=0x19, data=0x4}, ...]`. */
export function printItems(items: readonly FdinfoItem[]): Expr {
  return array(
    items.map(({ tfd, events, data }) =>
      struct([named("tfd", int(tfd)), named("events", hex(events)), named("data", hex(data))]),
    ),
  );
}

/** Whole lines that tell of the machine: mount and inode numbers, the id of an eventfd, process ids, the time that is left. */
const OWN_LINES = /^(mnt_id|ino|eventfd-id|Pid|NSpid|it_value):.*$/gmu;

/** The text without what differs from machine to machine. */
export function portableFdinfo(text: string): string {
  return text
    .replace(OWN_LINES, "$1: ?")
    .replace(/^(tfd:.*data:\s*[0-9a-f]+).*$/gmu, "$1")
    .replace(/^(inotify wd:\S+) .*?( mask:\S+).*$/gmu, "$1$2")
    .replace(/[ \t]+$/gmu, "");
}

/** The lines with an epoll's items and an inotify's watches sorted, since the kernel's own order is that of addresses. */
export function sortedFdinfo(text: string): string {
  const lines = text.split("\n");
  const isItem = (line: string): boolean => line.startsWith("tfd:") || line.startsWith("inotify ");
  return [...lines.filter((line) => !isItem(line)), ...lines.filter(isItem).sort()].join("\n");
}
