/**
 * The description of an epoll instance.
 *
 * Counterpart: `fs/eventpoll.c` (`eventpoll_fops`, `ep_eventpoll_poll`, `ep_show_fdinfo`, `ep_eventpoll_bp_ioctl`).
 */
import type { Kernel } from "../../kernel.ts";
import { Unmodelled } from "../../lib/assert.ts";
import { rbNext } from "../../lib/rbtree.ts";
import type { UserStruct } from "../../sched/process.ts";
import type { Task } from "../../sched/task.ts";
import { EPIOCGPARAMS, EPIOCSPARAMS } from "../../uapi/epoll.ts";
import { Errno } from "../../uapi/errno.ts";
import { Open } from "../../uapi/fcntl.ts";
import { File, noopSeek, type PollTable } from "../file.ts";
import { Eventpoll } from "./eventpoll.ts";

/** `struct epoll_params`: u32 usecs, u16 budget, u8 prefer, u8 pad. */
const PARAMS_SIZE = 8;
const NAPI_POLL_WEIGHT = 64;

export class EventpollFile extends File {
  readonly ep: Eventpoll;

  constructor(kernel: Kernel, user: UserStruct) {
    super(kernel, kernel.anonInode, Open.RDWR);
    this.ep = new Eventpoll(kernel, user);
    this.ep.file = this;
    this.epoll = this.ep;
  }

  override get link(): string {
    return "anon_inode:[eventpoll]";
  }

  override get hasRead(): boolean {
    return false;
  }

  override get hasWrite(): boolean {
    return false;
  }

  override poll(task: Task, pt: PollTable | null): number {
    if (pt !== null) pt.queue(this, this.ep.pollWait);
    return this.ep.readyPoll(task);
  }

  override seek(_offset: number, whence: number): number {
    return noopSeek(this.pos, whence);
  }

  /**
   * The busy-poll parameters: stored and shown, without effect on what is reported (E-202).
   *
   * @errno EINVAL - unknown request (ENOTTY before 6.9), or a parameter out of range. EPERM - a budget above 64 without
   *   CAP_NET_ADMIN. EFAULT - `arg`.
   * @behaviour E-013, E-200, E-201
   */
  override ioctl(task: Task, request: number, arg: number): number {
    if (!this.kernel.profile.epollIoctl) return -Errno.ENOTTY;
    const { mm } = task.process;
    const params = new Uint8Array(PARAMS_SIZE);
    const view = new DataView(params.buffer);
    const { ep } = this;
    switch (request) {
      case EPIOCSPARAMS: {
        if (mm.copyFromUser(params, 0, arg, PARAMS_SIZE) < PARAMS_SIZE) return -Errno.EFAULT;
        const usecs = view.getUint32(0, true);
        const budget = view.getUint16(4, true);
        const prefer = view.getUint8(6);
        if (view.getUint8(7) !== 0 || usecs > 0x7fffffff || prefer > 1) return -Errno.EINVAL;
        if (budget > NAPI_POLL_WEIGHT && !task.process.privileged) return -Errno.EPERM;
        ep.busyPollUsecs = usecs;
        ep.busyPollBudget = budget;
        ep.preferBusyPoll = prefer === 1;
        return 0;
      }
      case EPIOCGPARAMS:
        view.setUint32(0, ep.busyPollUsecs, true);
        view.setUint16(4, ep.busyPollBudget, true);
        view.setUint8(6, ep.preferBusyPoll ? 1 : 0);
        return mm.copyToUser(arg, params, 0, PARAMS_SIZE) < PARAMS_SIZE ? -Errno.EFAULT : 0;
      default:
        return -Errno.EINVAL;
    }
  }

  /** One `tfd:` line an item, in tree order: E-016, E-017. */
  override fdinfo(): string {
    if (this.ep.mtx.owner !== null) throw new Unmodelled("fdinfo of an epoll descriptor during a scan that sleeps");
    let text = "";
    for (let node = this.ep.rbr.leftmost; node !== null; node = rbNext(node)) {
      const { fd, file, events, dataLow, dataHigh } = node.owner;
      const data = ((BigInt(dataHigh >>> 0) << 32n) | BigInt(dataLow >>> 0)).toString(16);
      const mask = (events >>> 0).toString(16);
      const { ino, dev } = file.inode;
      text += `tfd: ${String(fd).padStart(8)} events: ${mask.padStart(8)} data: ${data.padStart(16)}  `;
      text += `pos:${file.pos} ino:${ino.toString(16)} sdev:${dev.toString(16)}\n`;
    }
    return text;
  }

  override release(): void {
    this.ep.clear();
  }
}
