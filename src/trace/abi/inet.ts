/**
 * Internet addresses as text and bytes.
 *
 * Counterpart: `inet_pton(3)`, `inet_ntop(3)`.
 */

/** The 4 bytes of `127.0.0.1`; null when it is no such address. */
export function parseInet4(text: string): Uint8Array | null {
  const parts = text.split(".");
  const numbers = parts.map((part) => (/^\d{1,3}$/u.test(part) ? Number(part) : 256));
  return parts.length === 4 && numbers.every((part) => part < 256) ? Uint8Array.from(numbers) : null;
}

/** `127.0.0.1`. */
export function printInet4(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 4)).join(".");
}

/** The 16 bytes of `::1`, `fe80::1`, `::ffff:127.0.0.1`; null when it is no such address. */
export function parseInet6(text: string): Uint8Array | null {
  const [head = "", tail, more] = text.split("::");
  if (more !== undefined) return null;
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  if (left === null || right === null) return null;
  const missing = 8 - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const all = [...left, ...new Array<number>(missing).fill(0), ...right];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The groups of 16 bits of one side of `::`; a dotted end makes two. */
function groups(text: string): number[] | null {
  if (text === "") return [];
  const numbers: number[] = [];
  const words = text.split(":");
  for (const [index, word] of words.entries()) {
    const dotted = index === words.length - 1 && word.includes(".") ? parseInet4(word) : null;
    if (dotted !== null) numbers.push((dotted[0]! << 8) | dotted[1]!, (dotted[2]! << 8) | dotted[3]!);
    else if (/^[0-9a-f]{1,4}$/iu.test(word)) numbers.push(Number.parseInt(word, 16));
    else return null;
  }
  return numbers;
}

/** The text that `inet_ntop` gives: the longest run of zero groups shortened, mapped IPv4 addresses dotted. */
export function printInet6(bytes: Uint8Array): string {
  const numbers = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const { start, length } = longestZeroRun(numbers);
  // ::ffff:a.b.c.d and ::a.b.c.d
  const dotted = start === 0 && (length === 6 || (length === 5 && numbers[5] === 0xffff));
  const words = numbers.slice(0, dotted ? 6 : 8).map((group) => group.toString(16));
  if (dotted) words.push(printInet4(bytes.subarray(12)));
  if (length < 2) return words.join(":");
  return `${words.slice(0, start).join(":")}::${words.slice(start + length).join(":")}`;
}

function longestZeroRun(numbers: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 0 };
  for (let start = 0; start < numbers.length; start += 1) {
    let end = start;
    while (numbers[end] === 0) end += 1;
    if (end - start > best.length) best = { start, length: end - start };
  }
  return best;
}
