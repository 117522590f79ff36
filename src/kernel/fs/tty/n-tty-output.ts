/**
 * The output side of the line discipline: what programs write, and the echo of what is typed.
 *
 * Counterpart: `drivers/tty/n_tty.c` (`process_output_block`, `do_output_char`, `__process_echoes`).
 * An echo that finds no room waits in a queue of its own, with the changes of column that belong to it.
 */
import { Unmodelled } from "../../lib/assert.ts";
import { Lflag, Oflag } from "../../uapi/tty.ts";
import type { Tty } from "./tty.ts";

const BACKSPACE = 0x08;
const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const CARET = 0x5e;
const TAB_STOPS = 8;
const CRLF = Uint8Array.of(RETURN, NEWLINE);
const SPACES = new Uint8Array(TAB_STOPS).fill(0x20);

/** Echo operations beyond plain bytes: a control character as two letters; the column where a line of input begins. */
const CONTROL = 0x100;
const SET_CANON_COLUMN = 0x200;
/** `ECHO_OP_START`: this byte, and every operation, takes two places of Linux's ring. */
const ESCAPED = 0xff;
/** `ECHO_DISCARD_WATERMARK`: places in use from which on the oldest echoes are dropped. */
const DISCARD_WATERMARK = 3808;

const one = new Uint8Array(1);

/** `iscntrl`. */
function isControl(byte: number): boolean {
  return byte < 0x20 || byte === 0x7f;
}

export class NTtyOutput {
  readonly #tty: Tty;
  /** Columns printed in this line. */
  column = 0;
  /** The column where the present line of input begins. */
  canonColumn = 0;
  #echoes: number[] = [];

  constructor(tty: Tty) {
    this.#tty = tty;
  }

