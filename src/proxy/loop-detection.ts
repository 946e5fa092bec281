import { splitList } from '../sip/message/grammar.ts';
import { ROUTE, VIA } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import { parseVia } from '../sip/message/via.ts';

/** 53-bit FNV-1a-like hash in base 36: quick, not for secrets. */
export function quickHash(text: string): string {
  let high = 0x811c9dc5;
  let low = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ (code + (low >>> 24)), 0x85ebca6b);
  }
  return (high >>> 0).toString(36) + (low >>> 0).toString(36);
}

/**
 * The part of a branch that is equal when the same request comes round with nothing changed that routing reads
 * (RFC 3261 16.6 step 8, RFC 5393 4.2: a loop), and differs when it was retargeted on the way (a spiral).
 */
export function loopHash(request: Message): string {
  const routes = request.find(ROUTE) < 0 ? '' : request.values(ROUTE).join();
  return quickHash(
    `${request.requestUri}\n${routes}\n${request.callId}\n${request.fromTag ?? ''}\n${request.toTag ?? ''}\n${request.cseqNumber}`,
  );
}

/** True where a Via of ours carries this very hash: the request has been here (RFC 3261 16.3 step 4). */
export function isLoop(
  request: Message,
  hash: string,
  isSelf: (host: string, port: number | undefined) => boolean,
): boolean {
  for (let n = request.find(VIA); n >= 0; n = request.find(VIA, n + 1)) {
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
