/**
 * What a generated script knows about the machine it talks to: which descriptors are open, what they refer to, and who
 * watches whom.
 *
 * It is no model of epoll. It only has to be right about descriptor numbers, so that names and numbers stay in step, and
 * roughly right about the rest, so that most calls make sense.
 */

/** Types of description that scripts use. */
export const KINDS = [
  "epoll",
  "eventfd",
  "pipe read",
  "pipe write",
  "fifo read",
  "fifo write",
  "fifo both",
  "socket",
  "timerfd",
  "signalfd",
  "pidfd",
  "inotify",
  "pty master",
  "pty slave",
  "regular",
  "unix",
  "unix listener",
  "tcp",
  "tcp listener",
  "udp",
  "dev",
  "dev other",
  "received",
] as const;

export type Kind = (typeof KINDS)[number];

/** An open file description. */
export interface Description {
  /** A socket that listens becomes another kind. */
  kind: Kind;
  /** The other end of a pipe or a socket pair. */
  peer: Description | null;
}

/** A descriptor: the name that a script gave it, and its number. */
export interface Descriptor {
  readonly name: string;
  readonly fd: number;
  readonly file: Description;
}

/** A watched (description, number) pair. */
export interface Watch {
  readonly epoll: Description;
  readonly file: Description;
  readonly fd: number;
}

/** A task asleep in epoll_wait, until the end of the script wakes it. */
export interface Waiter {
  readonly task: string;
  /** A descriptor of its own for the epoll, which nothing else in the script touches. */
  readonly epoll: string;
  readonly maxevents: number;
}

/** A process forked from the script's first one. */
export interface Child {
  readonly task: string;
  alive: boolean;
}

const FIRST_FREE = 3;

/** Descriptors, watches and names of one script. */
export class KnownState {
  /** Open descriptors by number. */
  readonly open: Map<number, Descriptor> = new Map<number, Descriptor>();
  /** Names of closed descriptors. Their numbers may be in use again. */
  readonly closed: string[] = [];
  readonly watches: Watch[] = [];
  readonly waiters: Waiter[] = [];
  readonly children: Child[] = [];
  /** A unix socket has been sent over another: from then on a worker of the kernel may close files a little later. */
  collects = false;
  /** Some receiver wants credentials, which come in front of descriptors. */
  credentials = false;
  /** Descriptors by number that commands do not see. */
  readonly #hidden = new Map<number, Descriptor>();
  #names = 0;
  #tokens = 0;

  /** A new name. */
  name(prefix: string): string {
    this.#names += 1;
    return `${prefix}${this.#names}`;
  }

  /** A value that no other registration carries as its data. */
  token(): number {
    this.#tokens += 1;
    return this.#tokens;
  }

  /** Takes the lowest free number. */
  install(name: string, file: Description): Descriptor {
    return this.place(name, this.#lowestFree(), file);
  }

  #lowestFree(): number {
    let fd = FIRST_FREE;
    while (this.open.has(fd) || this.#hidden.has(fd)) fd += 1;
    return fd;
  }

  /** A number that stays as it is to the end. */
  hide(name: string, file: Description): void {
    const fd = this.#lowestFree();
    this.#hidden.set(fd, { name, fd, file });
  }

  /** Puts a description on a number, whatever was there. */
  place(name: string, fd: number, file: Description): Descriptor {
    this.close(fd);
    const descriptor = { name, fd, file };
    this.open.set(fd, descriptor);
    return descriptor;
  }

  /** Frees a number; with the last one of a description go its watches. */
  close(fd: number): void {
    const descriptor = this.open.get(fd);
    if (descriptor === undefined) return;
    this.open.delete(fd);
    this.closed.push(descriptor.name);
    const { file } = descriptor;
    const others = [...this.open.values(), ...this.#hidden.values()];
    if (others.some((other) => other.file === file)) return;
    this.#forget((watch) => watch.file === file || watch.epoll === file);
  }

  descriptors(): Descriptor[] {
    return [...this.open.values()];
  }

  /** Open descriptors of some kinds, in ascending order of number. */
  ofKind(...kinds: readonly Kind[]): Descriptor[] {
    return this.descriptors()
      .filter(({ file }) => kinds.includes(file.kind))
      .sort((a, b) => a.fd - b.fd);
  }

  watch(epoll: Descriptor, target: Descriptor): void {
    if (!this.isWatched(epoll, target)) this.watches.push({ epoll: epoll.file, file: target.file, fd: target.fd });
  }

  unwatch(epoll: Descriptor, target: Descriptor): void {
    this.#forget((watch) => watch.epoll === epoll.file && watch.file === target.file && watch.fd === target.fd);
  }

  isWatched(epoll: Descriptor, target: Descriptor): boolean {
    return this.watches.some((w) => w.epoll === epoll.file && w.file === target.file && w.fd === target.fd);
  }

  /** Descriptors that an epoll watches and that are still open under the watched number. */
  watchedBy(epoll: Descriptor): Descriptor[] {
    return this.descriptors().filter((descriptor) => this.isWatched(epoll, descriptor));
  }

  /** Whether some epoll watches a descriptor of this one's description. */
  isWatchedAnywhere(target: Descriptor): boolean {
    return this.watches.some((watch) => watch.file === target.file);
  }

  #forget(which: (watch: Watch) => boolean): void {
    for (let i = this.watches.length - 1; i >= 0; i -= 1) {
      if (which(this.watches[i]!)) this.watches.splice(i, 1);
    }
  }
}
