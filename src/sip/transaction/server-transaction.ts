import type { Endpoint } from '../../net/address.ts';
import { familyOf, normalizeHost } from '../../net/address.ts';
import type { Message } from '../message/message.ts';
import type { Transport } from '../transport/transport.ts';
import type { TimerQueues } from './timer-queues.ts';
import type { TimerValues } from './timers.ts';

/**
 * The transport by which goes on what was begun through `transport` while its listener advertised `shown`: the same
 * one, unless the public address that `destination` knows has moved to another.
 */
export type TransportNow = (
  transport: Transport,
  shown: Endpoint | undefined,
  destination: Endpoint,
) => Transport;

/** What a server transaction needs of its surroundings. */
export interface ServerTransactionContext {
  readonly queues: TimerQueues;
  readonly timers: TimerValues;
  readonly transportNow: TransportNow;
  /** Called once, when an INVITE gets its 2xx: the ACK does not belong to the transaction. */
  accepted(transaction: ServerTransaction): void;
  /** Called once, when the transaction is over and its key is free again. */
  terminated(key: string): void;
}

/** The transaction that a request opened with us (RFC 3261 17.2). */
export interface ServerTransaction {
  readonly key: string;
  /** Until the final response: then it is forgotten, and asking for it throws. */
  readonly request: Message;
  readonly source: Endpoint;
  readonly transport: Transport;
  /** Until the final response: the top Via hop as it goes on and comes back: with `received` and `rport` where they were due. */
  readonly topVia: string | undefined;
  /** Set by the transaction user: called when a CANCEL for it comes before it is completed. */
  cancelled: (() => void) | undefined;
  /** True once a final response went out. */
  readonly completed: boolean;
  /** Sends a response of the transaction user. Ignored where the state does not allow it any more. */
  respond(text: string, status: number): void;
  /** A retransmission of the request came in. */
  retransmitted(): void;
  /** The ACK to a final response came in (INVITE only). */
  acknowledged(): void;
  /** Ends at once, without a word: the agent is closing. */
  abandon(): void;
}

/** Where responses go (RFC 3261 18.2.2, RFC 3581 4). */
export function responseDestination(request: Message, source: Endpoint, reliable: boolean): Endpoint {
  const via = request.via;
  if (!via || reliable) return source;
  const { maddr } = via;
  if (maddr !== undefined) {
    // A client writes maddr where it asked a multicast group (RFC 3261 18.1.1). Any other address would let a
    // stranger send our responses, and eleven copies of some, to whom he likes without forging his source.
    const address = normalizeHost(maddr);
    if (isMulticast(address) && familyOf(address) === familyOf(source.address))
      return { address, port: via.port || 5060 };
  }
  if (via.rport !== undefined) return source;
  return { address: source.address, port: via.port || 5060 };
}

/** A group of 224.0.0.0/4 or ff00::/8. */
function isMulticast(address: string): boolean {
  const family = familyOf(address);
  if (family === 'ipv6') return address.startsWith('ff') && address.indexOf(':') === 4;
  const first = Number.parseInt(address, 10);
  return family === 'ipv4' && first >= 224 && first < 240;
}

/** What a completed transaction says when somebody asks for its request. */
export function forgotten(): never {
  throw new Error('the request of a completed transaction was forgotten');
}
