import { isNameAt } from './grammar.ts';

/** Small integers for the header fields that the agent looks at; everything else is OTHER and passes as it is. */
export const OTHER = 0;
export const VIA = 1;
export const FROM = 2;
export const TO = 3;
export const CALL_ID = 4;
export const CSEQ = 5;
export const MAX_FORWARDS = 6;
export const CONTACT = 7;
export const ROUTE = 8;
export const RECORD_ROUTE = 9;
export const CONTENT_LENGTH = 10;
export const CONTENT_TYPE = 11;
export const REQUIRE = 12;
export const PROXY_REQUIRE = 13;
export const SUPPORTED = 14;
export const AUTHORIZATION = 15;
export const PROXY_AUTHORIZATION = 16;
export const EXPIRES = 17;
export const PATH = 18;
export const USER_AGENT = 19;
export const TIMESTAMP = 20;
export const CONTENT_ENCODING = 21;
export const DATE = 22;
export const RETRY_AFTER = 23;
export const PROXY_AUTHENTICATE = 24;
export const WWW_AUTHENTICATE = 25;
/** Our own: an authenticated caller asks for his call to be recorded. It goes no further. */
export const X_CLOUDSIP_RECORD = 26;

/** Names in lower case, the compact forms of RFC 3261 7.3.3 among them. */
const names: readonly (readonly [string, number])[] = [
  ['via', VIA],
  ['from', FROM],
  ['to', TO],
  ['call-id', CALL_ID],
  ['cseq', CSEQ],
  ['max-forwards', MAX_FORWARDS],
  ['contact', CONTACT],
  ['route', ROUTE],
  ['record-route', RECORD_ROUTE],
  ['content-length', CONTENT_LENGTH],
  ['content-type', CONTENT_TYPE],
  ['require', REQUIRE],
  ['proxy-require', PROXY_REQUIRE],
  ['supported', SUPPORTED],
  ['authorization', AUTHORIZATION],
  ['proxy-authorization', PROXY_AUTHORIZATION],
  ['expires', EXPIRES],
  ['path', PATH],
  ['user-agent', USER_AGENT],
  ['timestamp', TIMESTAMP],
  ['content-encoding', CONTENT_ENCODING],
  ['date', DATE],
  ['retry-after', RETRY_AFTER],
  ['proxy-authenticate', PROXY_AUTHENTICATE],
  ['www-authenticate', WWW_AUTHENTICATE],
  ['x-cloudsip-record', X_CLOUDSIP_RECORD],
  ['v', VIA],
  ['f', FROM],
  ['t', TO],
  ['i', CALL_ID],
  ['m', CONTACT],
  ['l', CONTENT_LENGTH],
  ['c', CONTENT_TYPE],
  ['k', SUPPORTED],
  ['e', CONTENT_ENCODING],
];

/** By length and first letter, so that a name is compared with one or two others and never copied. */
const byShape: (readonly (readonly [string, number])[] | undefined)[] = [];
const longestName = 31;
for (const entry of names) {
  const shape = entry[0].length * 32 + (entry[0].charCodeAt(0) & 31);
  byShape[shape] = [...(byShape[shape] ?? []), entry];
}
for (let shape = 0; shape < (longestName + 1) * 32; shape++) byShape[shape] ??= undefined;

/** The id of the header field name in [start, end), in any spelling. */
export function headerId(text: string, start: number, end: number): number {
  const length = end - start;
  if (length > longestName || length < 1) return OTHER;
  const candidates = byShape[length * 32 + (text.charCodeAt(start) & 31)];
  if (candidates === undefined) return OTHER;
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!;
    if (isNameAt(text, start, candidate[0])) return candidate[1];
  }
  return OTHER;
}
