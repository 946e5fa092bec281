import type { Message } from '../message/message.ts';

const magicCookie = 'z9hG4bK';

/**
 * The key that a request shares with its retransmissions, and an INVITE with its ACK and CANCEL where `method`
 * says INVITE (RFC 3261 17.2.3). Undefined where the request has no usable Via.
 */
export function serverTransactionKey(request: Message, method: string): string | undefined {
  const via = request.via;
  if (!via) return undefined;
  const branch = via.branch;
  const port = via.port === undefined ? '' : via.port;
  if (branch !== undefined && branch.length > magicCookie.length && branch.startsWith(magicCookie)) {
    return flat(`${branch}|${via.host}:${port}|${method}`);
  }
  // RFC 2543 elements and bare cookies. The To tag is left out: it is absent in the INVITE and present in its ACK,
  // and the CSeq number already parts the requests of one dialog.
  return flat(
    `${request.requestUri}|${request.fromTag ?? ''}|${request.callId}|${request.cseqNumber}|${via.host}:${port}${via.params}|${method}`,
  );
}

/** The key of a client transaction: our own branch, unique by itself, and the method (RFC 3261 17.1.3). */
export function clientTransactionKey(branch: string, method: string): string {
  // A CANCEL shares the branch of its INVITE; everything else has a branch of its own.
  return method === 'CANCEL' ? `${branch}|CANCEL` : branch;
}

/**
 * The same text in one piece. A text that is put together of cuttings keeps the messages that they were cut from,
 * for as long as the transaction stays; V8 joins it when a character behind the first piece is read.
 */
function flat(text: string): string {
  // The result is used, or the optimiser leaves the reading out. No method ends with NUL.
  return text.charCodeAt(text.length - 1) === 0 ? '' : text;
}
