/** A SIP or SIPS URI in its parts (RFC 3261 19.1.1). Nothing is unescaped. */
export interface SipUri {
  /** Lower case: `sip` or `sips`. */
  readonly scheme: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** As written, but with at most two colons in a row: IPv6 keeps its brackets. */
  readonly host: string;
  readonly port: number | undefined;
  /** `;transport=tcp;lr`, with the leading semicolon, or `''`. */
  readonly params: string;
  /** `?Subject=x`, with the question mark, or `''`. */
  readonly headers: string;
}

/** Character classes of RFC 3261 25.1, by code; a bit each. */
const USER = 1;
const PASSWORD = 2;
const NAME = 4;
const IPV6 = 8;
const HEX = 16;
const classes = new Uint8Array(256);
const alphanumeric = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
for (const [bit, chars] of [
  // The user may hold ; ? / and more unescaped.
  [USER, `${alphanumeric}_-.!~*'()&=+$,;?/%`],
  [PASSWORD, `${alphanumeric}_-.!~*'()&=+$,%`],
  [NAME, `${alphanumeric}_-.`],
  [IPV6, '0123456789abcdefABCDEF:.'],
  [HEX, '0123456789abcdefABCDEF'],
] as const) {
  for (const char of chars) classes[char.charCodeAt(0)]! |= bit;
}

/** Parses a sip: or sips: URI; undefined where the text is not one. */
export function parseSipUri(text: string): SipUri | undefined {
  const secure = text.charCodeAt(3) !== 0x3a;
  const start = secure ? 5 : 4;
  if (text.charCodeAt(start - 1) !== 0x3a) return undefined;
  const scheme = secure ? 'sips' : 'sip';
  if (!text.startsWith(scheme) && text.slice(0, start - 1).toLowerCase() !== scheme) return undefined;
  const at = text.indexOf('@', start);
  if (at >= 0) {
    const userEnd = classEnd(text, start, at, USER);
    if (userEnd === at && userEnd > start && escapesRight(text, start, at)) {
      const uri = hostPart(text, at + 1, scheme, text.slice(start, at), undefined);
      if (uri) return uri;
    } else if (userEnd > start && text.charCodeAt(userEnd) === 0x3a && escapesRight(text, start, userEnd)) {
      if (classEnd(text, userEnd + 1, at, PASSWORD) === at) {
        const uri = hostPart(text, at + 1, scheme, text.slice(start, userEnd), text.slice(userEnd + 1, at));
        if (uri) return uri;
      }
    }
  }
  // No user part: an at sign can still stand in the headers.
  return hostPart(text, start, scheme, undefined, undefined);
}

function hostPart(
  text: string,
  start: number,
  scheme: string,
  user: string | undefined,
  password: string | undefined,
): SipUri | undefined {
  const end = text.length;
  let i = start;
  let host: string;
  if (text.charCodeAt(i) === 0x5b) {
    i = classEnd(text, i + 1, end, IPV6);
    if (i === start + 1 || text.charCodeAt(i) !== 0x5d) return undefined;
    i++;
    // `[2001:db8:::192.0.2.1]` comes of a slip in RFC 3261's grammar and must be tolerated (RFC 5118 4.10).
    host = text.slice(start, i).replace(':::', '::');
  } else {
    // No empty label: no dot at the beginning or behind another.
    let last = 0x2e;
    for (; i < end; i++) {
      const code = text.charCodeAt(i);
      if ((classes[code]! & NAME) === 0) break;
      if (code === 0x2e && last === 0x2e) return undefined;
      last = code;
    }
    if (i === start) return undefined;
    host = text.slice(start, i);
  }
  let port: number | undefined;
  if (i < end && text.charCodeAt(i) === 0x3a) {
    i++;
    let value = 0;
    let digits = 0;
    for (; i < end; i++, digits++) {
      const digit = text.charCodeAt(i) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      if (value > 65535) return undefined;
    }
    if (digits > 0 && value > 0) port = value;
  }
  const paramsStart = i;
  if (i < end && text.charCodeAt(i) === 0x3b) {
    for (; i < end; i++) {
      const code = text.charCodeAt(i);
      if (code === 0x3f) break;
      // White space, < > " @ end every URI.
      if (code <= 0x20 || code === 0x3c || code === 0x3e || code === 0x22 || code === 0x40) return undefined;
    }
    if (!escapesRight(text, paramsStart, i)) return undefined;
  }
  const headersStart = i;
  if (i < end) {
    if (text.charCodeAt(i) !== 0x3f) return undefined;
    for (; i < end; i++) {
      const code = text.charCodeAt(i);
      if (code <= 0x20 || code === 0x3c || code === 0x3e || code === 0x22) return undefined;
    }
  }
  return {
    scheme,
    user,
    password,
    host,
    port,
    params: text.slice(paramsStart, headersStart),
    headers: text.slice(headersStart),
  };
}

/** The first offset in [start, end) whose character is not of the class. */
function classEnd(text: string, start: number, end: number, bit: number): number {
  let i = start;
  while (i < end && (classes[text.charCodeAt(i)]! & bit) !== 0) i++;
  return i;
}

/** Whether every % in [start, end) begins an escape. */
function escapesRight(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (text.charCodeAt(i) !== 0x25) continue;
    if (i + 2 >= end || classEnd(text, i + 1, i + 3, HEX) !== i + 3) return false;
  }
  return true;
}

/** The scheme of any URI in lower case, undefined where there is none (RFC 3986 3.1). */
export function uriScheme(text: string): string | undefined {
  if (text.startsWith('sip:')) return 'sip';
  return /^([a-z][a-z0-9+\-.]*):/i.exec(text)?.[1]?.toLowerCase();
}

/**
 * A user part with its escapes resolved, for comparing (RFC 3261 19.1.2: `%61lice` is `alice`). Case stays.
 * The result is latin1: UTF-8 users stay as their bytes.
 */
export function unescapeUser(user: string): string {
  if (!user.includes('%')) return user;
  return user.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
