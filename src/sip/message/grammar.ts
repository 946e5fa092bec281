/** Helpers for the RFC 3261 section 25.1 grammar, on latin1 text and offsets: nothing is copied while looking. */

const tokenChars = new Uint8Array(256);
for (const char of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~") {
  tokenChars[char.charCodeAt(0)] = 1;
}

/** SP, HTAB, CR or LF: what linear white space is made of once lines are joined. */
export function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d || code === 0x0a;
}

/** True where every character of a non-empty `text` may stand in a `token`. */
export function isToken(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++) if (tokenChars[text.charCodeAt(i)] !== 1) return false;
  return true;
}

/** The first offset in [start, end) that is not white space; `end` where there is none. */
export function skipSpace(text: string, start: number, end: number): number {
  let i = start;
  while (i < end && isSpace(text.charCodeAt(i))) i++;
  return i;
}

/** The offset just behind the last character in [start, end) that is not white space. */
export function trimEnd(text: string, start: number, end: number): number {
  let i = end;
  while (i > start && isSpace(text.charCodeAt(i - 1))) i--;
  return i;
}

/** The first offset in [start, end) behind the token that begins at `start`. */
export function tokenEnd(text: string, start: number, end: number): number {
  let i = start;
  while (i < end && tokenChars[text.charCodeAt(i)] === 1) i++;
  return i;
}

/** The offset behind the quoted string that opens at `start`, or -1 where it never closes. */
export function quotedEnd(text: string, start: number, end: number): number {
  for (let i = start + 1; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x5c) i++;
    else if (code === 0x22) return i + 1;
  }
  return -1;
}

/** The offset of the first `separator` in [start, end) outside quotes and angle brackets; `end` where none. */
export function findOutside(text: string, separator: number, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === separator) return i;
    if (code === 0x22) {
      const close = quotedEnd(text, i, end);
      if (close < 0) return end;
      i = close - 1;
    } else if (code === 0x3c) {
      const close = text.indexOf('>', i);
      if (close < 0 || close >= end) return end;
      i = close;
    }
  }
  return end;
}

/** The parts of a comma-separated header value, trimmed; commas in quotes and brackets do not part. */
export function splitList(value: string): string[] {
  const parts: string[] = [];
  for (let start = 0; start <= value.length; ) {
    const end = findOutside(value, 0x2c, start, value.length);
    parts.push(value.slice(start, end).trim());
    start = end + 1;
  }
  return parts;
}

/** A whole number of at most `maximum`, or undefined; only digits count (RFC 3261 25.1 1*DIGIT). */
export function parseInteger(text: string, maximum: number): number | undefined {
  if (text.length === 0) return undefined;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
    if (value > maximum) return undefined;
  }
  return value;
}

/** Whether `name` (lower case) stands at `start` in any case; the caller has compared the lengths. */
export function isNameAt(text: string, start: number, name: string): boolean {
  if (text.startsWith(name, start)) return true;
  for (let i = 0; i < name.length; i++) {
    const code = text.charCodeAt(start + i);
    const lower = code >= 0x41 && code <= 0x5a ? code + 0x20 : code;
    if (lower !== name.charCodeAt(i)) return false;
  }
  return true;
}
