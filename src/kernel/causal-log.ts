/**
 * The causal log: what happened inside the kernel, each event with an id and the event that caused it.
 *
 * Counterpart: none in Linux; with tracepoints one would have the events, but not their causes.
 *
 * How to build on it: `kernel.observer = new CausalLog(origins)` before the first call; afterwards (or between calls) read events by
 * id with `kind(id)`, `cause(id)`, `call(id)` and so on, from `first` up to, not with, `end`. `cause` leads one step back, `call`
 * at once to the root: the call, the timer or the outside action during which it happened; its `x` is the line that `origins` gave. What
 * `subject`, `ep`, `x` and `y` hold is said at each kind (`causal-kinds.ts`). A chain always ends at a root, whose cause is 0.
 *
 *     write (CALL) <- bytes queued (BYTES) <- wake-up (WAKE) <- item queued (QUEUED) <- task woken (WOKEN)
 *                                                                       ^ event stored (DELIVERED) <- put back (QUEUED, level)
 *
 * Events are rows of integers in chunks, so that one costs 32 bytes and no object; the oldest chunks are forgotten when there are
 * more than `chunksMax`. Ids are never reused.
 */
import { Erase, Kind, Queue, ReadyList, Why } from "./causal-kinds.ts";
import type { Epitem } from "./fs/eventpoll/epitem.ts";
import type { Eventpoll } from "./fs/eventpoll/eventpoll.ts";
import type { File } from "./fs/file.ts";
import { PipeFile } from "./fs/pipe-file.ts";
import { SocketFile } from "./net/socket.ts";
import { type EraseCause, KernelObserver, type QueueCause } from "./observer.ts";
import type { Task } from "./sched/task.ts";
import type { Hrtimer } from "./time/hrtimer.ts";

/** A registration: what it watches, under which number. `ep` and `file` are `File.id`s. */
export interface ItemNote {
  readonly ep: number;
  readonly file: number;
  readonly fd: number;
}

/** A description as it was when the log first met it. */
export interface FileNote {
  /** As /proc/PID/fd shows it. */
  readonly link: string;
  /** The queue that its readers take from. */
  readonly queue: number;
  /** Itself, as it is now. */
  readonly file: File;
}

const STRIDE = 8;
const CHUNK_BITS = 15;
const CHUNK_EVENTS = 1 << CHUNK_BITS;
/** 8 million events, 256 MiB. */
const CHUNKS_MAX = 256;
const INT_MAX = 0x7fffffff;

/** What the origins of calls stand for. */
export interface Origins {
  /** A line of a script or recording, counted from 1; 0 when there is none. */
  line(origin: object): number;
  /** Whether the call is made on a descriptor, which is its first argument. */
  takesFd(origin: object): boolean;
}

export class CausalLog extends KernelObserver {
  readonly #origins: Origins;
  readonly #chunksMax: number;
  readonly #chunks: (Int32Array | null)[] = [];
  /** Ids start at 1: 0 stands for no event. */
  #end = 1;
  #first = 1;
  /** The root of what happens now, and the latest event that can wake somebody. */
  #root = 0;
  /** The first event of the running section. */
  #section = 0;
  #cause = 0;
  #lastWake = 0;
  /** The latest event, if the running section made it and it moved bytes: what a wake then announces. */
  #moved = 0;
  readonly #items: ItemNote[] = [];
  readonly #itemOf = new WeakMap<Epitem, number>();
  /** By item: its latest INSERTED or MODIFIED, and its latest QUEUED. */
  readonly #look: number[] = [];
  readonly #queuedBy: number[] = [];
  /** By file: its latest WAKE. */
  readonly #wakeOf = new Map<number, number>();
  readonly #files = new Map<number, FileNote>();
  readonly #tasks: Task[] = [];
  readonly #taskOf = new WeakMap<Task, number>();
  /** By task: its latest CALL, and the epoll in whose queue it waits. */
  readonly #callOf: number[] = [];
  readonly #waitsOn: number[] = [];
  readonly #queueOf = new WeakMap<object, number>();
  /** By timer: line of the call that armed it. */
  readonly #armedAt = new WeakMap<Hrtimer, number>();
  /** By queue: how much has ever joined it, and left it. */
  readonly #joined: number[] = [];
  readonly #left: number[] = [];

