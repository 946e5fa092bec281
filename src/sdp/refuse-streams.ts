import { readdress } from './readdress.ts';
import type { SessionDescription } from './session-description.ts';

/**
 * The description with every stream switched off (port 0: RFC 3264 6) and `address` in place of its own: for a
 * message that has to be passed on while nothing may be sent by what it says.
 */
export function refuseStreams(description: SessionDescription, address: string): string {
  return readdress(
    description,
    address,
    description.media.map(() => 0),
  );
}
