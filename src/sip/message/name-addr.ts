import { findOutside, isSpace, isToken, quotedEnd, skipSpace } from './grammar.ts';

/** A `name-addr` or `addr-spec` with the parameters of its header field (RFC 3261 20.10, 20.20, 20.39). */
export interface NameAddr {
  /** As written, quotes included; `''` where there is none. */
  readonly displayName: string;
  /** What stands between the angle brackets, or the bare URI. */
  readonly uri: string;
  /** Header parameters, `;tag=x`, with the leading semicolon, or `''`. */
  readonly params: string;
}

/** Parses one From, To, Contact, Route or Record-Route value; undefined where it is malformed. */
export function parseNameAddr(value: string): NameAddr | undefined {
  const end = value.length;
  let i = skipSpace(value, 0, end);
  let open: number;
  if (value.charCodeAt(i) === 0x22) {
    const close = quotedEnd(value, i, end);
    if (close < 0) return undefined;
    open = skipSpace(value, close, end);
    if (value.charCodeAt(open) !== 0x3c) return undefined;
  } else {
    open = value.indexOf('<', i);
    if (open > i) {
      // An unquoted display name is words of tokens (RFC 3261 25.1 display-name).
      for (const word of value.slice(i, open).trim().split(/\s+/)) if (!isToken(word)) return undefined;
    }
  }
  if (open < 0) {
    // Without brackets everything behind the first semicolon belongs to the header (RFC 3261 20).
    const semicolon = findOutside(value, 0x3b, i, end);
    const uri = value.slice(i, semicolon).trim();
    if (uri === '' || holds(uri, ',?<>"')) return undefined;
    return { displayName: '', uri, params: value.slice(semicolon).trim() };
  }
  const displayName = value.slice(i, open).trim();
  const close = value.indexOf('>', open);
  if (close < 0) return undefined;
  const uri = value.slice(open + 1, close);
  if (uri === '' || holds(uri, '<"')) return undefined;
  i = skipSpace(value, close + 1, end);
  if (i < end && value.charCodeAt(i) !== 0x3b) return undefined;
  return { displayName, uri, params: value.slice(i).trim() };
}

/** Whether `text` holds white space or one of `chars`. A loop, since the way into a regular expression is longer. */
function holds(text: string, chars: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (isSpace(code) || code === 0x0b || code === 0x0c || code === 0xa0) return true;
    if (chars.includes(text[i]!)) return true;
  }
  return false;
}