  #put(byte: number): void {
    one[0] = byte;
    this.#tty.write(one, 0, 1);
  }

  /** `do_output_char`. @returns room used, or -1 when there is too little. */
  #outputChar(byte: number, space: number): number {
    const { termios } = this.#tty;
    if (space === 0) return -1;
    switch (byte) {
      case NEWLINE:
        if (termios.output(Oflag.ONLRET)) this.column = 0;
        if (termios.output(Oflag.ONLCR)) {
          if (space < CRLF.length) return -1;
          this.column = 0;
          this.canonColumn = 0;
          this.#tty.write(CRLF, 0, CRLF.length);
          return CRLF.length;
        }
        this.canonColumn = this.column;
        break;
      case RETURN:
        if (termios.output(Oflag.ONOCR) && this.column === 0) return 0;
        if (!termios.output(Oflag.OCRNL) || termios.output(Oflag.ONLRET)) this.#columnZero();
        this.#put(termios.output(Oflag.OCRNL) ? NEWLINE : RETURN);
        return 1;
      case TAB: {
        const spaces = TAB_STOPS - (this.column % TAB_STOPS);
        const expands = (termios.oflag & Oflag.TABDLY) === Oflag.TABDLY;
        if (expands && space < spaces) return -1;
        this.column += spaces;
        if (!expands) break;
        this.#tty.write(SPACES, 0, spaces);
        return spaces;
      }
      default:
        this.#moveColumn(byte);
    }
    this.#put(byte);
    return 1;
  }

  #columnZero(): void {
    this.column = 0;
    this.canonColumn = 0;
  }

  #moveColumn(byte: number): void {
    if (byte === BACKSPACE) this.column = Math.max(this.column - 1, 0);
    else if (!isControl(byte)) this.column += 1;
  }

  /** Whether a byte is one that `process_output_block` leaves to `do_output_char`. */
  #special(byte: number): boolean {
    const { termios } = this.#tty;
    if (byte === TAB) return true;
    if (byte === NEWLINE) return termios.output(Oflag.ONLCR);
    if (byte !== RETURN) return false;
    return termios.output(Oflag.OCRNL) || (termios.output(Oflag.ONOCR) && this.column === 0);
  }

  /** `process_output_block`: bytes up to the first that needs treatment. @returns how many were written. */
  #outputBlock(bytes: Uint8Array, offset: number, count: number): number {
    const { termios } = this.#tty;
    const nr = Math.min(count, this.#tty.writeRoom);
    let i = 0;
    for (; i < nr; i += 1) {
      const byte = bytes[offset + i] as number;
      if (byte === NEWLINE && termios.output(Oflag.ONLRET)) this.column = 0;
      if (this.#special(byte)) break;
      if (byte === NEWLINE) this.canonColumn = this.column;
      else if (byte === RETURN) this.#columnZero();
      else this.#moveColumn(byte);
    }
    return this.#tty.write(bytes, offset, i);
  }

  /** What `n_tty_write` does between two sleeps. @returns bytes taken; fewer than `count` when there is no room. */
  output(bytes: Uint8Array, offset: number, count: number): number {
    let done = 0;
    const opost = this.#tty.termios.output(Oflag.OPOST);
    while (done < count) {
      const written = opost
        ? this.#outputBlock(bytes, offset + done, count - done)
        : this.#tty.write(bytes, offset + done, count - done);
      done += written;
      if (!opost) {
        if (written === 0) break;
      } else if (done < count) {
        if (this.#outputChar(bytes[offset + done] as number, this.#tty.writeRoom) < 0) break;
        done += 1;
      }
    }
    return done;
  }

  /** `echo_char_raw`. */
  echoRaw(byte: number): void {
    this.#echoes.push(byte);
  }

  /** `echo_char`: control characters as `^X` when ECHOCTL says so. */
  echo(byte: number): void {
    const pair = isControl(byte) && byte !== TAB && this.#tty.termios.local(Lflag.ECHOCTL);
    this.#echoes.push(pair ? CONTROL | byte : byte);
  }

  /** `echo_set_canon_col`. */
  echoSetCanonColumn(): void {
    this.#echoes.push(SET_CANON_COLUMN);
  }

  /** `eraser`, the echo of one erased character. @throws Unmodelled for a tab, which takes columns back. */
  echoErased(byte: number): void {
    if (byte === TAB) throw new Unmodelled("the echo of an erased tab");
    const shown = this.#tty.termios.local(Lflag.ECHOCTL);
    const columns = isControl(byte) ? (shown ? 2 : 0) : 1;
    for (let i = 0; i < columns; i += 1) this.#echoes.push(BACKSPACE, 0x20, BACKSPACE);
  }

  /** Forgets the echoes that wait. */
  clear(): void {
    this.#echoes = [];
  }

  /** `__process_echoes`: as many as there is room for. */
  processEchoes(): void {
    let space = this.#tty.writeRoom;
    let done = 0;
    for (const echo of this.#echoes) {
      const used = this.#processEcho(echo, space);
      if (used < 0) break;
      space -= used;
      done += 1;
    }
    this.#echoes.splice(0, done);
    let places = this.#echoes.reduce((sum, echo) => sum + placesOf(echo), 0);
    while (places >= DISCARD_WATERMARK) places -= placesOf(this.#echoes.shift() as number);
  }

  #processEcho(echo: number, space: number): number {
    if (echo === SET_CANON_COLUMN) {
      this.canonColumn = this.column;
      return 0;
    }
    if ((echo & CONTROL) !== 0) {
      if (space < 2) return -1;
      this.#put(CARET);
      this.#put((echo & 0xff) ^ 0x40);
      this.column += 2;
      return 2;
    }
    if (echo !== ESCAPED && this.#tty.termios.output(Oflag.OPOST)) return this.#outputChar(echo, space);
    if (space === 0) return -1;
    this.#put(echo);
    if (echo === ESCAPED) this.column += 1;
    return 1;
  }
}

/** Places of Linux's echo ring that an echo takes. */
function placesOf(echo: number): number {
  return echo >= ESCAPED ? 2 : 1;
}
