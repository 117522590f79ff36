/**
 * As much of net/http as a server and a client with kept connections need: HTTP/1.1, Content-Length or chunks, no trailers.
 *
 * The goroutines are those of Go's package: one for each connection of the server; two, for reading and for writing, for each connection
 * of the client, which a pool of idle ones hands out, the latest first.
 */
import {
  bytesOf,
  type Chan,
  type Cond,
  type Conn,
  type Context,
  EOF,
  type Go,
  GoError,
  type Listener,
  type Mutex,
  RecvCase,
  type Runtime,
  textOf,
  type WaitGroup,
} from "epollsim/go";

const BUFFER_BYTES = 4096;
/** What `io.Copy` to `io.Discard` reads at once. */
const COPY_BYTES = 8192;
const CRLF = "\r\n";
const HEADERS_END = "\r\n\r\n";
/** A body up to this size is sent with its length, a bigger one in chunks (`bufferBeforeChunkingSize`). */
const CHUNKING_BYTES = 2048;
export const ErrServerClosed: GoError = new GoError("http: Server closed");
const ErrMalformed: GoError = new GoError("malformed HTTP message");
const HEADERS_MAX = 1 << 16;
/** CPU time of the parts of a request, in ns: of the order of net/http's own benchmarks (ReadRequest, ServerFakeConn) on a current machine. */
const PARSE_NS = 3000;
const FORMAT_NS = 1500;
/** How long `Shutdown` waits before it looks again. */
const POLL_MIN_NS = 1_000_000;
const POLL_MAX_NS = 500_000_000;

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly body: Uint8Array;
}

export type Handler = (request: Request) => Uint8Array;

/** `bufio.Reader`: one read at a time, into its buffer of 4 KiB or, when that is empty, straight into a larger one of the caller's. */
class Reader {
  readonly #conn: Conn;
  readonly #buf: Uint8Array = new Uint8Array(BUFFER_BYTES);
  readonly #big: Uint8Array = new Uint8Array(COPY_BYTES);
  /** What is in the buffer. */
  #text = "";

  constructor(conn: Conn) {
    this.#conn = conn;
  }

