/**
 * Event masks as words.
 */
import { epollEvents } from "../trace/abi/symbols.ts";
import { printExpr } from "../trace/printer.ts";

/** `EPOLLIN|EPOLLET`; `0` for an empty mask. @param events - int32 or uint32. */
export function epollMask(events: number): string {
  return printExpr(epollEvents.printFlags(BigInt(events >>> 0)));
}
