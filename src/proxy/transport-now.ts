import type { Identity } from '../identity/identity.ts';
import type { Listener } from '../net/listener.ts';
import type { TransportNow } from '../sip/transaction/server-transaction.ts';
import type { Transport } from '../sip/transport/transport.ts';

/** Transactions go on by the socket that has the public address now under which they were begun. */
export function transportNow(
  identity: Identity,
  transportOf: (listener: Listener) => Transport | undefined,
): TransportNow {
  return (transport, shown, { address }) => {
    const { listener } = transport;
    const holder = identity.holderOf(listener, shown, address);
    return holder === listener ? transport : (transportOf(holder) ?? transport);
  };
}
