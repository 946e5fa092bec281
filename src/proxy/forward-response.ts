import { CONTENT_LENGTH, RECORD_ROUTE, VIA } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import { Splices } from '../sip/message/splice.ts';

export interface ForwardedResponse {
  /** Instead of the one that came. */
  readonly statusLine?: string | undefined;
  /** Undefined where the body stays. */
  readonly body: string | undefined;
  /** Our Record-Route values as the callee saw them and as the caller has to see them (RFC 3261 16.7 step 8). */
  readonly recordRoutes: readonly { readonly seen: string; readonly shown: string }[];
  /** Whole header lines to add, each ending in CRLF: the challenges of other branches (RFC 3261 16.7 step 7). */
  readonly extraHeaders?: string | undefined;
}

/** Writes a response for the hop before us: without our Via, otherwise as it came. Undefined where no Via is left. */
export function writeForwardedResponse(response: Message, forwarded: ForwardedResponse): string | undefined {
  const splices = new Splices(response);
  const first = response.find(VIA);
  const via = response.via;
  if (first < 0 || !via) return undefined;
  const lineEnd = response.valueEnd(first);
  const comma = response.text.indexOf(',', via.end);
  if (comma >= 0 && comma < lineEnd) {
    splices.replace(response.valueStart(first), comma + 1, '');
  } else {
    if (response.find(VIA, first + 1) < 0) return undefined;
    splices.removeLine(first);
  }
  if (forwarded.statusLine !== undefined) splices.startLine(forwarded.statusLine);
  if (forwarded.recordRoutes.length > 0) {
    let n = response.find(RECORD_ROUTE);
    for (; n >= 0; n = response.find(RECORD_ROUTE, n + 1)) {
      for (const { seen, shown } of forwarded.recordRoutes) {
        const at = response.text.indexOf(seen, response.valueStart(n));
        if (at >= 0 && at + seen.length <= response.valueEnd(n)) splices.replace(at, at + seen.length, shown);
      }
    }
  }
  if (forwarded.extraHeaders !== undefined) splices.insert(response.headersEnd, forwarded.extraHeaders);
  if (forwarded.body !== undefined) {
    const n = response.find(CONTENT_LENGTH);
    if (n < 0) splices.insert(response.headersEnd, `Content-Length: ${forwarded.body.length}\r\n`);
    else splices.replace(response.valueStart(n), response.valueEnd(n), String(forwarded.body.length));
    splices.body(forwarded.body);
  }
  return splices.toString();
}
