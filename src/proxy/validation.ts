import { familyOf } from '../net/address.ts';
import { skipSpace, splitList } from '../sip/message/grammar.ts';
import {
  CALL_ID,
  CONTENT_LENGTH,
  CSEQ,
  FROM,
  MAX_FORWARDS,
  PROXY_REQUIRE,
  TO,
  VIA,
} from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import { uriScheme } from '../sip/message/uri.ts';
import { parseVia } from '../sip/message/via.ts';

/** A request that is refused before anything else is done with it. */
export interface Refusal {
  readonly status: number;
  readonly reason?: string;
  /** Whole header lines, each ending in CRLF. */
  readonly headers?: string;
}

/** Headers that may stand only once (RFC 3261 7.3.1) and that routing hangs on. */
const single: number = [FROM, TO, CALL_ID, CSEQ, MAX_FORWARDS, CONTENT_LENGTH].reduce(
  (bits, id) => bits | (1 << id),
  0,
);

/**
 * Request validation in the order of RFC 3261 16.3, without loop detection and authorisation, which need more
 * than the message. Undefined where the request may go on.
 */
export function validateRequest(request: Message): Refusal | undefined {
  // 1. Reasonable syntax: what routing and matching read must be readable; the rest passes untouched.
  if (request.version !== '2.0') return { status: 505 };
  if (request.defect !== undefined) return { status: 400, reason: request.defect };
  const twice = repeated(request);
  if (twice !== undefined) return { status: 400, reason: `Multiple ${headerName(twice)} Headers` };
  if (!request.from) return { status: 400, reason: badOrMissing(request, FROM) };
  if (!request.to) return { status: 400, reason: badOrMissing(request, TO) };
  if (!isWord(request.callId)) return { status: 400, reason: badOrMissing(request, CALL_ID) };
  if (request.cseqNumber < 0) return { status: 400, reason: badOrMissing(request, CSEQ) };
  // RFC 3261 8.2.2.1 leaves a method that CSeq contradicts to the server's syntax check (RFC 4475 3.1.2.17).
  if (request.cseqMethod !== request.method)
    return { status: 400, reason: 'CSeq Method Does Not Match Request Method' };
  if (!viasReadable(request)) return { status: 400, reason: 'Bad Via Header' };

  // 2. URI scheme.
  const { requestUri } = request;
  const scheme = uriScheme(requestUri);
  if (scheme === undefined) return { status: 400, reason: 'Bad Request-URI' };
  if (scheme !== 'sip' && scheme !== 'sips') {
    return { status: 416 };
  }
  const { uri } = request;
  if (!uri || badAddress(uri.host)) return { status: 400, reason: 'Bad Request-URI' };
  // A Request-URI never carries headers (RFC 3261 19.1.1 table 1).
  if (uri.headers !== '') return { status: 400, reason: 'Request-URI With Headers' };

  // 3. Max-Forwards.
  const { maxForwards } = request;
  if (maxForwards !== undefined) {
    if (maxForwards < 0) return { status: 400, reason: 'Bad Max-Forwards' };
    if (maxForwards === 0 && request.method !== 'OPTIONS') return { status: 483 };
  }

  // 5. Proxy-Require: nothing that may stand there is supported.
  const required =
    request.find(PROXY_REQUIRE) < 0
      ? []
      : request
          .values(PROXY_REQUIRE)
          .flatMap(splitList)
          .filter((option) => option !== '');
  if (required.length > 0) return { status: 420, headers: `Unsupported: ${required.join(', ')}\r\n` };
  return undefined;
}

/** The first header that stands twice and may not. */
function repeated(request: Message): number | undefined {
  let seen = 0;
  for (let n = 0; n < request.headerCount; n++) {
    const bit = (1 << request.idAt(n)) & single;
    if ((seen & bit) !== 0) return request.idAt(n);
    seen |= bit;
  }
  return undefined;
}

/** A Call-ID is one word (RFC 3261 25.1 callid); what would part a list or a header is not in it. */
function isWord(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code === 0x2c || code === 0x3b) return false;
  }
  return text !== '';
}

function viasReadable(request: Message): boolean {
  let via = request.via;
  if (!via) return false;
  const lineEnd = request.valueEnd(request.find(VIA));
  // The hops that share a line with the one that we answer to must be hops: separators without anything between
  // them show a broken sender (RFC 4475 3.1.2.1). Other lines belong to those before us.
  while (via.end < lineEnd) {
    via = parseVia(request.text, skipSpace(request.text, via.end, lineEnd) + 1, lineEnd);
    if (!via) return false;
  }
  return true;
}

function badAddress(host: string): boolean {
  return host.charCodeAt(0) === 0x5b && familyOf(host) !== 'ipv6';
}

function badOrMissing(request: Message, id: number): string {
  return `${request.find(id) < 0 ? 'Missing' : 'Bad'} ${headerName(id)} Header`;
}

function headerName(id: number): string {
  switch (id) {
    case FROM:
      return 'From';
    case TO:
      return 'To';
    case CALL_ID:
      return 'Call-ID';
    case CSEQ:
      return 'CSeq';
    case MAX_FORWARDS:
      return 'Max-Forwards';
    default:
      return 'Content-Length';
  }
}
