/**
 * prctl: the timer slack.
 *
 * Counterpart: `kernel/sys.c` (`prctl`).
 */
import { Unmodelled } from "../kernel/lib/assert.ts";
import { DEFAULT_TIMER_SLACK_NS, type Task } from "../kernel/sched/task.ts";
import { toInt, toSize } from "./registers.ts";

const PR_SET_TIMERSLACK = 29;
const PR_GET_TIMERSLACK = 30;

/**
 * prctl(2) with PR_SET_TIMERSLACK and PR_GET_TIMERSLACK. The slack is kept and shown; timers of the model expire on the
 * nanosecond, which every slack permits.
 *
 * @param slackNs - ns; 0 asks for the default.
 * @throws Unmodelled for other options.
 * @kernel kernel/sys.c `prctl`
 * @behaviour E-112, E-113
 */
export function sysPrctl(task: Task, option: number, slackNs: number): number {
  switch (toInt(option)) {
    case PR_SET_TIMERSLACK:
      task.timerSlackNs = toSize(slackNs) === 0 ? DEFAULT_TIMER_SLACK_NS : toSize(slackNs);
      return 0;
    case PR_GET_TIMERSLACK:
      return task.timerSlackNs;
    default:
      throw new Unmodelled(`prctl(${toInt(option)})`);
  }
}
