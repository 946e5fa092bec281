import { iceUfragOf, type SessionDescription } from '../sdp/session-description.ts';
import type { MediaLeg } from './media-leg.ts';
import { isActive } from './stream-remote.ts';

/** ICE is between us and each side by itself: offered on where it was offered, answered where it was asked for. */
export function negotiateIce(
  description: SessionDescription,
  kind: 'offer' | 'answer',
  sender: MediaLeg,
  receiver: MediaLeg,
): void {
  let ufrag: string | undefined;
  for (const section of description.media) if (isActive(section)) ufrag ??= iceUfragOf(description, section);
  sender.heardIce(ufrag, description.iceLite);
  if (receiver.doesIce || (kind === 'offer' && ufrag !== undefined)) receiver.tellIce();
  sender.applyIce();
  receiver.applyIce();
}
