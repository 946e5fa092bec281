import { type Endpoint, normalizeHost } from '../../net/address.ts';
import type { Clock } from '../../net/clock.ts';
import { type Message, parseMessage } from '../message/message.ts';
import { buildResponse } from '../message/response.ts';
import { withSource } from '../message/via.ts';
import type { Transport } from '../transport/transport.ts';
import type { ClientTransaction, ClientTransactionUser, OutgoingRequest } from './client-transaction.ts';
import { InviteClientTransaction } from './invite-client.ts';
import { InviteServerTransaction } from './invite-server.ts';
import { NonInviteClientTransaction } from './non-invite-client.ts';
import { NonInviteServerTransaction } from './non-invite-server.ts';
import type { ServerTransaction, TransportNow } from './server-transaction.ts';
import { TimerQueues } from './timer-queues.ts';
import { rfcTimers, type TimerValues } from './timers.ts';
import { clientTransactionKey, serverTransactionKey } from './transaction-key.ts';

/** What the layer hands up. */
export interface TransactionUser {
  /**
   * A request inside a dialog, new or repeated, but no INVITE, ACK or CANCEL. True where the user has dealt with it
   * and needs no transaction for it.
   */
  passRequest(request: Message, topVia: string | undefined, source: Endpoint, transport: Transport): boolean;
  /** A response, before a transaction is looked for. True where it belongs to a request that passed. */
  passResponse(response: Message, transport: Transport): boolean;
  /** A new request that opened a transaction: everything but ACK. */
  request(transaction: ServerTransaction): void;
  /** A CANCEL; `invite` is the transaction that it names, if that is known. */
  cancel(transaction: ServerTransaction, invite: ServerTransaction | undefined): void;
  /** An ACK that belongs to no INVITE transaction that failed: it acknowledges a 2xx. */
  ack(request: Message, topVia: string | undefined, source: Endpoint, transport: Transport): void;
}

export interface TransactionLayerOptions {
  readonly clock: Clock;
  readonly timers?: TimerValues;
  readonly user: TransactionUser;
  /** Server transactions at most; beyond, new requests get 503 (they are never dropped half-way). */
  readonly maxServerTransactions?: number;
  /** Default: by the one through which it was begun. */
  readonly transportNow?: TransportNow;
}

export interface TransactionCounters {
  received: number;
  unparsable: number;
  strayResponses: number;
  retransmissions: number;
  overload: number;
}

/** Takes messages from the transports, finds or opens their transaction, and hands up what is new (RFC 3261 17). */
export class TransactionLayer {
  readonly #servers = new Map<string, ServerTransaction>();
  /** Those that absorb repetitions of an INVITE after its 2xx: the most by far, and no ACK is for one of them. */
  readonly #accepted = new Map<string, ServerTransaction>();
  readonly #clients = new Map<string, ClientTransaction>();
  /** Timers of a transaction's user, beside those of the transactions. */
  readonly queues: TimerQueues;
  readonly #user: TransactionUser;
  readonly #maxServers: number;
  readonly #serverContext;
  readonly #clientContext;
  readonly counters: TransactionCounters = {
    received: 0,
    unparsable: 0,
    strayResponses: 0,
    retransmissions: 0,
    overload: 0,
  };

