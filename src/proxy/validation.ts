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
import { parseSipUri, uriScheme } from '../sip/message/uri.ts';
import { parseVia } from '../sip/message/via.ts';

/** A request that is refused before anything else is done with it. */
export interface Refusal {
  readonly status: number;
  readonly reason?: string;
  /** Whole header lines, each ending in CRLF. */
  readonly headers?: string;
}

/** Headers that may stand only once (RFC 3261 7.3.1) and that routing hangs on. */
const single = [FROM, TO, CALL_ID, CSEQ, MAX_FORWARDS, CONTENT_LENGTH];

/**
 * Request validation in the order of RFC 3261 16.3, without loop detection and authorisation, which need more
 * than the message. Undefined where the request may go on.
 */
export function validateRequest(request: Message): Refusal | undefined {
  // 1. Reasonable syntax: what routing and matching read must be readable; the rest passes untouched.
  if (request.version !== '2.0') return { status: 505 };
  if (request.defect !== undefined) return { status: 400, reason: request.defect };
  for (const id of single)
    if (request.count(id) > 1) return { status: 400, reason: `Multiple ${headerName(id)} Headers` };
  if (!request.from) return { status: 400, reason: badOrMissing(request, FROM) };
  if (!request.to) return { status: 400, reason: badOrMissing(request, TO) };
  if (request.callId === '' || /[\s,;]/.test(request.callId))
    return { status: 400, reason: badOrMissing(request, CALL_ID) };
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
  const uri = parseSipUri(requestUri);
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
  const required = request
    .values(PROXY_REQUIRE)
    .flatMap(splitList)
    .filter((option) => option !== '');
  if (required.length > 0) return { status: 420, headers: `Unsupported: ${required.join(', ')}\r\n` };
  return undefined;
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
