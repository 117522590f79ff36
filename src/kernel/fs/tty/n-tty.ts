/**
 * The line discipline of terminals: what is typed becomes what is read.
 *
 * Counterpart: `drivers/tty/n_tty.c` (`struct n_tty_data`).
 * Modelled: lines and raw mode, erasing, signals' characters as far as they flush (there are no controlling terminals, so
 * nobody gets a signal), flow control, echo. Refused (`Unmodelled`): what `Termios.decode` refuses, flow control characters
 * that wait behind a full buffer.
 * Invariants: N1 `readTail`, then the end of what is readable (`canonHead` or `commitHead`), then `readHead`; N2 at most
 * 4096 bytes are stored.
 */
import { assert, Unmodelled } from "../../lib/assert.ts";
import { Poll } from "../../uapi/poll.ts";
import { Cc, Iflag, Lflag } from "../../uapi/tty.ts";
import { NTtyOutput } from "./n-tty-output.ts";
import type { Termios } from "./termios.ts";
import type { Tty } from "./tty.ts";
import { TtyLock } from "./tty-lock.ts";

/** `N_TTY_BUF_SIZE`. */
const BUF_SIZE = 4096;
/** `TTY_THRESHOLD_UNTHROTTLE`: with no more than this left to read, the other side is woken. */
const UNTHROTTLE = 128;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
/** Key of input that was processed. */
const IN2: number = Poll.IN | Poll.RDNORM;
/** `__DISABLED_CHAR`: no control character; stands in the buffer for an end of file. */
const DISABLED = 0;

/** `isalnum`, which takes Latin 1 for letters. */
function isAlnum(byte: number): boolean {
  const letter = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x7a) || isLatinLetter(byte);
}

function isLatinLetter(byte: number): boolean {
  return byte >= 0xc0 && byte !== 0xd7 && byte !== 0xf7;
}

function mask(index: number): number {
  return index & (BUF_SIZE - 1);
}

export class NTty {
  readonly tty: Tty;
  readonly out: NTtyOutput;
  /** `atomic_read_lock`. */
  readonly readLock: TtyLock = new TtyLock();
  /** Bytes ever stored and read; their difference is what the buffer holds. */
  readHead = 0;
  readTail = 0;
  /** What readers may have: up to the last complete line, or all that was received. */
  canonHead = 0;
  commitHead = 0;
  readonly #buf = new Uint8Array(BUF_SIZE);
  /** Where lines end. */
  readonly #eol = new Uint8Array(BUF_SIZE);
  /** Input stopped because the buffer was full. */
  #noRoom = false;
  /** The next character is to be taken as it is. */
  #lnext = false;
  icanon = false;
  #raw = false;
  /** Characters that mean something. */
  readonly #special = new Uint8Array(256);

  /** `n_tty_open`. */
  constructor(tty: Tty) {
    this.tty = tty;
    this.out = new NTtyOutput(tty);
    this.setTermios(null);
  }