  constructor(options: TransactionLayerOptions) {
    const { clock, timers = rfcTimers, transportNow = (transport) => transport } = options;
    this.#user = options.user;
    this.#maxServers = options.maxServerTransactions ?? 500_000;
    const queues = new TimerQueues(clock);
    this.queues = queues;
    this.#serverContext = {
      queues,
      timers,
      transportNow,
      accepted: (transaction: ServerTransaction): void => {
        this.#servers.delete(transaction.key);
        this.#accepted.set(transaction.key, transaction);
      },
      terminated: (key: string): void => {
        if (!this.#servers.delete(key)) this.#accepted.delete(key);
      },
    };
    this.#clientContext = {
      queues,
      timers,
      transportNow,
      terminated: (key: string): void => void this.#clients.delete(key),
    };
  }

  get serverTransactions(): number {
    return this.#servers.size + this.#accepted.size;
  }

  /** Requests that wait for their final response. Counted each time it is asked for. */
  get unanswered(): number {
    let count = 0;
    for (const transaction of this.#servers.values()) if (!transaction.completed) count++;
    return count;
  }

  /** Their keys. */
  get unansweredKeys(): Set<string> {
    const keys = new Set<string>();
    for (const [key, transaction] of this.#servers) if (!transaction.completed) keys.add(key);
    return keys;
  }

  get clientTransactions(): number {
    return this.#clients.size;
  }

  /** Retransmissions and ends that are due some time. */
  get pendingTimers(): number {
    return this.queues.pending;
  }

  /** The entry for transports. */
  readonly receive = (text: string, source: Endpoint, transport: Transport): void => {
    this.counters.received++;
    const message = parseMessage(text);
    if (!message) {
      this.counters.unparsable++;
      return;
    }
    if (message.isRequest) this.#receiveRequest(message, source, transport);
    else this.#receiveResponse(message, transport);
  };

  /** Opens a client transaction and sends its request. */
  send(request: OutgoingRequest, user: ClientTransactionUser): ClientTransaction {
    const transaction =
      request.method === 'INVITE'
        ? new InviteClientTransaction(request, user, this.#clientContext)
        : new NonInviteClientTransaction(request, user, this.#clientContext);
    this.#clients.set(transaction.key, transaction);
    transaction.start();
    return transaction;
  }

  /** Forgets everything, without a word on the wire. */
  close(): void {
    for (const transactions of [this.#servers, this.#accepted, this.#clients])
      for (const transaction of [...transactions.values()]) transaction.abandon();
  }

  #receiveRequest(request: Message, source: Endpoint, transport: Transport): void {
    const { method } = request;
    const via = request.via;
    let topVia: string | undefined;
    let unstamped = true;
    if (
      via &&
      request.toTag !== undefined &&
      method !== 'INVITE' &&
      method !== 'ACK' &&
      method !== 'CANCEL'
    ) {
      topVia = withSource(via, source.address, source.port, isSource(via.host, source));
      unstamped = false;
      if (this.#user.passRequest(request, topVia, source, transport)) return;
    }
    const key = serverTransactionKey(request, method === 'ACK' ? 'INVITE' : method);
    if (!via || key === undefined) {
      // Without a Via that can be read nobody can be answered (RFC 3261 8.2.6.2).
      this.counters.unparsable++;
      return;
    }
    if (method === 'ACK') {
      // In Accepted the ACK is for the 2xx and belongs to the user (RFC 6026 7.1).
      const known = this.#servers.get(key);
      if (known) known.acknowledged();
      else
        this.#user.ack(
          request,
          withSource(via, source.address, source.port, isSource(via.host, source)),
          source,
          transport,
        );
      return;
    }
    const known = this.#known(key);
    if (known) {
      this.counters.retransmissions++;
      known.retransmitted();
      return;
    }
    if (unstamped) topVia = withSource(via, source.address, source.port, isSource(via.host, source));
    const Transaction = method === 'INVITE' ? InviteServerTransaction : NonInviteServerTransaction;
    const transaction = new Transaction(key, request, topVia, source, transport, this.#serverContext);
    if (this.serverTransactions >= this.#maxServers) {
      // Said once and forgotten: the transaction is not kept, so that a flood cannot grow the table.
      this.counters.overload++;
      transaction.respond(
        buildResponse(request, 503, { topVia, headers: 'Retry-After: 5\r\n', toTag: 'overload' }),
        503,
      );
      transaction.abandon();
      return;
    }
    this.#servers.set(key, transaction);
    if (method === 'CANCEL') {
      const inviteKey = serverTransactionKey(request, 'INVITE');
      this.#user.cancel(transaction, inviteKey === undefined ? undefined : this.#known(inviteKey));
      return;
    }
    this.#user.request(transaction);
  }

  #known(key: string): ServerTransaction | undefined {
    return this.#servers.get(key) ?? this.#accepted.get(key);
  }

  #receiveResponse(response: Message, transport: Transport): void {
    const branch = response.via?.branch;
    if (branch !== undefined && response.defect === undefined) {
      if (this.#user.passResponse(response, transport)) return;
    }
    const transaction =
      branch === undefined ? undefined : this.#clients.get(clientTransactionKey(branch, response.cseqMethod));
    // RFC 6026 8.2 forbids a stateful proxy to pass on a response that matches no transaction.
    if (!transaction || transaction.method !== response.cseqMethod || response.defect !== undefined) {
      this.counters.strayResponses++;
      return;
    }
    transaction.receive(response);
  }
}

function isSource(host: string, source: Endpoint): boolean {
  return host === source.address || normalizeHost(host) === source.address;
}