  /** Reads into what is free of the buffer. @returns null, or why there is nothing more. */
  *#fill(): Go<GoError | null> {
    const room = this.#text.length < BUFFER_BYTES ? BUFFER_BYTES - this.#text.length : BUFFER_BYTES;
    const { n, err } = yield* this.#conn.read(this.#buf.subarray(0, room));
    this.#text += textOf(this.#buf, 0, n);
    return err;
  }

  /** A byte that was read ahead. */
  unread(byte: Uint8Array): void {
    this.#text += textOf(byte);
  }

  /** Waits until something has come. */
  *peek(): Go<GoError | null> {
    return this.#text.length > 0 ? null : yield* this.#fill();
  }

  /** Everything up to `end`, without it; an error instead. */
  *until(end: string): Go<string | GoError> {
    for (;;) {
      const at = this.#text.indexOf(end);
      if (at >= 0) {
        const part = this.#text.slice(0, at);
        this.#text = this.#text.slice(at + end.length);
        return part;
      }
      if (this.#text.length > HEADERS_MAX) return ErrMalformed;
      const err = yield* this.#fill();
      if (err !== null) return err;
    }
  }

  /** `Read`: up to `length` bytes of what is there; an error instead. */
  *some(length: number): Go<string | GoError> {
    if (this.#text.length === 0 && length >= BUFFER_BYTES) {
      const { n, err } = yield* this.#conn.read(this.#big.subarray(0, length));
      return err ?? textOf(this.#big, 0, n);
    }
    const err = yield* this.peek();
    if (err !== null) return err;
    const part = this.#text.slice(0, length);
    this.#text = this.#text.slice(length);
    return part;
  }

  /** `length` bytes, as `io.Copy` to nowhere asks for them: 8 KiB at a time. */
  *take(length: number): Go<string | GoError> {
    const parts: string[] = [];
    let room = COPY_BYTES;
    for (let left = length; left > 0; ) {
      const part = yield* this.some(Math.min(room, left));
      if (typeof part !== "string") return part;
      parts.push(part);
      left -= part.length;
      room -= part.length;
      if (room === 0) room = COPY_BYTES;
    }
    return parts.join("");
  }
}

/** `bufio.Writer`: small pieces are collected, up to 4 KiB; what does not fit an empty buffer goes out as it is. */
class Writer {
  readonly #conn: Conn;
  readonly #buf: Uint8Array = new Uint8Array(BUFFER_BYTES);
  #used = 0;

  constructor(conn: Conn) {
    this.#conn = conn;
  }

  *write(bytes: Uint8Array): Go<GoError | null> {
    let rest = bytes;
    while (rest.length > BUFFER_BYTES - this.#used) {
      if (this.#used === 0) {
        const { err } = yield* this.#conn.write(rest);
        return err;
      }
      const part = rest.subarray(0, BUFFER_BYTES - this.#used);
      this.#keep(part);
      rest = rest.subarray(part.length);
      const err = yield* this.flush();
      if (err !== null) return err;
    }
    this.#keep(rest);
    return null;
  }

  #keep(part: Uint8Array): void {
    this.#buf.set(part, this.#used);
    this.#used += part.length;
  }

  *flush(): Go<GoError | null> {
    if (this.#used === 0) return null;
    const { err } = yield* this.#conn.write(this.#buf.subarray(0, this.#used));
    this.#used = 0;
    return err;
  }
}

/** `connReader`: while a handler works a goroutine reads one byte ahead, to notice a client that goes away. */
class BackgroundRead {
  readonly #rt: Runtime;
  readonly #conn: Conn;
  readonly #reader: Reader;
  readonly #mu: Mutex;
  readonly #cond: Cond;
  #inRead = false;

  constructor(rt: Runtime, conn: Conn, reader: Reader) {
    this.#rt = rt;
    this.#conn = conn;
    this.#reader = reader;
    this.#mu = rt.mutex();
    this.#cond = rt.cond(this.#mu);
  }

  start(): void {
    this.#inRead = true;
    this.#rt.go("net/http.(*connReader).backgroundRead", () => this.#run());
  }

  *#run(): Go<void> {
    const byte = new Uint8Array(1);
    const { n } = yield* this.#conn.read(byte);
    yield* this.#mu.lock();
    if (n > 0) this.#reader.unread(byte);
    this.#inRead = false;
    yield* this.#mu.unlock();
    this.#cond.broadcast();
  }

  /** `abortPendingRead`: a deadline in the past ends it. */
  *abort(): Go<void> {
    yield* this.#mu.lock();
    if (this.#inRead) {
      this.#conn.setReadDeadline(1);
      while (this.#inRead) yield* this.#cond.wait();
      this.#conn.setReadDeadline(0);
    }
    yield* this.#mu.unlock();
  }
}

/** The first line, and what the headers say about the body. */
interface Head {
  readonly first: string;
  readonly chunked: boolean;
  readonly length: number;
}

function* readHead(reader: Reader): Go<Head | GoError> {
  const head = yield* reader.until(HEADERS_END);
  if (typeof head !== "string") return head;
  const [first = "", ...fields] = head.split(CRLF);
  const headers = new Map(fields.map((field) => [nameOf(field), field.slice(field.indexOf(":") + 1).trim()]));
  const length = Number(headers.get("content-length") ?? 0);
  if (!Number.isInteger(length) || length < 0) return ErrMalformed;
  return { first, chunked: headers.get("transfer-encoding") === "chunked", length };
}

function nameOf(field: string): string {
  return field.slice(0, field.indexOf(":")).toLowerCase();
}

function* readBody(reader: Reader, { chunked, length }: Head): Go<string | GoError> {
  return chunked ? yield* readChunks(reader) : yield* reader.take(length);
}

function* readChunks(reader: Reader): Go<string | GoError> {
  const parts: string[] = [];
  for (;;) {
    const size = yield* reader.until(CRLF);
    if (typeof size !== "string") return size;
    const length = Number.parseInt(size, 16);
    if (!(length >= 0)) return ErrMalformed;
    const part = yield* reader.take(length);
    const end = yield* reader.until(CRLF);
    if (typeof part !== "string") return part;
    if (typeof end !== "string") return end;
    if (length === 0) return parts.join("");
    parts.push(part);
  }
}

/** `http.Server`. */
export class Server {
  readonly #rt: Runtime;
  readonly #handlers: ReadonlyMap<string, Handler>;
  /** Held around the lists below, and by `Shutdown` while it closes what is in them. */
  readonly #mu: Mutex;
  readonly #conns: Map<Conn, "new" | "active" | "idle"> = new Map();
  #listener: Listener | null = null;
  /** `Serve` is under way. */
  readonly #serving: WaitGroup;
  #shutdown = false;
  requests = 0;

  constructor(rt: Runtime, handlers: ReadonlyMap<string, Handler>) {
    this.#rt = rt;
    this.#mu = rt.mutex();
    this.#serving = rt.waitGroup();
    this.#handlers = handlers;
  }

  /** `Serve`: a goroutine for each connection, until `shutdown`. */
  *serve(ln: Listener): Go<GoError> {
    yield* this.#locked(() => {
      this.#listener = ln;
      this.#serving.add(1);
    });
    for (;;) {
      const { value: conn, err } = yield* ln.accept();
      if (err !== null) {
        yield* this.#locked(() => {
          this.#listener = null;
          this.#serving.done();
        });
        return this.#shutdown ? ErrServerClosed : err;
      }
      yield* this.#locked(() => this.#conns.set(conn, "new"));
      this.#rt.go("net/http.(*conn).serve", () => this.#serveConn(conn));
    }
  }

  *#serveConn(conn: Conn): Go<void> {
    const reader = new Reader(conn);
    const background = new BackgroundRead(this.#rt, conn, reader);
    while ((yield* reader.peek()) === null) {
      this.#conns.set(conn, "active");
      const head = yield* readHead(reader);
      if (head instanceof GoError) break;
      yield* this.#rt.work(PARSE_NS);
      const body = yield* readBody(reader, head);
      if (body instanceof GoError) break;
      const [method = "", path = ""] = head.first.split(" ");
      this.requests += 1;
      background.start();
      const sent = yield* this.#respond(conn, { method, path, body: bytesOf(body) });
      yield* background.abort();
      if (!sent) break;
      this.#conns.set(conn, "idle");
      if (this.#shutdown) break;
    }
    yield* conn.close();
    yield* this.#locked(() => this.#conns.delete(conn));
  }

  *#locked(change: () => void): Go<void> {
    yield* this.#mu.lock();
    change();
    yield* this.#mu.unlock();
  }

  *#respond(conn: Conn, request: Request): Go<boolean> {
    yield* this.#rt.work(FORMAT_NS);
    const handler = this.#handlers.get(request.path);
    const body = handler?.(request) ?? bytesOf("404 page not found\n");
    const status = handler === undefined ? "404 Not Found" : "200 OK";
    const date = "Date: Thu, 01 Jan 2026 00:00:00 GMT";
    const type = "Content-Type: text/plain; charset=utf-8";
    if (body.length <= CHUNKING_BYTES) {
      const head = [`HTTP/1.1 ${status}`, date, `Content-Length: ${body.length}`, type].join(CRLF);
      return (yield* conn.write(join(bytesOf(head + HEADERS_END), body))).err === null;
    }
    const head = [`HTTP/1.1 ${status}`, date, "Content-Type: application/octet-stream", "Transfer-Encoding: chunked"];
    const out = new Writer(conn);
    for (const part of [
      bytesOf(`${head.join(CRLF)}${HEADERS_END}${body.length.toString(16)}${CRLF}`),
      body,
      bytesOf(`${CRLF}0${HEADERS_END}`),
    ]) {
      if ((yield* out.write(part)) !== null) return false;
    }
    return (yield* out.flush()) === null;
  }

  /** `Shutdown`: no new connections; waits until `serve` is over and those that work are idle, or the context is over, and closes them. */
  *shutdown(ctx: Context): Go<GoError | null> {
    const rt = this.#rt;
    this.#shutdown = true;
    yield* this.#mu.lock();
    if (this.#listener !== null) yield* this.#listener.close();
    // What has registered to hear of it: net/http's own HTTP/2 has.
    rt.go("net/http.(*http2serverInternalState).startGracefulShutdown", function* () {});
    yield* this.#mu.unlock();
    yield* this.#serving.wait();
    const timer = rt.newTimer(POLL_MIN_NS);
    const cases = [new RecvCase(timer.c), ...(ctx.done === null ? [] : [new RecvCase(ctx.done)])];
    for (let wait = 2 * POLL_MIN_NS; ; wait = Math.min(2 * wait, POLL_MAX_NS)) {
      yield* this.#mu.lock();
      for (const [conn, state] of this.#conns) {
        if (state === "active") continue;
        this.#conns.delete(conn);
        yield* conn.close();
      }
      const over = this.#conns.size === 0;
      yield* this.#mu.unlock();
      if (over) break;
      if ((yield* rt.select(cases)) === 1) break;
      timer.reset(wait);
    }
    timer.stop();
    return ctx.err;
  }
}

