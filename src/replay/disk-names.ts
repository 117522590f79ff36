/**
 * Names in the file system: which the recording has made itself, of sockets and FIFOs, and which are the disk's affair.
 */
import { Mode } from "../kernel/uapi/fcntl.ts";
import { evalInt, field } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { NAMED_BY_PATH } from "./knowledge.ts";
import type { Machine } from "./machine.ts";
import { pathOf } from "./records.ts";

const PATH_MAX = 4096;

/** Whether a call names a file that the recording has not made itself as a socket or a FIFO. */
export function isOnDisk(machine: Machine, record: CallRecord): boolean {
  const path = pathOf(record);
  if (path === null) return NAMED_BY_PATH.has(record.name);
  return !record.name.startsWith("mknod") ? !machine.names.has(path) : !makesName(record);
}

const DISK_REFUSALS: ReadonlySet<string> = new Set("ENOENT ENOTDIR EACCES EROFS".split(" "));

/**
 * A bind or a connect to a path that the disk has refused, or a bind to one where the disk has a file that no call has made. Whoever
 * connects to a path that is not there finds nobody, which the model knows.
 */
export function isRefusedByDisk(machine: Machine, { name, args, result }: CallRecord): boolean {
  const isBind = name === "bind";
  const path = (isBind || name === "connect") && args[1]?.kind === "struct" ? field(args[1], "sun_path", 1) : null;
  const errno = result?.errnos[0] ?? "";
  if (path?.kind !== "str") return false;
  if (errno === "EADDRINUSE") return isBind && !machine.names.has(nameOf(path.bytes));
  return isBind ? DISK_REFUSALS.has(errno) : errno === "EACCES";
}

function nameOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, PATH_MAX));
}

/** A mknod of a FIFO or a socket that worked. */
function makesName(record: CallRecord): boolean {
  const mode = record.args[(NAMED_BY_PATH.get(record.name) ?? 0) + 1];
  const type = (mode === undefined ? 0 : (evalInt(mode) ?? 0)) & Mode.IFMT;
  return (type === Mode.IFIFO || type === Mode.IFSOCK) && (record.result?.errnos[0] ?? null) === null;
}

/** Keeps account of the names that the recording makes and removes. */
export function noteName(machine: Machine, record: CallRecord): void {
  if ((record.result?.errnos[0] ?? null) !== null) return;
  const path = pathOf(record);
  if (record.name === "bind") {
    const bound = record.args[1]?.kind === "struct" ? field(record.args[1], "sun_path", 1) : null;
    if (bound?.kind === "str") machine.names.add(nameOf(bound.bytes));
  } else if (path !== null && record.name.startsWith("mknod")) machine.names.add(path);
  else if (path !== null && record.name.startsWith("unlink")) machine.names.delete(path);
}
