import { findOutside, quotedEnd, skipSpace, tokenEnd, trimEnd } from './grammar.ts';

/** A `name-addr` or `addr-spec` with the parameters of its header field (RFC 3261 20.10, 20.20, 20.39). */
export interface NameAddr {
  /** As written, quotes included; `''` where there is none. */
  readonly displayName: string;
  /** What stands between the angle brackets, or the bare URI. */
  readonly uri: string;
  /** Header parameters, `;tag=x`, with the leading semicolon, or `''`. */
  readonly params: string;
}

/** Characters that end a URI or do not belong in one, by code; a bit for each of the two forms. */
const BARE = 1;
const BRACKETED = 2;
const strange = new Uint8Array(256);
for (const [bits, chars] of [
  [BARE | BRACKETED, ' \t\r\n\v\f\xa0<"'],
  [BARE, ',?>'],
] as const) {
  for (const char of chars) strange[char.charCodeAt(0)]! |= bits;
}

/**
 * Parses one From, To, Contact, Route or Record-Route value, of which `text` may be more; undefined where it is
 * malformed.
 */
export function parseNameAddr(text: string, start = 0, end: number = text.length): NameAddr | undefined {
  let i = skipSpace(text, start, end);
  let open: number;
  if (text.charCodeAt(i) === 0x22) {
    const close = quotedEnd(text, i, end);
    if (close < 0) return undefined;
    open = skipSpace(text, close, end);
    if (open === end || text.charCodeAt(open) !== 0x3c) return undefined;
  } else {
    open = text.indexOf('<', i);
    if (open >= end) open = -1;
    // An unquoted display name is words of tokens (RFC 3261 25.1 display-name).
    for (let word = i; word < open; word = skipSpace(text, word, open)) {
      const wordEnd = tokenEnd(text, word, open);
      if (wordEnd === word) return undefined;
      word = wordEnd;
    }
  }
  if (open < 0) {
    // Without brackets everything behind the first semicolon belongs to the header (RFC 3261 20).
    const semicolon = findOutside(text, 0x3b, i, end);
    const uriEnd = trimEnd(text, i, semicolon);
    if (uriEnd === i || holds(text, i, uriEnd, BARE)) return undefined;
    const params = text.slice(semicolon, trimEnd(text, semicolon, end));
    return { displayName: '', uri: text.slice(i, uriEnd), params };
  }
  const displayName = open === i ? '' : text.slice(i, trimEnd(text, i, open));
  const close = text.indexOf('>', open);
  if (close < 0 || close >= end) return undefined;
  if (close === open + 1 || holds(text, open + 1, close, BRACKETED)) return undefined;
  i = skipSpace(text, close + 1, end);
  if (i < end && text.charCodeAt(i) !== 0x3b) return undefined;
  return { displayName, uri: text.slice(open + 1, close), params: text.slice(i, trimEnd(text, i, end)) };
}

/** Whether a character in [start, end) is strange to a URI of this form. */
function holds(text: string, start: number, end: number, form: number): boolean {
  for (let i = start; i < end; i++) if ((strange[text.charCodeAt(i)]! & form) !== 0) return true;
  return false;
}
