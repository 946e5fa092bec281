import { MediaError } from '../media/media-error.ts';
import type { Refusal } from './validation.ts';

/**
 * What a caller is told where media cannot be relayed: the status, and why in a Warning (RFC 3261 20.43). The
 * name in it is no address, and the text shows none of ours. What an error quotes of a description is shown to its `author`
 * alone: it may be an address of the other side.
 */
export function mediaRefusal(error: unknown, author: boolean): Refusal {
  switch (error instanceof MediaError ? error.code : undefined) {
    case 'media.sdp-unusable':
      // 399 where none of the numbered reasons fits.
      return {
        status: 488,
        headers: warning(399, author ? text(error) : text(error).replace(/,? [a-z]* ?".*$/s, '')),
      };
    case 'media.answer-without-offer':
    case 'media.branch-gone':
      return { status: 488, headers: warning(399, 'No offer of this dialog waits for this description') };
    case 'media.ports-exhausted':
    case 'media.sockets-exhausted':
      return { status: 503, headers: warning(370, 'No media ports are free') };
    default:
      return { status: 500, headers: warning(399, 'Media cannot be relayed') };
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : '';
}

/** A quoted string of printable characters, short enough for a datagram. */
function warning(code: number, text: string): string {
  const printable = text
    .slice(0, 200)
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/["\\]/g, "'");
  return `Warning: ${code} cloudsip "${printable}"\r\n`;
}
