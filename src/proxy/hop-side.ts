import type { Identity } from '../identity/identity.ts';
import type { Endpoint } from '../net/address.ts';
import type { Listener } from '../net/listener.ts';

/** One end of a hop: where a message comes from or goes to, and by which listener. */
export interface HopSide {
  readonly listener: Listener;
  readonly peerAddress: string;
  /** What the listener advertised then. */
  readonly shown?: Endpoint | undefined;
}

export function hopSide(listener: Listener, peerAddress: string): HopSide {
  return { listener, peerAddress, shown: listener.advertised };
}

/** The side as it is to be spoken to now: by another listener, where the public address that it knows has moved there. */
export function sideNow(identity: Identity, side: HopSide): HopSide {
  const listener = identity.holderOf(side.listener, side.shown, side.peerAddress);
  return listener === side.listener ? side : { ...side, listener };
}