function join(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** What the writing goroutine gets; `written` tells the caller how it went. */
interface WriteRequest {
  readonly bytes: Uint8Array;
  readonly written: Chan<GoError | null>;
}

/** `persistConn`: a connection of the client with its two goroutines. */
class PersistConn {
  readonly conn: Conn;
  readonly reader: Reader;
  readonly requests: Chan<WriteRequest>;
  readonly answers: Chan<Head | GoError>;
  /** The caller has read the body, or given up. */
  readonly bodyRead: Chan<boolean>;
  /** The connection has been put back: the caller may go on. */
  readonly putBack: Chan<void>;
  /** Held while the connection is being closed. */
  readonly mu: Mutex;
  closed = false;

  constructor(rt: Runtime, conn: Conn) {
    this.conn = conn;
    this.mu = rt.mutex();
    this.reader = new Reader(conn);
    this.requests = rt.chan<WriteRequest>(1);
    this.answers = rt.chan<Head | GoError>();
    this.bodyRead = rt.chan<boolean>(2);
    this.putBack = rt.chan<void>();
  }
}

/** `http.Transport` with a client on it, for one host. */
export class Client {
  readonly #rt: Runtime;
  readonly #address: string;
  readonly #maxIdle: number;
  readonly #idle: PersistConn[] = [];
  /** Who waits for a connection: one that becomes idle is for the first. */
  readonly #wanted: Chan<PersistConn | GoError>[] = [];
  dialed = 0;

  constructor(rt: Runtime, address: string, maxIdle: number) {
    this.#rt = rt;
    this.#address = address;
    this.#maxIdle = maxIdle;
  }

  /** `Get`, with the whole body. */
  *get(path: string): Go<Uint8Array | GoError> {
    const pc = yield* this.#getConn();
    if (pc instanceof GoError) return pc;
    const fields = [
      `GET ${path} HTTP/1.1`,
      `Host: ${this.#address}`,
      "User-Agent: Go-http-client/1.1",
      "Accept-Encoding: gzip",
    ];
    yield* this.#rt.work(FORMAT_NS);
    const head = yield* this.#roundTrip(pc, bytesOf(fields.join(CRLF) + HEADERS_END));
    if (head instanceof GoError) return head;
    const body = yield* readBody(pc.reader, head);
    yield* pc.bodyRead.send(typeof body === "string");
    if (typeof body !== "string") return body;
    yield* pc.putBack.recv();
    return bytesOf(body);
  }

  /** `roundTrip`: hears that the request is written, and then of the answer; or of the answer first. */
  *#roundTrip(pc: PersistConn, bytes: Uint8Array): Go<Head | GoError> {
    const written = this.#rt.chan<GoError | null>(1);
    yield* pc.requests.send({ bytes, written });
    const answer = new RecvCase(pc.answers);
    const write = new RecvCase(written);
    if ((yield* this.#rt.select([write, answer])) === 0) {
      const err = write.received.value ?? null;
      if (err !== null) return err;
      yield* this.#rt.select([answer]);
    }
    return answer.received.value ?? EOF;
  }

  /** The latest idle one; else whatever comes first of a new one and one that another request is done with. */
  *#getConn(): Go<PersistConn | GoError> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const want = this.#rt.chan<PersistConn | GoError>(1);
    this.#wanted.push(want);
    this.#rt.go("net/http.(*Transport).dialConnFor", () => this.#dialFor(want));
    const got = new RecvCase(want);
    yield* this.#rt.select([got]);
    return got.received.value ?? EOF;
  }

  *#dialFor(want: Chan<PersistConn | GoError>): Go<void> {
    this.dialed += 1;
    const { value: conn, err } = yield* this.#rt.dial("tcp4", this.#address);
    if (err !== null) {
      want.trySend(err);
      return;
    }
    const pc = new PersistConn(this.#rt, conn);
    this.#rt.go("net/http.(*persistConn).readLoop", () => this.#readLoop(pc));
    this.#rt.go("net/http.(*persistConn).writeLoop", () => writeLoop(this.#rt, pc));
    const at = this.#wanted.indexOf(want);
    if (at < 0) {
      if (!this.#putIdle(pc)) yield* close(pc);
      return;
    }
    this.#wanted.splice(at, 1);
    want.trySend(pc);
  }

  /** Answers are handed to their callers, who read the bodies; then the connection is for the next. */
  *#readLoop(pc: PersistConn): Go<void> {
    while ((yield* pc.reader.peek()) === null) {
      const head = yield* readHead(pc.reader);
      yield* this.#rt.work(PARSE_NS);
      yield* pc.answers.send(head);
      if (head instanceof GoError) break;
      const done = new RecvCase(pc.bodyRead);
      yield* this.#rt.select([done]);
      if (done.received.value !== true) break;
      const alive = this.#putIdle(pc);
      yield* pc.putBack.send();
      if (!alive) break;
    }
    yield* close(pc);
    this.#remove(pc);
  }

  /** `tryPutIdleConn`: to who waits, or into the pool. @returns false when there is no room. */
  #putIdle(pc: PersistConn): boolean {
    const want = this.#wanted.shift();
    if (want !== undefined) return want.trySend(pc);
    if (this.#idle.length >= this.#maxIdle) return false;
    this.#idle.push(pc);
    return true;
  }

  #remove(pc: PersistConn): void {
    const at = this.#idle.indexOf(pc);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** `CloseIdleConnections`. */
  *closeIdle(): Go<void> {
    for (const pc of this.#idle.splice(0)) yield* close(pc);
  }
}

function* writeLoop(rt: Runtime, pc: PersistConn): Go<void> {
  for (;;) {
    const next = new RecvCase(pc.requests);
    yield* rt.select([next]);
    const request = next.received.value;
    if (request === undefined) return;
    const { err } = yield* pc.conn.write(request.bytes);
    yield* request.written.send(err);
    if (err !== null) return;
  }
}

function* close(pc: PersistConn): Go<void> {
  yield* pc.mu.lock();
  if (!pc.closed) {
    pc.closed = true;
    yield* pc.conn.close();
    pc.requests.close();
  }
  yield* pc.mu.unlock();
}
