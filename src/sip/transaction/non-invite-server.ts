import type { Endpoint } from '../../net/address.ts';
import type { Message } from '../message/message.ts';
import type { Transport } from '../transport/transport.ts';
import {
  forgotten,
  responseDestination,
  type ServerTransaction,
  type ServerTransactionContext,
} from './server-transaction.ts';
import { SingleTimer, type TimerOwner } from './timer-queues.ts';

export type NonInviteServerState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/** The non-INVITE server transaction (RFC 3261 17.2.2). */
export class NonInviteServerTransaction implements ServerTransaction, TimerOwner {
  readonly key: string;
  readonly source: Endpoint;
  readonly transport: Transport;
  topVia: string | undefined;
  /** Nobody cancels anything but an INVITE (RFC 3261 9.1). */
  cancelled: (() => void) | undefined;
  #request: Message | undefined;
  #state: NonInviteServerState = 'trying';
  readonly #context: ServerTransactionContext;
  readonly #destination: Endpoint;
  /** What the listener advertised when the request came. */
  readonly #shown: Endpoint | undefined;
  readonly #timerJ: SingleTimer = new SingleTimer(this);
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
    this.#request = request;
    this.topVia = topVia;
    this.cancelled = undefined;
    this.source = source;
    this.transport = transport;
    this.#context = context;
    this.#shown = transport.listener.advertised;
    this.#destination = responseDestination(request, source, transport.reliable);
  }

  get request(): Message {
    return this.#request ?? forgotten();
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
    this.#send(text);
    if (status < 200) {
      this.#state = 'proceeding';
      return;
    }
    this.#state = 'completed';
    this.#request = undefined;
    this.topVia = undefined;
    if (this.transport.reliable) this.#terminate();
    else this.#context.queues.start(this.#timerJ, 64 * this.#context.timers.t1);
  }

  retransmitted(): void {
    // In Trying nothing was said yet, so there is nothing to repeat.
    if (this.#lastResponse !== undefined) this.#send(this.#lastResponse);
  }

  acknowledged(): void {}

  abandon(): void {
    this.#terminate();
  }

  timerFired(): void {
    this.#terminate();
  }

  #send(text: string): void {
    const { transportNow } = this.#context;
    transportNow(this.transport, this.#shown, this.#destination).send(text, this.#destination);
  }

  #terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#context.queues.stop(this.#timerJ);
    this.#context.terminated(this.key);
  }
}
