/**
 * Counters of a run, at the places where the reference figures were counted in real Go.
 *
 * Counterpart: none in the runtime; `docs/go.md` sets them beside the measured ones.
 */

export class Stats {
  goroutines = 0;
  parks = 0;
  goready = 0;
  pickRunnext = 0;
  pickLocal = 0;
  pickGlobalTick = 0;
  pickGlobal = 0;
  pickNetpoll = 0;
  pickSteal = 0;
  stolen = 0;
  pickBlockingNetpoll = 0;
  netpollNonblocking = 0;
  netpollBlocking = 0;
  netpollTimed = 0;
  netpollSysmon = 0;
  netpollSysmonReady = 0;
  epollCalls = 0;
  epollEmpty = 0;
  epollFull = 0;
  events = 0;
  readersUnparked = 0;
  writersUnparked = 0;
  eventsNobody = 0;
  readyWithoutPark = 0;
  netpollBreaks = 0;
  netpollBreakWrites = 0;
  injected = 0;
  timersAdded = 0;
  timersRun = 0;
  entersyscall = 0;
  exitsyscallOldP = 0;
  exitsyscallOtherP = 0;
  exitsyscallNoP = 0;
  retaken = 0;
  preemptions = 0;
  handoffp = 0;
  wakep = 0;
  wakepSpinner = 0;
  wakepStartm = 0;
  newm = 0;
  wokeM = 0;
  spinning = 0;
  stopm = 0;
  sysmonRounds = 0;
  sysmonDeepSleeps = 0;
  gc = 0;
  /** Parks of goroutines other than the runtime's own, by reason. */
  readonly parksByReason: Map<string, number> = new Map();

  park(reason: string, system: boolean): void {
    this.parks += 1;
    if (!system) this.parksByReason.set(reason, (this.parksByReason.get(reason) ?? 0) + 1);
  }
}
