/**
 * String literals as strace writes them: C escapes, octal as short as the next character allows.
 *
 * Counterpart: strace `util.c` (`string_quote`).
 */
import { describeAt, ParseError } from "./errors.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const DIGIT_0 = 0x30;
const DIGIT_7 = 0x37;

/** Letters that may follow a backslash, with the byte they mean. */
const ESCAPES = new Map<number, number>(
  [..."t\tn\nr\rv\vf\fa\u0007b\be\u001b"].reduce<[number, number][]>((pairs, char, i, all) => {
    if (i % 2 === 0) pairs.push([char.charCodeAt(0), all[i + 1]!.charCodeAt(0)]);
    return pairs;
  }, []),
);
for (const self of "\"\\'?<>") ESCAPES.set(self.charCodeAt(0), self.charCodeAt(0));

/** Value of a hexadecimal digit, -1 for any other character. */
export function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function isOctal(code: number): boolean {
  return code >= DIGIT_0 && code <= DIGIT_7;
}

/**
 * The position of the quote that ends the literal whose text begins at `start`.
 *
 * @param file - for the error's message
 */
export function endOfString(text: string, start: number, file: string | null, line: number): number {
  for (let pos = start; pos < text.length; ) {
    const code = text.charCodeAt(pos);
    if (code === QUOTE) return pos;
    pos = code === BACKSLASH ? endOfEscape(text, pos, file, line) : pos + 1;
  }
  throw new ParseError(file, line, text.length + 1, "the end of the line", "'\"' at the end of the string");
}

function endOfEscape(text: string, backslash: number, file: string | null, line: number): number {
  const code = text.charCodeAt(backslash + 1);
  if (isOctal(code)) {
    let pos = backslash + 2;
    while (pos < backslash + 4 && isOctal(text.charCodeAt(pos))) pos += 1;
    return pos;
  }
  if (code === 0x78 && hexDigit(text.charCodeAt(backslash + 2)) >= 0) {
    return hexDigit(text.charCodeAt(backslash + 3)) >= 0 ? backslash + 4 : backslash + 3;
  }
  if (ESCAPES.has(code)) return backslash + 2;
  throw new ParseError(
    file,
    line,
    backslash + 1,
    describeAt(text, backslash),
    'an escape: \\n, \\t, \\\\, \\", \\1 to \\377 or \\x1 to \\xff',
  );
}

/** The bytes of a well-formed literal's text. A character beyond ASCII counts as its UTF-8 bytes. */
export function decodeString(source: string): Uint8Array {
  const out = new Uint8Array(source.length);
  let length = 0;
  let pos = 0;
  while (pos < source.length) {
    const code = source.charCodeAt(pos);
    if (code >= 0x80) return decodeWide(source);
    if (code !== BACKSLASH) {
      out[length] = code;
      pos += 1;
    } else {
      pos = decodeEscape(source, pos, out, length);
    }
    length += 1;
  }
  return length === source.length ? out : out.slice(0, length);
}

/** Writes the byte of the escape at `pos` and returns the position behind it. */
function decodeEscape(source: string, pos: number, out: Uint8Array, at: number): number {
  const code = source.charCodeAt(pos + 1);
  if (isOctal(code)) {
    let value = 0;
    let next = pos + 1;
    for (let digit = code; isOctal(digit) && next < pos + 4; digit = source.charCodeAt(next)) {
      value = value * 8 + digit - DIGIT_0;
      next += 1;
    }
    out[at] = value;
    return next;
  }
  if (code === 0x78) {
    const high = hexDigit(source.charCodeAt(pos + 2));
    const low = hexDigit(source.charCodeAt(pos + 3));
    out[at] = low >= 0 ? high * 16 + low : high;
    return low >= 0 ? pos + 4 : pos + 3;
  }
  out[at] = ESCAPES.get(code) ?? code;
  return pos + 2;
}

/** The same for a literal with characters beyond ASCII: their UTF-8 bytes are written as escapes first. */
function decodeWide(source: string): Uint8Array {
  const escaped = source.replace(/[^\0-\x7f]+/gu, (wide) => {
    let text = "";
    for (const byte of new TextEncoder().encode(wide)) text += `\\${byte.toString(8).padStart(3, "0")}`;
    return text;
  });
  return decodeString(escaped);
}

const PRINTED = new Map<number, string>([
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x0b, "\\v"],
  [0x0c, "\\f"],
  [0x0d, "\\r"],
  [QUOTE, '\\"'],
  [BACKSLASH, "\\\\"],
]);

/** The literal's text between the quotes, as strace prints it. */
export function encodeString(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i]!;
    const special = PRINTED.get(byte);
    if (special !== undefined) text += special;
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else {
      const next = bytes[i + 1];
      const octal = byte.toString(8);
      // a digit behind a short escape would be read as part of it; string_quote looks for 0 to 9
      text += `\\${next !== undefined && next >= 0x30 && next <= 0x39 ? octal.padStart(3, "0") : octal}`;
    }
  }
  return text;
}
