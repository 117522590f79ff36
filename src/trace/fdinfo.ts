/**
 * The text of /proc/PID/fdinfo/N as values.
 *
 * Counterpart: `fs/eventpoll.c` `ep_show_fdinfo`, `fs/proc/fd.c` `seq_show`.
 */
import type { Expr } from "./ast.ts";
import { array, hex, int, named, struct } from "./build.ts";

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

/** The text without what differs from machine to machine: inode, mount and device numbers, positions of targets. */
export function portableFdinfo(text: string): string {
  return text
    .replace(/^(mnt_id|ino):.*$/gmu, "$1:\t?")
    .replace(/^(tfd:.*data:\s*[0-9a-f]+).*$/gmu, "$1")
    .replace(/^(it_value: ).*$/gmu, "$1?");
}
