import type { Message } from '../sip/message/message.ts';
import type { Forwarding } from './forwarding.ts';

/** So long a BYE is repeated by its sender (timer F, RFC 3261 17.1.2.2): without an answer the call is over then. */
export const byeMs = 32_000;

/**
 * A BYE was answered: it ends its dialog whatever the answer is (RFC 3261 15.1.1), unless it only has to be tried
 * again with credentials. `message` is the BYE or its response, which bears the same tags.
 */
export function endDialog(
  { media, calls }: Pick<Forwarding, 'media' | 'calls'>,
  message: Message,
  status: number,
  pass: number,
): void {
  const { callId, fromTag, toTag } = message;
  if (status === 401 || status === 407) {
    media?.goesOn(message, pass);
    calls?.goesOn(callId, fromTag, toTag);
    return;
  }
  media?.end(message, pass);
  calls?.ended(callId, fromTag, toTag);
}
