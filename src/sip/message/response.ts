import { CALL_ID, CSEQ, FROM, TIMESTAMP, TO, VIA } from './header-id.ts';
import type { Message } from './message.ts';
import { reasonPhrase } from './reason-phrase.ts';

export interface ResponseOptions {
  /** Defaults to the RFC's phrase for the status. */
  readonly reason?: string | undefined;
  /** Put on To where the request has none (RFC 3261 8.2.6.2). */
  readonly toTag?: string | undefined;
  /** The top Via hop with `received` and `rport`, where the transport had to add them. */
  readonly topVia?: string | undefined;
  /** Whole header lines, each ending in CRLF. */
  readonly headers?: string | undefined;
  readonly body?: string | undefined;
}

/**
 * The response to a request that the agent answers itself (RFC 3261 8.2.6.2): Via, From, To, Call-ID and CSeq
 * are the request's own bytes.
 */
export function buildResponse(request: Message, status: number, options: ResponseOptions = {}): string {
  let out = `SIP/2.0 ${status} ${options.reason ?? reasonPhrase(status)}\r\n`;
  let firstVia = options.topVia;
  // Looked for once: a broken request has as many To lines as its sender likes, and the tag is found by reading.
  const newTag = options.toTag !== undefined && request.toTag === undefined ? options.toTag : undefined;
  for (let n = 0; n < request.headerCount; n++) {
    switch (request.idAt(n)) {
      case VIA: {
        const via = request.via;
        if (firstVia !== undefined && via) {
          const start = request.lineStart(n);
          out +=
            request.text.slice(start, via.start) + firstVia + request.text.slice(via.end, request.lineEnd(n));
          firstVia = undefined;
          break;
        }
        out += request.text.slice(request.lineStart(n), request.lineEnd(n));
        break;
      }
      case TO:
        if (newTag !== undefined) {
          out += `${request.text.slice(request.lineStart(n), request.valueEnd(n))};tag=${newTag}\r\n`;
          break;
        }
        out += request.text.slice(request.lineStart(n), request.lineEnd(n));
        break;
      case TIMESTAMP:
        // Only a 100 takes the Timestamp along (RFC 3261 8.2.6.1).
        if (status !== 100) break;
        out += request.text.slice(request.lineStart(n), request.lineEnd(n));
        break;
      case FROM:
      case CALL_ID:
      case CSEQ:
        out += request.text.slice(request.lineStart(n), request.lineEnd(n));
        break;
    }
  }
  const body = options.body ?? '';
  return `${out}${options.headers ?? ''}Content-Length: ${body.length}\r\n\r\n${body}`;
}
