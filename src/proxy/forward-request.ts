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
  const { body, routes, topVia } = forwarded;
  const { maxForwards, via } = request;
  const lengthLine = body === undefined ? -1 : request.find(CONTENT_LENGTH);
  let top = `Via: ${forwarded.via}\r\n`;
  for (const value of forwarded.recordRoutes) top += `Record-Route: ${value}\r\n`;
  if (routes !== undefined) for (const value of routes) top += `Route: ${value}\r\n`;
  if (maxForwards === undefined) top += `Max-Forwards: ${defaultMaxForwards}\r\n`;
  if (body !== undefined && lengthLine < 0) top += `Content-Length: ${body.length}\r\n`;
  // In the order in which most senders write them, so that none has to be put in between.
  const splices = new Splices(request)
    .startLine(`${request.method} ${forwarded.requestUri} SIP/2.0`)
    .insert(request.headersStart, top);
  if (topVia !== undefined && via) splices.replace(via.start, via.end, topVia);
  if (routes !== undefined) {
    for (let n = request.find(ROUTE); n >= 0; n = request.find(ROUTE, n + 1)) splices.removeLine(n);
  }
  if (maxForwards !== undefined) {
    const n = request.find(MAX_FORWARDS);
    splices.replace(request.valueStart(n), request.valueEnd(n), String(maxForwards - 1));
  }
  if (forwarded.removeLines !== undefined) for (const n of forwarded.removeLines) splices.removeLine(n);
  if (body !== undefined) {
    if (lengthLine >= 0)
      splices.replace(request.valueStart(lengthLine), request.valueEnd(lengthLine), String(body.length));
    splices.body(body);
  }
  return splices.toString();
}