  /** @param chunksMax - chunks of 32768 events that are kept. */
  constructor(origins: Origins, chunksMax: number = CHUNKS_MAX) {
    super();
    this.#origins = origins;
    this.#chunksMax = chunksMax;
  }

  // reading

  /** Id of the oldest event that is still kept. */
  get first(): number {
    return this.#first;
  }

  /** The id that the next event will get. */
  get end(): number {
    return this.#end;
  }

  #cell(id: number, column: number): number {
    const chunk = this.#chunks[id >> CHUNK_BITS];
    if (chunk === undefined || chunk === null) throw new RangeError(`causal log: event ${id} is not kept`);
    return chunk[(id & (CHUNK_EVENTS - 1)) * STRIDE + column] as number;
  }

  kind(id: number): Kind {
    return this.#cell(id, 0) as Kind;
  }

  /** The event that caused this one; 0 for a root, and where the cause is forgotten. */
  cause(id: number): number {
    const cause = this.#cell(id, 1);
    return cause < this.#first ? 0 : cause;
  }

  /** The call, timer or outside action in which it happened; itself for a root. 0 where nobody said. */
  call(id: number): number {
    const call = this.#cell(id, 2);
    return call < this.#first ? 0 : call;
  }

  subject(id: number): number {
    return this.#cell(id, 3);
  }

  ep(id: number): number {
    return this.#cell(id, 4);
  }

  x(id: number): number {
    return this.#cell(id, 5);
  }

  y(id: number): number {
    return this.#cell(id, 6);
  }

  /** Line of the call (or of the proof) in which an event happened; 0 when that is not known. */
  line(id: number): number {
    const call = this.call(id);
    return call === 0 ? 0 : this.x(call);
  }

  item(number: number): ItemNote {
    return this.#items[number] as ItemNote;
  }

  get nrItems(): number {
    return this.#items.length;
  }

  itemOf(epi: Epitem): number {
    return this.#itemOf.get(epi) ?? -1;
  }

  /** Null for a description that has never woken anybody and was never watched. */
  file(id: number): FileNote | null {
    return this.#files.get(id) ?? null;
  }

  task(number: number): Task {
    return this.#tasks[number] as Task;
  }

  /** What a reader of the queue could take now. */
  unread(queue: number): number {
    return (this.#joined[queue] ?? 0) - (this.#left[queue] ?? 0);
  }

  /** The queue behind a description. */
  queueBehind(file: File): number {
    return this.#note(file).queue;
  }

  // writing

  #add(kind: Kind, cause: number, subject: number, ep: number, x: number, y: number): number {
    const id = this.#end;
    const index = id >> CHUNK_BITS;
    let chunk = this.#chunks[index];
    if (chunk === undefined || chunk === null) {
      chunk = new Int32Array(CHUNK_EVENTS * STRIDE);
      this.#chunks[index] = chunk;
      const gone = index - this.#chunksMax;
      if (gone >= 0) {
        this.#chunks[gone] = null;
        this.#first = (gone + 1) << CHUNK_BITS;
      }
    }
    const at = (id & (CHUNK_EVENTS - 1)) * STRIDE;
    chunk[at] = kind;
    chunk[at + 1] = cause;
    chunk[at + 2] = kind <= Kind.TIMER ? id : this.#root;
    chunk[at + 3] = subject;
    chunk[at + 4] = ep;
    chunk[at + 5] = x;
    chunk[at + 6] = y;
    this.#end = id + 1;
    return id;
  }

  #begin(kind: Kind, subject: number, x: number, y: number): number {
    const id = this.#add(kind, 0, subject, 0, x, y);
    this.#enterRoot(id);
    return id;
  }

  #enterRoot(id: number): void {
    this.#root = id;
    this.#section = this.#end;
    this.#cause = id;
    this.#lastWake = 0;
    this.#moved = 0;
  }

  #taskNumber(task: Task): number {
    let number = this.#taskOf.get(task);
    if (number === undefined) {
      number = this.#tasks.length;
      this.#tasks.push(task);
      this.#taskOf.set(task, number);
      this.#callOf.push(0);
      this.#waitsOn.push(0);
    }
    return number;
  }

  #note(file: File): FileNote {
    let note = this.#files.get(file.id);
    if (note === undefined) {
      const queue = file instanceof SocketFile ? file.sk : file instanceof PipeFile ? file.pipe : file;
      note = { link: file.link, queue: this.#queueNumber(queue), file };
      this.#files.set(file.id, note);
    }
    return note;
  }

  #queueNumber(queue: object): number {
    let number = this.#queueOf.get(queue);
    if (number === undefined) {
      number = this.#joined.length;
      this.#queueOf.set(queue, number);
      this.#joined.push(0);
      this.#left.push(0);
    }
    return number;
  }

  /**
   * The wake that a hook on this file answers: its latest, if the running section made it. The ends of a pipe wake each other's
   * watchers, so there it is the latest of all.
   */
  #wakeBehind(file: File): number {
    const wake = this.#wakeOf.get(file.id) ?? 0;
    if (wake >= this.#section) return wake;
    return this.#lastWake === 0 ? this.#root : this.#lastWake;
  }

  override entered(task: Task, origin: object, first: number): void {
    const number = this.#taskNumber(task);
    const file = first < 0 || !this.#origins.takesFd(origin) ? null : task.process.files.getRaw(first | 0);
    if (file !== null) this.#note(file);
    this.#callOf[number] = this.#begin(Kind.CALL, number, this.#origins.line(origin), file === null ? 0 : file.id);
  }

  override resumed(task: Task): void {
    this.#enterRoot(this.#callOf[this.#taskNumber(task)] as number);
  }

  override returned(task: Task, result: number): void {
    this.#add(Kind.RETURN, this.#root, this.#taskNumber(task), 0, result, 0);
  }

  override outside(proof: object): void {
    this.#begin(Kind.OUTSIDE, -1, this.#origins.line(proof), 0);
  }

  override armed(timer: Hrtimer): void {
    if (this.#root >= this.#first) this.#armedAt.set(timer, this.x(this.#root));
  }

  override expired(timer: Hrtimer): void {
    const task = "task" in timer ? this.#taskNumber(timer.task as Task) : -1;
    this.#begin(Kind.TIMER, task, this.#armedAt.get(timer) ?? 0, 0);
  }

  override rbInsert(ep: Eventpoll, epi: Epitem): void {
    const number = this.#items.length;
    const epId = (ep.file as File).id;
    this.#note(epi.file);
    this.#note(ep.file as File);
    this.#items.push({ ep: epId, file: epi.file.id, fd: epi.fd });
    this.#itemOf.set(epi, number);
    this.#look.push(this.#add(Kind.INSERTED, this.#root, number, epId, epi.events, 0));
    this.#queuedBy.push(0);
  }

  override modified(epi: Epitem): void {
    const number = this.itemOf(epi);
    this.#look[number] = this.#add(Kind.MODIFIED, this.#root, number, this.item(number).ep, epi.events, 0);
  }

  override rbErase(_ep: Eventpoll, epi: Epitem, cause: EraseCause): void {
    const number = this.itemOf(epi);
    this.#add(Kind.ERASED, this.#root, number, this.item(number).ep, Erase[cause], 0);
  }

  override scanStarted(ep: Eventpoll): void {
    this.#add(Kind.SCAN, this.#root, ep.txlist.length, (ep.file as File).id, 0, 0);
  }

  override scanEnded(ep: Eventpoll): void {
    this.#cause = this.#add(Kind.SCAN_END, this.#root, ep.rdllist.length, (ep.file as File).id, 0, 0);
  }

  override queued(epi: Epitem, list: "rdllist" | "ovflist", cause: QueueCause): void {
    const number = this.itemOf(epi);
    const by =
      cause === "wake"
        ? this.#wakeBehind(epi.file)
        : ((cause === "add" || cause === "mod" ? this.#look : this.#queuedBy)[number] as number);
    const id = this.#add(Kind.QUEUED, by, number, this.item(number).ep, ReadyList[list], Queue[cause]);
    this.#queuedBy[number] = id;
    this.#cause = id;
  }

  override delivered(epi: Epitem, revents: number): void {
    const number = this.itemOf(epi);
    const by = this.#queuedBy[number] as number;
    this.#queuedBy[number] = this.#add(Kind.DELIVERED, by, number, this.item(number).ep, revents, 0);
  }

  override dropped(epi: Epitem): void {
    const number = this.itemOf(epi);
    this.#add(Kind.DROPPED, this.#queuedBy[number] as number, number, this.item(number).ep, 0, 0);
  }

  override filtered(epi: Epitem, key: number, why: "disarmed" | "mask" | "linked"): void {
    const number = this.itemOf(epi);
    const by = this.#wakeBehind(epi.file);
    const id = this.#add(Kind.FILTERED, by, number, this.item(number).ep, key, Why[why]);
    if (why === "linked") this.#cause = id; // whoever waits is woken all the same
  }

  override disarmed(epi: Epitem): void {
    const number = this.itemOf(epi);
    this.#add(Kind.DISARMED, this.#queuedBy[number] as number, number, this.item(number).ep, 0, 0);
  }

  override wakeUp(file: File, key: number): void {
    this.#note(file);
    this.#announce(file, this.#moved === 0 ? this.#root : this.#moved, key);
  }

  override safewake(ep: Eventpoll): void {
    this.#announce(ep.file as File, this.#cause, 1);
  }

  #announce(file: File, cause: number, key: number): void {
    const id = this.#add(Kind.WAKE, cause, file.id, 0, key, 0);
    this.#wakeOf.set(file.id, id);
    this.#lastWake = id;
    this.#cause = id;
  }

  override enqueued(queue: object, amount: number): void {
    this.#move(Kind.BYTES, this.#joined, queue, amount);
  }

  override dequeued(queue: object, amount: number): void {
    this.#move(Kind.TAKEN, this.#left, queue, amount);
  }

  #move(kind: Kind, totals: number[], queue: object, amount: number): void {
    const number = this.#queueNumber(queue);
    const from = totals[number] as number;
    totals[number] = from + amount;
    // a count beyond what a column holds stays there: nobody asks where in 2 GiB a byte stood
    this.#moved = this.#add(kind, this.#root, number, 0, Math.min(from, INT_MAX), Math.min(from + amount, INT_MAX));
  }

  override waits(ep: Eventpoll, task: Task, deadlineNs: number): void {
    const number = this.#taskNumber(task);
    const epId = (ep.file as File).id;
    this.#waitsOn[number] = epId;
    this.#add(Kind.WAITS, this.#root, number, epId, deadlineNs < 0 ? 0 : 1, 0);
  }

  override slept(task: Task): void {
    this.#add(Kind.SLEPT, this.#root, this.#taskNumber(task), 0, 0, 0);
  }

  override woken(task: Task): void {
    const number = this.#taskNumber(task);
    const ep = this.#waitsOn[number] as number;
    const byTimer = this.#root !== 0 && this.#root >= this.#first && this.kind(this.#root) === Kind.TIMER;
    const plain = this.#lastWake === 0 ? this.#root : this.#lastWake;
    this.#add(
      Kind.WOKEN,
      byTimer && this.subject(this.#root) === number ? this.#root : ep === 0 ? plain : this.#cause,
      number,
      ep,
      0,
      0,
    );
    this.#waitsOn[number] = 0;
  }
}