  /** `reset_buffer_flags`. */
  #reset(): void {
    this.readHead = 0;
    this.readTail = 0;
    this.canonHead = 0;
    this.commitHead = 0;
    this.#eol.fill(0);
  }

  /** `n_tty_flush_buffer`. */
  flushBuffer(): void {
    this.#reset();
    this.kickWorker();
    this.tty.packetModeFlush();
  }

  /** `n_tty_kick_worker`. */
  kickWorker(): void {
    if (!this.#noRoom) return;
    this.#noRoom = false;
    this.tty.flushToLdisc();
  }

  /** `chars_in_buffer`: bytes that readers may have. */
  get #readable(): number {
    return (this.icanon ? this.canonHead : this.commitHead) - this.readTail;
  }

  /** `n_tty_check_unthrottle`: most of the buffer is read. @behaviour Y-05 */
  checkUnthrottle(): void {
    if (this.#readable > UNTHROTTLE) return;
    this.kickWorker();
    this.tty.link.wakeup();
  }

  /** `n_tty_set_termios`. @param old - null for a new terminal. */
  setTermios(old: Termios | null): void {
    const { termios } = this.tty;
    const icanon = termios.local(Lflag.ICANON);
    if (old === null || old.local(Lflag.ICANON) !== icanon) {
      this.#eol.fill(0);
      this.canonHead = this.readTail;
      if (icanon && this.readHead !== this.readTail) {
        this.#eol[mask(this.readHead - 1)] = 1;
        this.canonHead = this.readHead;
      }
      this.commitHead = this.readHead;
      this.#lnext = false;
    }
    this.icanon = icanon;
    const { ISTRIP, IGNCR, ICRNL, INLCR, IXON } = Iflag;
    this.#raw =
      !termios.input(ISTRIP | IGNCR | ICRNL | INLCR | IXON) && !icanon && !termios.local(Lflag.ISIG | Lflag.ECHO);
    this.#mapSpecial(termios);
    if (!termios.input(IXON) && old?.input(IXON) === true) {
      this.tty.start();
      this.out.processEchoes();
    }
    this.tty.wakeWriters(0);
    this.tty.wakeReaders(0);
  }

  #mapSpecial(termios: Termios): void {
    const special = this.#special.fill(0);
    const add = (...places: number[]): void => {
      for (const place of places) special[termios.char(place)] = 1;
    };
    if (termios.input(Iflag.IGNCR | Iflag.ICRNL)) special[RETURN] = 1;
    if (termios.input(Iflag.INLCR) || this.icanon) special[NEWLINE] = 1;
    if (this.icanon) {
      add(Cc.ERASE, Cc.KILL, Cc.EOF, Cc.EOL);
      if (termios.local(Lflag.IEXTEN)) {
        add(Cc.WERASE, Cc.LNEXT, Cc.EOL2);
        if (termios.local(Lflag.ECHO)) add(Cc.REPRINT);
      }
    }
    if (termios.input(Iflag.IXON)) add(Cc.START, Cc.STOP);
    if (termios.local(Lflag.ISIG)) add(Cc.INTR, Cc.QUIT, Cc.SUSP);
    special[DISABLED] = 0;
  }

  /**
   * `n_tty_receive_buf_common`. A line without an end may grow without bound, so that it can be erased; what is beyond the
   * buffer is lost.
   *
   * @returns bytes taken.
   * @behaviour Y-02, Y-03, Y-06, Y-07
   */
  receive(bytes: Uint8Array, offset: number, count: number): number {
    let received = 0;
    let overflow: boolean;
    for (;;) {
      let room = BUF_SIZE - (this.readHead - this.readTail) - 1;
      overflow = false;
      if (room <= 0) {
        overflow = this.icanon && this.canonHead === this.readTail;
        if (overflow && room < 0) this.readHead -= 1;
        room = overflow ? 1 : 0;
        this.#noRoom = room === 0;
      }
      const nr = Math.min(count - received, room);
      if (nr === 0) break;
      this.#receive(bytes.subarray(offset + received, offset + received + nr));
      received += nr;
    }
    if (overflow) this.tty.unthrottle();
    if (received < count) this.#lookahead(bytes.subarray(offset + received, offset + count));
    this.#check();
    return received;
  }

  /** `n_tty_lookahead_flow_ctrl`. */
  #lookahead(waiting: Uint8Array): void {
    const { termios } = this.tty;
    if (!termios.input(Iflag.IXON)) return;
    const found = waiting.some((byte) => byte === termios.char(Cc.START) || byte === termios.char(Cc.STOP));
    if (found) throw new Unmodelled("flow control characters behind a full terminal");
  }

  /** `__receive_buf`. */
  #receive(bytes: Uint8Array): void {
    const { termios } = this.tty;
    if (this.#raw) {
      for (const byte of bytes) this.#put(byte);
    } else {
      for (const byte of bytes) this.#receiveByte(termios.input(Iflag.ISTRIP) ? byte & 0x7f : byte);
      if (termios.local(Lflag.ECHO | Lflag.ECHONL)) this.out.processEchoes();
    }
    if (this.icanon) return;
    this.commitHead = this.readHead;
    if (this.readHead !== this.readTail) this.tty.wakeReaders(IN2);
  }

  #put(byte: number): void {
    this.#buf[mask(this.readHead)] = byte;
    this.readHead += 1;
  }

  /** `n_tty_receive_buf_standard`, one byte. */
  #receiveByte(byte: number): void {
    if (this.#lnext) {
      this.#lnext = false;
      this.#receiveChar(byte);
    } else if (this.#special[byte] === 1) this.#receiveSpecial(byte);
    else this.#receiveChar(byte);
  }

  /** `n_tty_receive_char`: a character without a meaning. */
  #receiveChar(byte: number): void {
    this.#restartByAny();
    this.#echoInput(byte);
    this.#put(byte);
  }

  #restartByAny(): void {
    const { termios } = this.tty;
    if (!this.tty.stopped || !termios.input(Iflag.IXON) || !termios.input(Iflag.IXANY)) return;
    this.tty.start();
    this.out.processEchoes();
  }

  #echoInput(byte: number): void {
    if (!this.tty.termios.local(Lflag.ECHO)) return;
    if (this.canonHead === this.readHead) this.out.echoSetCanonColumn();
    this.out.echo(byte);
  }

  /** `n_tty_receive_char_special`. */
  #receiveSpecial(typed: number): void {
    const { termios } = this.tty;
    let byte = typed;
    if (termios.input(Iflag.IXON) && this.#flowControl(byte)) return;
    if (termios.local(Lflag.ISIG) && [Cc.INTR, Cc.QUIT, Cc.SUSP].some((place) => byte === termios.char(place))) {
      this.#signalChar(byte);
      return;
    }
    this.#restartByAny();
    if (byte === RETURN) {
      if (termios.input(Iflag.IGNCR)) return;
      if (termios.input(Iflag.ICRNL)) byte = NEWLINE;
    } else if (byte === NEWLINE && termios.input(Iflag.INLCR)) byte = RETURN;
    if (this.icanon && this.#receiveCanon(byte)) return;
    if (termios.local(Lflag.ECHO) && byte === NEWLINE) this.out.echoRaw(NEWLINE);
    else this.#echoInput(byte);
    this.#put(byte);
  }

  /** `n_tty_receive_char_flow_ctrl`. */
  #flowControl(byte: number): boolean {
    const { termios } = this.tty;
    if (byte === termios.char(Cc.START)) {
      this.tty.start();
      this.out.processEchoes();
      return true;
    }
    if (byte !== termios.char(Cc.STOP)) return false;
    this.tty.stop();
    return true;
  }

  /** `n_tty_receive_signal_char`, `isig`. Nobody's terminal: the signal goes to no one. @behaviour Y-10 */
  #signalChar(byte: number): void {
    const { termios } = this.tty;
    if (!termios.local(Lflag.NOFLSH)) {
      this.out.clear();
      this.tty.flushBuffer();
      this.#reset();
      this.tty.packetModeFlush();
    }
    if (termios.input(Iflag.IXON)) this.tty.start();
    if (termios.local(Lflag.ECHO)) this.out.echo(byte);
    else this.out.processEchoes();
  }

  /** `n_tty_receive_char_canon`. @returns whether the character had a meaning for lines. */
  #receiveCanon(byte: number): boolean {
    const { termios } = this.tty;
    const echo = termios.local(Lflag.ECHO);
    const extended = termios.local(Lflag.IEXTEN);
    if (byte === termios.char(Cc.ERASE) || byte === termios.char(Cc.KILL)) this.#erase(byte);
    else if (extended && byte === termios.char(Cc.WERASE)) this.#erase(byte);
    else if (extended && byte === termios.char(Cc.LNEXT)) this.#literalNext(termios);
    else if (extended && echo && byte === termios.char(Cc.REPRINT)) this.#reprint(byte);
    else if (byte === NEWLINE) {
      if (termios.local(Lflag.ECHO | Lflag.ECHONL)) this.out.echoRaw(NEWLINE);
      this.#endLine(byte);
    } else if (byte === termios.char(Cc.EOF)) this.#endLine(DISABLED);
    else if (byte === termios.char(Cc.EOL) || (extended && byte === termios.char(Cc.EOL2))) {
      this.#echoInput(byte);
      this.#endLine(byte);
    } else return false;
    return true;
  }

  #literalNext(termios: Termios): void {
    this.#lnext = true;
    if (!termios.local(Lflag.ECHO) || !termios.local(Lflag.ECHOCTL)) return;
    this.out.echoRaw(0x5e);
    this.out.echoRaw(0x08);
  }

  #reprint(byte: number): void {
    this.out.echo(byte);
    this.out.echoRaw(NEWLINE);
    for (let at = this.canonHead; at < this.readHead; at += 1) this.out.echo(this.#buf[mask(at)] as number);
  }

  /** `n_tty_receive_handle_newline`. @behaviour Y-02 */
  #endLine(byte: number): void {
    this.#eol[mask(this.readHead)] = 1;
    this.#put(byte);
    this.canonHead = this.readHead;
    this.tty.wakeReaders(IN2);
  }

  /** `eraser`: the last character, word, or all of the line that is being typed. */
  #erase(byte: number): void {
    const { termios } = this.tty;
    const single = byte === termios.char(Cc.ERASE);
    const word = !single && byte === termios.char(Cc.WERASE);
    const { ECHO, ECHOE, ECHOK, ECHOKE } = Lflag;
    const echo = termios.local(ECHO);
    if (this.readHead === this.canonHead) return;
    if (!single && !word) {
      const letterByLetter = termios.local(ECHOK) && termios.local(ECHOKE) && termios.local(ECHOE);
      if (!echo || !letterByLetter) {
        this.readHead = this.canonHead;
        if (echo) this.#echoKill(termios);
        return;
      }
    }
    let inWord = false;
    while (this.readHead > this.canonHead) {
      const last = this.#buf[mask(this.readHead - 1)] as number;
      if (word) {
        if (isAlnum(last) || last === 0x5f) inWord = true;
        else if (inWord) break;
      }
      this.readHead -= 1;
      if (echo && single && !termios.local(ECHOE)) this.out.echo(byte);
      else if (echo) this.out.echoErased(last);
      if (single) break;
    }
  }

  #echoKill(termios: Termios): void {
    this.out.echo(termios.char(Cc.KILL));
    if (termios.local(Lflag.ECHOK)) this.out.echoRaw(NEWLINE);
  }

  /** `input_available_p`. @param polling - VMIN counts for poll, unless there is a VTIME. @behaviour Y-02, Y-06 */
  inputAvailable(polling: boolean): boolean {
    if (this.icanon) return this.canonHead !== this.readTail;
    const { termios } = this.tty;
    const amount = polling && termios.char(Cc.TIME) === 0 ? termios.char(Cc.MIN) || 1 : 1;
    return this.commitHead - this.readTail >= amount;
  }

  /** `inq_canon` or all: what FIONREAD tells. @behaviour Y-02, Y-07 */
  get inq(): number {
    if (!this.icanon) return this.readHead - this.readTail;
    let nr = 0;
    for (let at = this.readTail; at < this.canonHead; at += 1) {
      if (this.#eol[mask(at)] === 0 || this.#buf[mask(at)] !== DISABLED) nr += 1;
    }
    return nr;
  }

  /** Bytes that the latest copy has stored. */
  copied = 0;

  /** `copy_from_read_buf`, into `to` from `offset` on; `copied` tells how much. @returns whether more is there. */
  copyRaw(to: Uint8Array, offset: number, count: number): boolean {
    const nr = Math.min(this.commitHead - this.readTail, count);
    for (let i = 0; i < nr; i += 1) to[offset + i] = this.#buf[mask(this.readTail + i)] as number;
    this.readTail += nr;
    this.copied = nr;
    return nr > 0 && this.commitHead !== this.readTail;
  }

  /** `canon_copy_from_read_buf`: at most one line. @returns whether more of the line is there. */
  copyCanon(to: Uint8Array, offset: number, count: number): boolean {
    this.copied = 0;
    while (this.copied < count && this.readTail < this.canonHead) {
      const at = mask(this.readTail);
      const byte = this.#buf[at] as number;
      this.readTail += 1;
      if (this.#eol[at] === 0) to[offset + this.copied++] = byte;
      else {
        this.#eol[at] = 0;
        if (byte !== DISABLED) to[offset + this.copied++] = byte;
        return false;
      }
    }
    return count > 0 && this.readTail !== this.canonHead;
  }

  /** `canon_skip_eof`: an end of file right behind what was read is not read again. */
  skipEof(): void {
    const at = mask(this.readTail);
    if (this.readTail === this.canonHead || this.#eol[at] === 0 || this.#buf[at] !== DISABLED) return;
    this.#eol[at] = 0;
    this.readTail += 1;
  }

  #check(): void {
    const end = this.icanon ? this.canonHead : this.commitHead;
    assert(this.readTail <= end && end <= this.readHead, "N1: what is readable is out of order");
    assert(this.readHead - this.readTail <= BUF_SIZE, "N2: more bytes than the buffer holds");
  }
}
