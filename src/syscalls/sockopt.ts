/**
 * setsockopt and getsockopt.
 *
 * Counterpart: `net/socket.c` (`do_sock_setsockopt`, `do_sock_getsockopt`).
 */
import { skGetsockopt, skSetsockopt } from "../kernel/net/sockopt.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { SOL_SOCKET } from "../kernel/uapi/socket.ts";
import { toInt } from "./registers.ts";
import { lookupSocket } from "./socket.ts";

/**
 * setsockopt(2).
 *
 * @errno EBADF, ENOTSOCK - the descriptor. EINVAL - a negative length. Others as `skSetsockopt`, or the protocol's.
 * @kernel net/socket.c `__sys_setsockopt`
 * @behaviour U-01, U-13, U-35, C-18, C-38
 */
export function sysSetsockopt(
  task: Task,
  fd: number,
  levelReg: number,
  option: number,
  addr: number,
  lengthReg: number,
): number {
  const file = lookupSocket(task, fd);
  if (typeof file === "number") return file;
  const length = toInt(lengthReg);
  if (length < 0) return -Errno.EINVAL;
  const level = toInt(levelReg);
  if (level === SOL_SOCKET) return skSetsockopt(task, file.sk, toInt(option), addr, length);
  return file.sk.setsockopt(task, level, toInt(option), addr, length);
}

/**
 * getsockopt(2).
 *
 * @errno EBADF, ENOTSOCK - the descriptor. Others as `skGetsockopt`, or the protocol's.
 * @kernel net/socket.c `__sys_getsockopt`
 * @behaviour U-01, U-35, C-27
 */
export function sysGetsockopt(
  task: Task,
  fd: number,
  levelReg: number,
  option: number,
  addr: number,
  lengthAddr: number,
): number {
  const file = lookupSocket(task, fd);
  if (typeof file === "number") return file;
  const level = toInt(levelReg);
  if (level === SOL_SOCKET) return skGetsockopt(task, file.sk, toInt(option), addr, lengthAddr);
  return file.sk.getsockopt(task, level, toInt(option), addr, lengthAddr);
}
