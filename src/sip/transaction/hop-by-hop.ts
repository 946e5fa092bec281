import { CALL_ID, CSEQ, FROM, MAX_FORWARDS, ROUTE, TO, VIA } from '../message/header-id.ts';
import { type Message, parseMessage } from '../message/message.ts';

/**
 * The ACK to a non-2xx final response (RFC 3261 17.1.1.3): Request-URI, top Via, From, Call-ID, Route and CSeq
 * number of the INVITE, To of the response.
 */
export function buildAck(invite: string, response: Message): string {
  const to = response.value(TO);
  return derive(invite, 'ACK', to === undefined ? undefined : `To: ${to}\r\n`);
}

/** The CANCEL of a pending INVITE (RFC 3261 9.1): the same, with the INVITE's own To. */
export function buildCancel(invite: string): string {
  return derive(invite, 'CANCEL', undefined);
}

function derive(inviteText: string, method: string, to: string | undefined): string {
  const invite = parseMessage(inviteText);
  const via = invite?.via;
  // The text is our own and was parsed on its way in: without a Via it could not have been sent.
  if (!invite || !via) throw new Error(`${method} for a request that is not an INVITE of ours`);
  let out = `${method} ${invite.requestUri} SIP/2.0\r\nVia: ${invite.text.slice(via.start, via.end)}\r\n`;
  for (let n = 0; n < invite.headerCount; n++) {
    switch (invite.idAt(n)) {
      case FROM:
      case CALL_ID:
      case ROUTE:
        out += invite.text.slice(invite.lineStart(n), invite.lineEnd(n));
        break;
      case TO:
        out += to ?? invite.text.slice(invite.lineStart(n), invite.lineEnd(n));
        break;
      case CSEQ:
        out += `CSeq: ${invite.cseqNumber} ${method}\r\n`;
        break;
      case VIA:
      case MAX_FORWARDS:
        break;
    }
  }
  return `${out}Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n`;
}
