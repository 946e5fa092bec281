import type { Identity } from '../identity/identity.ts';
import type { Listener } from '../net/listener.ts';
import { isPrivateAddress } from './nat.ts';
import { recordRouteValue } from './record-route.ts';

/** Our Record-Route values of one branch: as the next hop sees them, and as the one before us has to see them. */
export interface RecordRoutePair {
  readonly seenByCallee: readonly string[];
  /** Empty where both see the same. */
  readonly rewrites: readonly { readonly seen: string; readonly shown: string }[];
}

/**
 * Two values where request and response use different sockets, one where they share it. Each value names its
 * socket by the identity that is right for the reader: a neighbour in the VPC reads private addresses, the
 * internet public ones, and neither ever sees the other's. That is why the responses are rewritten (RFC 3261
 * 16.7 step 8) where the two sides are of different kinds, instead of showing both identities to both.
 */
export function recordRoutePair(
  identity: Identity,
  incoming: Listener,
  callerAddress: string,
  outgoing: Listener,
  calleeAddress: string,
  cookieParams: string,
): RecordRoutePair {
  const double =
    incoming !== outgoing &&
    nameable(identity, incoming, calleeAddress) &&
    nameable(identity, outgoing, callerAddress);
  const values = (viewer: string, asCallee: boolean): string[] => {
    if (!double) {
      const listener = asCallee ? outgoing : incoming;
      return [recordRouteValue(identity.towards(listener, viewer), cookieParams, false)];
    }
    return [
      recordRouteValue(identity.towards(outgoing, viewer), cookieParams, true),
      recordRouteValue(identity.towards(incoming, viewer), cookieParams, true),
    ];
  };
  const seenByCallee = values(calleeAddress, true);
  if (
    !double &&
    incoming === outgoing &&
    identity.isLocal(callerAddress) === identity.isLocal(calleeAddress)
  ) {
    return { seenByCallee, rewrites: [] };
  }
  const shown = values(callerAddress, false);
  const rewrites: { seen: string; shown: string }[] = [];
  seenByCallee.forEach((seen, n) => {
    if (seen !== shown[n]) rewrites.push({ seen, shown: shown[n]! });
  });
  return { seenByCallee, rewrites };
}

/** Whether a listener has an identity that this viewer may read: a private-only one is not told to the internet. */
function nameable(identity: Identity, listener: Listener, viewer: string): boolean {
  return (
    identity.isLocal(viewer) || listener.advertised !== undefined || !isPrivateAddress(listener.bound.address)
  );
}
