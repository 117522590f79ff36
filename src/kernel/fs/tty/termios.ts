/**
 * What a terminal is set to.
 *
 * Counterpart: `include/uapi/asm-generic/termbits.h` (`struct termios`, `struct ktermios`), `drivers/tty/tty_io.c`
 * (`tty_std_termios`). Line speeds beyond the bits in `c_cflag` are not kept.
 */
import { Unmodelled } from "../../lib/assert.ts";
import { Cc, Cflag, Iflag, Lflag, Oflag } from "../../uapi/tty.ts";

const NCCS = 19;
/** `sizeof(struct termios)`: four words of flags, the line discipline, the control characters. */
export const TERMIOS_BYTES = 36;

/** Settings that would change what is read or echoed in ways that nobody has written down here. */
const UNMODELLED_INPUT = Iflag.IUCLC | Iflag.PARMRK | Iflag.IUTF8;
const UNMODELLED_LOCAL = Lflag.ECHOPRT | Lflag.EXTPROC;

function control(letter: string): number {
  return letter.charCodeAt(0) - 0x40;
}

/** `INIT_C_CC`. */
function initialCc(): Uint8Array {
  const cc = new Uint8Array(NCCS);
  cc[Cc.INTR] = control("C");
  cc[Cc.QUIT] = control("\\");
  cc[Cc.ERASE] = 0x7f;
  cc[Cc.KILL] = control("U");
  cc[Cc.EOF] = control("D");
  cc[Cc.MIN] = 1;
  cc[Cc.START] = control("Q");
  cc[Cc.STOP] = control("S");
  cc[Cc.SUSP] = control("Z");
  cc[Cc.REPRINT] = control("R");
  cc[13] = control("O");
  cc[Cc.WERASE] = control("W");
  cc[Cc.LNEXT] = control("V");
  return cc;
}

export class Termios {
  iflag: number;
  oflag: number;
  cflag: number;
  lflag: number;
  /** Number of the line discipline. */
  line = 0;
  cc: Uint8Array = initialCc();

  private constructor(iflag: number, oflag: number, lflag: number) {
    this.iflag = iflag;
    this.oflag = oflag;
    this.cflag = Cflag.B38400 | Cflag.CS8 | Cflag.CREAD;
    this.lflag = lflag;
  }

  /** `init_termios` of the masters: raw, for good, since a master's requests change its slave. */
  static master(): Termios {
    return new Termios(0, 0, 0);
  }

  /** `init_termios` of the slaves: lines, echo, signals. */
  static slave(): Termios {
    const { ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHOCTL, ECHOKE, IEXTEN } = Lflag;
    const lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
    return new Termios(Iflag.ICRNL | Iflag.IXON, Oflag.OPOST | Oflag.ONLCR, lflag);
  }

  /** @param place - `Cc`. */
  char(place: number): number {
    return this.cc[place] as number;
  }

  input(flag: number): boolean {
    return (this.iflag & flag) !== 0;
  }

  output(flag: number): boolean {
    return (this.oflag & flag) !== 0;
  }

  local(flag: number): boolean {
    return (this.lflag & flag) !== 0;
  }

  /** `kernel_termios_to_user_termios_1`. */
  encode(): Uint8Array {
    const bytes = new Uint8Array(TERMIOS_BYTES);
    const view = new DataView(bytes.buffer);
    for (const [i, word] of [this.iflag, this.oflag, this.cflag, this.lflag].entries()) {
      view.setUint32(i * 4, word, true);
    }
    bytes[16] = this.line;
    bytes.set(this.cc, 17);
    return bytes;
  }

  /** `user_termios_to_kernel_termios_1`. @throws Unmodelled for settings that the line discipline does not follow. */
  static decode(bytes: Uint8Array): Termios {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const termios = new Termios(view.getUint32(0, true), view.getUint32(4, true), view.getUint32(12, true));
    termios.cflag = view.getUint32(8, true);
    termios.line = bytes[16] as number;
    termios.cc = bytes.slice(17, TERMIOS_BYTES);
    if (termios.input(UNMODELLED_INPUT)) throw new Unmodelled("a terminal with IUCLC, PARMRK or IUTF8");
    if (termios.output(Oflag.OLCUC)) throw new Unmodelled("a terminal with OLCUC");
    if (termios.local(UNMODELLED_LOCAL)) throw new Unmodelled("a terminal with ECHOPRT or EXTPROC");
    return termios;
  }
}
