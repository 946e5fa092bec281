import type { Endpoint } from '../../net/address.ts';
import type { Message } from '../message/message.ts';
import type { Transport } from '../transport/transport.ts';
import {
  responseDestination,
  type ServerTransaction,
  type ServerTransactionContext,
  SingleTimer,
} from './server-transaction.ts';

export type NonInviteServerState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/** The non-INVITE server transaction (RFC 3261 17.2.2). */
export class NonInviteServerTransaction implements ServerTransaction {
  readonly key: string;
  readonly request: Message;
  readonly source: Endpoint;
  readonly transport: Transport;
  readonly topVia: string | undefined;
  cancelled: (() => void) | undefined;
  #state: NonInviteServerState = 'trying';
  readonly #context: ServerTransactionContext;
  readonly #destination: Endpoint;
  readonly #timerJ: SingleTimer;
  #lastResponse: string | undefined;

  constructor(
    key: string,
    request: Message,
    topVia: string | undefined,
    source: Endpoint,
    transport: Transport,
    context: ServerTransactionContext,
  ) {
    this.key = key;
    this.request = request;
    this.topVia = topVia;
    this.source = source;
    this.transport = transport;
    this.#context = context;
    this.#destination = responseDestination(request, source, transport.reliable);
    this.#timerJ = new SingleTimer(context.clock);
  }

  get state(): NonInviteServerState {
    return this.#state;
  }

  get completed(): boolean {
    return this.#state === 'completed' || this.#state === 'terminated';
  }

  respond(text: string, status: number): void {
    if (this.completed) return;
    this.#lastResponse = text;
    this.transport.send(text, this.#destination);
    if (status < 200) {
      this.#state = 'proceeding';
      return;
    }
    this.#state = 'completed';
    if (this.transport.reliable) this.#terminate();
    else this.#timerJ.start(this.#terminate, 64 * this.#context.timers.t1);
  }

  retransmitted(): void {
    // In Trying nothing was said yet, so there is nothing to repeat.
    if (this.#lastResponse !== undefined) this.transport.send(this.#lastResponse, this.#destination);
  }

  acknowledged(): void {}

  abandon(): void {
    this.#terminate();
  }

  readonly #terminate = (): void => {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#timerJ.stop();
    this.#context.terminated(this.key);
  };
}
