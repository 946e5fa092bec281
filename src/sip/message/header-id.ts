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

const byName = new Map<string, number>([
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
  // Compact forms, RFC 3261 7.3.3.
  ['v', VIA],
  ['f', FROM],
  ['t', TO],
  ['i', CALL_ID],
  ['m', CONTACT],
  ['l', CONTENT_LENGTH],
  ['c', CONTENT_TYPE],
  ['k', SUPPORTED],
  ['e', CONTENT_ENCODING],
]);

const longestName = 32;

/** The id of a header field name in any spelling. */
export function headerId(name: string): number {
  // Headers mostly come spelt as the RFC spells them: those are found without making a lower-case copy.
  return spelt.get(name) ?? (name.length > longestName ? OTHER : (byName.get(name.toLowerCase()) ?? OTHER));
}

const spelt = new Map<string, number>(byName);
for (const [name, id] of byName) {
  spelt.set(
    name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()),
    id,
  );
}
spelt.set('Call-ID', CALL_ID);
spelt.set('CSeq', CSEQ);
spelt.set('WWW-Authenticate', WWW_AUTHENTICATE);
for (const common of ['Allow', 'Server', 'Accept', 'Session-Expires', 'Min-SE', 'Subject'])
  spelt.set(common, OTHER);
