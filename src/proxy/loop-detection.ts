import { splitList } from '../sip/message/grammar.ts';
import { ROUTE, VIA } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import { parseVia } from '../sip/message/via.ts';

const seed = 0x811c9dc5;

/** FNV-1a over one more piece: quick, not for secrets. */
function mix(hash: number, text: string): number {
  let mixed = hash;
  for (let i = 0; i < text.length; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), 0x01000193);
  return mixed;
}

/** A number for a text, the same each time; not for secrets. */
export function quickHash(text: string): number {
  return mix(seed, text);
}

/**
 * The part of a branch that is equal when the same request comes round with nothing changed that routing reads
 * (RFC 3261 16.6 step 8, RFC 5393 4.2: a loop), and differs when it was retargeted on the way (a spiral).
 */
export function loopHash(request: Message): string {
  let hash = mix(seed, request.requestUri);
  if (request.find(ROUTE) >= 0) for (const route of request.values(ROUTE)) hash = mix(hash, route);
  hash = mix(mix(hash, request.callId), request.fromTag ?? '');
  hash = mix(hash, request.toTag ?? '');
  // 31 bits: a larger number is no small integer to V8, and writing it takes ten times as long.
  return String((hash ^ request.cseqNumber) & 0x7fffffff);
}

/** The same for a retransmission, another for every other request (RFC 3261 16.11). */
export function statelessBranch(request: Message): string {
  const origin = mix(mix(seed, request.via?.branch ?? ''), request.callId) & 0x7fffffff;
  return `z9hG4bK${origin}x${request.cseqNumber}.${loopHash(request)}`;
}

/** True where a Via of ours carries this very hash: the request has been here (RFC 3261 16.3 step 4). */
export function isLoop(
  request: Message,
  hash: string,
  isSelf: (host: string, port: number | undefined) => boolean,
): boolean {
  const first = request.find(VIA);
  const { via } = request;
  // Mostly there is one hop, that of a phone, and it bears no branch of ours.
  const alone = via && via.end === request.valueEnd(first) && request.find(VIA, first + 1) < 0;
  if (alone && !via.branch?.endsWith(hash)) return false;
  for (let n = first; n >= 0; n = request.find(VIA, n + 1)) {
    const value = request.valueAt(n);
    // Our branches end in the hash: a line without it cannot be the loop, and is not parsed.
    if (!value.includes(hash)) continue;
    for (const part of splitList(value)) {
      const via = parseVia(part, 0, part.length);
      if (via?.branch?.endsWith(`.${hash}`) && isSelf(via.host, via.port)) return true;
    }
  }
  return false;
}
