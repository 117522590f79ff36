/** The client's side of each protocol: what it says, and whether what it hears is right, byte by byte. */
import { formatMessage, MessageParser } from "./http.ts";

/** A client has heard something else than it should. */
export class WrongAnswer extends Error {
  override readonly name = "WrongAnswer";
}

export abstract class Dialogue {
  protected readonly id: string;
  /** Questions asked, and those of them that have been answered to the last byte. */
  asked = 0;
  answered = 0;
  /** Bytes heard, every one compared. */
  checked = 0;

  constructor(id: string) {
    this.id = id;
  }

  /** The next question, with so many bytes of the client's own. */
  abstract ask(bytes: number): string;

  /** @throws WrongAnswer */
  hear(text: string): void {
    this.checked += text.length;
    this.heard(text);
  }

  protected abstract heard(text: string): void;

  /** Nobody else says this. */
  protected own(bytes: number): string {
    const words = `${this.id} ${this.asked}, `;
    return words.repeat(Math.ceil(bytes / words.length)).slice(0, bytes);
  }
}

/** What is said comes back. */
export class EchoDialogue extends Dialogue {
  #missing = "";
  /** Where the questions end, in bytes from the first. */
  readonly #ends: number[] = [];
  #said = 0;

  override ask(bytes: number): string {
    const text = this.own(bytes);
    this.asked += 1;
    this.#missing += text;
    this.#said += text.length;
    this.#ends.push(this.#said);
    return text;
  }

  protected override heard(text: string): void {
    if (!this.#missing.startsWith(text)) throw new WrongAnswer(`${this.id} heard what it has not said`);
    this.#missing = this.#missing.slice(text.length);
    while ((this.#ends[this.answered] ?? Number.POSITIVE_INFINITY) <= this.checked) this.answered += 1;
  }
}

/** Requests with a body, which is answered with the same. */
export class HttpDialogue extends Dialogue {
  readonly #parser: MessageParser = new MessageParser();
  readonly #bodies: string[] = [];

  override ask(bytes: number): string {
    const body = this.own(bytes);
    this.asked += 1;
    this.#bodies.push(body);
    return formatMessage("POST /echo HTTP/1.1", { Host: "server" }, body);
  }

  protected override heard(text: string): void {
    this.#parser.push(text);
    for (let answer = this.#parser.next(); answer !== null; answer = this.#parser.next()) {
      if (answer.start !== "HTTP/1.1 200 OK" || answer.body !== this.#bodies.shift()) {
        throw new WrongAnswer(`${this.id} heard ${answer.start} with ${answer.body.length} bytes`);
      }
      this.answered += 1;
    }
  }
}

/** Bytes of a line of the chat, with its end. */
export const LINE_BYTES = 64;

export function chatLine(room: string, speaker: string, number: number): string {
  return `${`${room} ${speaker} ${number} `.padEnd(LINE_BYTES - 1, ".")}\n`;
}

/** Lines to a room of the chat: everybody in it hears all of them, each speaker's in order. */
export class ChatDialogue extends Dialogue {
  readonly #room: string;
  /** The next line of each speaker. */
  readonly #next: Map<string, number> = new Map();
  readonly #ends: number[] = [];
  #said = 0;
  #own = 0;
  #rest = "";

  constructor(id: string, room: string) {
    super(id);
    this.#room = room;
  }

  override ask(bytes: number): string {
    const first = this.#said;
    this.asked += 1;
    this.#said += Math.ceil(bytes / LINE_BYTES);
    this.#ends.push(this.#said);
    return Array.from({ length: this.#said - first }, (_, i) => chatLine(this.#room, this.id, first + i)).join("");
  }

  protected override heard(text: string): void {
    this.#rest += text;
    while (this.#rest.length >= LINE_BYTES) {
      this.#line(this.#rest.slice(0, LINE_BYTES));
      this.#rest = this.#rest.slice(LINE_BYTES);
    }
  }

  #line(line: string): void {
    const [, speaker = "", word = ""] = line.split(" ");
    const number = Number(word);
    const due = this.#next.get(speaker) ?? (speaker === this.id ? 0 : number);
    if (line !== chatLine(this.#room, speaker, due)) throw new WrongAnswer(`${this.id} heard '${line.trimEnd()}'`);
    this.#next.set(speaker, due + 1);
    if (speaker !== this.id) return;
    this.#own += 1;
    while ((this.#ends[this.answered] ?? Number.POSITIVE_INFINITY) <= this.#own) this.answered += 1;
  }
}
