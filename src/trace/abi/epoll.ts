/**
 * epoll's calls.
 *
 * Counterpart: `fs/eventpoll.c` (the SYSCALL_DEFINEs), `include/uapi/linux/eventpoll.h`.
 */
import { EPOLL_EVENT_SIZE } from "../../kernel/uapi/epoll.ts";
import type { Expr } from "../ast.ts";
import { int as intExpr, named, struct as structExpr } from "../build.ts";
import { array, fieldAt, pointer, struct } from "./blocks.ts";
import type { BlockType, Encoder, WordType } from "./context.ts";
import { entryOf, field } from "./evaluate.ts";
import type { Word } from "./image.ts";
import { declare, param, type Signature } from "./signature.ts";
import { epollCreateFlags, epollCtls, epollEvents } from "./symbols.ts";
import { sigset, timespec } from "./time.ts";
import { enumeration, fd, flags, int, ulong, word } from "./words.ts";

/** `epoll_data`: printed as strace does, `{u32=4, u64=4}`; read from `{u64=4}`, `{u32=4}`, `{ptr=0x4}`, `{fd=4}` or `4`. */
export const epollData: WordType = {
  ...word(8, false, printData),
  toWord(expr: Expr, enc: Encoder): Word {
    const inner = entryOf(expr);
    if (inner.kind !== "struct") return enc.word(inner);
    const whole = field(inner, "u64", 1) ?? field(inner, "ptr", -1) ?? field(inner, "u32", 0) ?? field(inner, "fd", -1);
    return whole === null ? enc.fail(inner, "no value of epoll_data", "{u32=N, u64=N}") : enc.word(whole);
  },
};

function printData(value: bigint): Expr {
  return structExpr([named("u32", intExpr(BigInt.asUintN(32, value))), named("u64", intExpr(value))]);
}

/** `struct epoll_event`, packed. */
export const epollEvent: BlockType = struct(EPOLL_EVENT_SIZE, [
  fieldAt(0, "events", flags(epollEvents)),
  fieldAt(4, "data", epollData),
]);

const EPOLL_CTL_DEL = 2;
const eventIn = pointer(epollEvent, "in");
const eventsOut = pointer(array(epollEvent, EPOLL_EVENT_SIZE, { arg: 2 }, "result"), "out");
const maxevents = param("maxevents", int, 8);
const waitParams = [param("epfd", fd), param("events", eventsOut), maxevents];
const sigParams = [param("sigmask", pointer(sigset, "in"), 0), param("sigsetsize", ulong, 8)];

/** `EPOLL_CTL_DEL` never looks at its event, so strace prints the address. */
const delEvent: WordType = { ...eventIn, fromWord: (value, dec) => (value === 0n ? sym0 : dec.address(value)) };
const sym0: Expr = { kind: "sym", name: "NULL", note: null };

/** Declarations. */
export const epollCalls: readonly Signature[] = [
  declare("epoll_create", [param("size", int)]),
  declare("epoll_create1", [param("flags", flags(epollCreateFlags))]),
  declare("epoll_ctl", [
    param("epfd", fd),
    param("op", enumeration(epollCtls)),
    param("fd", fd),
    param("event", (arg) => (arg(1) === EPOLL_CTL_DEL ? delEvent : eventIn)),
  ]),
  declare("epoll_wait", [...waitParams, param("timeout", int, -1)]),
  declare("epoll_pwait", [...waitParams, param("timeout", int, -1), ...sigParams]),
  declare("epoll_pwait2", [...waitParams, param("timeout", pointer(timespec, "in"), 0), ...sigParams]),
];
