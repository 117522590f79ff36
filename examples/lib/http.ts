/** As much of HTTP/1.1 as a server, a proxy and their clients need: messages with Content-Length, kept alive, pipelined. */

/** A request or a response. */
export interface Message {
  /** `GET /path HTTP/1.1`, `HTTP/1.1 200 OK`. */
  readonly start: string;
  /** By name in small letters. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A message that is none: the connection cannot go on. */
export class BadMessage extends Error {
  override readonly name = "BadMessage";
  readonly status: string;

  constructor(status: string) {
    super(status);
    this.status = status;
  }
}

const HEAD_MAX = 8192;
const BODY_MAX = 1 << 20;
const END = "\r\n\r\n";

/** Takes bytes as they come, and gives messages as they are complete. */
export class MessageParser {
  #text = "";

  push(text: string): void {
    this.#text += text;
  }

  /** Bytes of a message that is not complete. */
  get isInside(): boolean {
    return this.#text !== "";
  }

  /** @returns null while the next message is not complete. @throws BadMessage */
  next(): Message | null {
    const end = this.#text.indexOf(END);
    if (end < 0) {
      if (this.#text.length > HEAD_MAX) throw new BadMessage("431 Request Header Fields Too Large");
      return null;
    }
    const [start = "", ...lines] = this.#text.slice(0, end).split("\r\n");
    if (!/^(?:[A-Z]+ \S+ HTTP\/1\.1|HTTP\/1\.1 \d{3} .*)$/.test(start)) throw new BadMessage("400 Bad Request");
    const headers = new Map(lines.map(headerOf));
    const length = Number(headers.get("content-length") ?? "0");
    if (!Number.isInteger(length) || length < 0 || length > BODY_MAX) throw new BadMessage("400 Bad Request");
    const from = end + END.length;
    if (this.#text.length < from + length) return null;
    const body = this.#text.slice(from, from + length);
    this.#text = this.#text.slice(from + length);
    return { start, headers, body };
  }
}

function headerOf(line: string): [string, string] {
  const colon = line.indexOf(":");
  if (colon <= 0) throw new BadMessage("400 Bad Request");
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

export function formatMessage(start: string, headers: Readonly<Record<string, string>>, body: string): string {
  const all = { ...headers, "Content-Length": String(body.length) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${start}\r\n${lines.join("")}\r\n${body}`;
}

/** Whether the connection ends behind this message. */
export function isLast({ headers }: Message): boolean {
  return headers.get("connection")?.toLowerCase() === "close";
}
