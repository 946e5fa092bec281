import { CONTENT_TYPE } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';

const keys = /^(?:[0-9*#A-D]|flash)$/i;
const flash = new Set(['16', 'flash', '!']);
/** Longer than any of these bodies. */
const maxBytes = 256;

/** The key that an INFO tells of, in one of the two forms that telephones use; undefined where it tells of none. */
export function digitOfInfo(request: Message): { digit: string; durationMs: number } | undefined {
  if (request.method !== 'INFO') return undefined;
  const type = request.value(CONTENT_TYPE)?.split(';', 1)[0]?.trim().toLowerCase();
  const body = request.body.slice(0, maxBytes);
  let digit: string | undefined;
  let durationMs = 0;
  if (type === 'application/dtmf-relay') {
    digit = /^\s*signal\s*=\s*(\S+)/im.exec(body)?.[1];
    durationMs = Number(/^\s*duration\s*=\s*(\d{1,5})/im.exec(body)?.[1] ?? 0);
  } else if (type === 'application/dtmf') digit = body.trim();
  if (digit === undefined) return undefined;
  const named = flash.has(digit.toLowerCase())
    ? 'flash'
    : digit === '10'
      ? '*'
      : digit === '11'
        ? '#'
        : digit;
  if (!keys.test(named)) return undefined;
  return { digit: named === 'flash' ? named : named.toUpperCase(), durationMs };
}
