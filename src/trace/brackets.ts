/**
 * Where a stretch of text ends that is not taken apart: words in brackets, an argument in an unknown form.
 */

/**
 * The position behind the bracket that closes the one at `start`, -1 when none does. Several pairs in a row are one:
 * `(No such file or directory) (INJECTED)`.
 */
export function endOfBrackets(text: string, start: number): number {
  let depth = 0;
  for (let pos = start; pos < text.length; pos += 1) {
    const code = text.charCodeAt(pos);
    if (code === 0x28) depth += 1;
    else if (code === 0x22) {
      pos = closingQuote(text, pos);
      if (pos === -1) return -1;
    } else if (code === 0x29) {
      depth -= 1;
      if (depth === 0 && !text.startsWith(" (", pos + 1)) return pos + 1;
    }
  }
  return -1;
}

/** The position of the quote that ends the string at `quote`, -1 when none does. */
function closingQuote(text: string, quote: number): number {
  for (let pos = quote + 1; pos < text.length; pos += 1) {
    const code = text.charCodeAt(pos);
    if (code === 0x22) return pos;
    if (code === 0x5c) pos += 1;
  }
  return -1;
}

/** The end of an argument in an unknown form: the next comma or bracket at its own level; -1 when there is none. */
export function endOfRaw(text: string, start: number): number {
  let depth = 0;
  for (let pos = start; pos < text.length; pos += 1) {
    const char = text[pos]!;
    if (char === '"') {
      pos = closingQuote(text, pos);
      if (pos === -1) return -1;
    } else if ("([{".includes(char)) depth += 1;
    else if (depth === 0 && (",)]}".includes(char) || text.startsWith(" <unfinished", pos))) return pos;
    else if (")]}".includes(char)) depth -= 1;
  }
  return -1;
}
