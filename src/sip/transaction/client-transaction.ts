import type { Endpoint } from '../../net/address.ts';
import type { Message } from '../message/message.ts';
import type { Transport } from '../transport/transport.ts';
import type { TransportNow } from './server-transaction.ts';
import type { TimerQueues } from './timer-queues.ts';
import type { TimerValues } from './timers.ts';

/** What a client transaction tells its user. */
export interface ClientTransactionUser {
  /** A response that the user has to see: never a retransmission, except for 2xx to an INVITE (RFC 6026 8.4). */
  response(message: Message): void;
  /** No final response in time (timer B or F). */
  timedOut(): void;
}

export interface ClientTransactionContext {
  readonly queues: TimerQueues;
  readonly timers: TimerValues;
  readonly transportNow: TransportNow;
  /** Called once, when the transaction is over and its key is free again. */
  terminated(key: string): void;
}

/** A request as it goes out, and the way that it takes. */
export interface OutgoingRequest {
  readonly text: string;
  /** Our Via branch. */
  readonly branch: string;
  readonly method: string;
  readonly transport: Transport;
  readonly destination: Endpoint;
}

/** The transaction that a request of ours opened (RFC 3261 17.1). */
export interface ClientTransaction {
  readonly key: string;
  readonly method: string;
  /** Sends the request and starts the timers. */
  start(): void;
  receive(response: Message): void;
  /** Ends at once, without a word. */
  abandon(): void;
}
