import { CONTENT_LENGTH, MAX_FORWARDS, ROUTE } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import { Splices } from '../sip/message/splice.ts';

/** The edits that turn a received request into the one that leaves (RFC 3261 16.6). */
export interface ForwardedRequest {
  readonly requestUri: string;
  /** Our own Via hop. */
  readonly via: string;
  /** Our own Record-Route values, the outgoing side first. */
  readonly recordRoutes: readonly string[];
  /** The Route values that remain; undefined where the received lines stay as they are. */
  readonly routes: readonly string[] | undefined;
  /** The received top Via hop with `received` and `rport`; undefined where it stays. */
  readonly topVia: string | undefined;
  /** Undefined where the body stays. */
  readonly body: string | undefined;
  /** Header lines that are ours to take off, such as credentials for our realm. */
  readonly removeLines?: readonly number[] | undefined;
}

/** What Max-Forwards starts from where the request has none (RFC 3261 16.6 step 3). */
const defaultMaxForwards = 70;

/** Writes the forwarded request; what it does not name goes out byte for byte. */
export function writeForwardedRequest(request: Message, forwarded: ForwardedRequest): string {
  const splices = new Splices(request).startLine(`${request.method} ${forwarded.requestUri} SIP/2.0`);
  let top = `Via: ${forwarded.via}\r\n`;
  for (const value of forwarded.recordRoutes) top += `Record-Route: ${value}\r\n`;
  if (forwarded.routes !== undefined) {
    for (let n = request.find(ROUTE); n >= 0; n = request.find(ROUTE, n + 1)) splices.removeLine(n);
    for (const value of forwarded.routes) top += `Route: ${value}\r\n`;
  }
  const maxForwards = request.maxForwards;
  if (maxForwards === undefined) top += `Max-Forwards: ${defaultMaxForwards}\r\n`;
  else {
    const n = request.find(MAX_FORWARDS);
    splices.replace(request.valueStart(n), request.valueEnd(n), String(maxForwards - 1));
  }
  const via = request.via;
  if (forwarded.topVia !== undefined && via) splices.replace(via.start, via.end, forwarded.topVia);
  for (const n of forwarded.removeLines ?? []) splices.removeLine(n);
  if (forwarded.body !== undefined) {
    const n = request.find(CONTENT_LENGTH);
    if (n < 0) top += `Content-Length: ${forwarded.body.length}\r\n`;
    else splices.replace(request.valueStart(n), request.valueEnd(n), String(forwarded.body.length));
    splices.body(forwarded.body);
  }
  return splices.insert(request.headersStart, top).toString();
}
