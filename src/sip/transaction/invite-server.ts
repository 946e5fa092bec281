import type { Endpoint } from '../../net/address.ts';
import type { Message } from '../message/message.ts';
import { buildResponse } from '../message/response.ts';
import type { Transport } from '../transport/transport.ts';
import {
  forgotten,
  responseDestination,
  type ServerTransaction,
  type ServerTransactionContext,
} from './server-transaction.ts';
import { SingleTimer, type TimerOwner } from './timer-queues.ts';

export type InviteServerState = 'proceeding' | 'completed' | 'accepted' | 'confirmed' | 'terminated';

/**
 * How long the user has to say something before the caller is told that we are trying (RFC 3261 17.2.1). Mostly the
 * phone rings by then. A caller repeats himself after 500 ms at the earliest.
 */
const tryingMs = 200;

/** The INVITE server transaction: RFC 3261 17.2.1 with the Accepted state of RFC 6026 7.1. */
export class InviteServerTransaction implements ServerTransaction, TimerOwner {
  readonly key: string;
  readonly source: Endpoint;
  readonly transport: Transport;
  topVia: string | undefined;
  cancelled: (() => void) | undefined;
  #request: Message | undefined;
  #state: InviteServerState = 'proceeding';
  readonly #context: ServerTransactionContext;
  readonly #destination: Endpoint;
  /** What the listener advertised when the request came. */
  readonly #shown: Endpoint | undefined;
  /** Timer G. */
  #retransmit: SingleTimer | undefined;
  #interval = 0;
  /** Until something was said the wait for it, then timer H, I or L: no two of them run at once. */
  readonly #end: SingleTimer = new SingleTimer(this);
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
    context.queues.start(this.#end, tryingMs);
  }

  get request(): Message {
    return this.#request ?? forgotten();
  }

  get state(): InviteServerState {
    return this.#state;
  }

  get completed(): boolean {
    return this.#state !== 'proceeding';
  }

  respond(text: string, status: number): void {
    if (this.#state === 'proceeding') {
      const { queues, timers } = this.#context;
      if (status < 200) {
        queues.stop(this.#end);
        this.#lastResponse = text;
        this.#send(text);
        return;
      }
      this.#request = undefined;
      this.topVia = undefined;
      this.cancelled = undefined;
      queues.start(this.#end, 64 * timers.t1);
      if (status < 300) {
        // RFC 6026 7.1: stay for 64*T1 to absorb retransmissions of the INVITE; the UAS core repeats the 2xx.
        this.#state = 'accepted';
        this.#lastResponse = undefined;
        this.#context.accepted(this);
        this.#send(text);
        return;
      }
      this.#state = 'completed';
      this.#lastResponse = text;
      this.#send(text);
      if (!this.transport.reliable) {
        this.#retransmit = new SingleTimer(this);
        this.#interval = timers.t1;
        queues.start(this.#retransmit, this.#interval);
      }
      return;
    }
    // RFC 6026 7.1: further 2xx, retransmitted or of another fork, pass.
    if (this.#state === 'accepted' && status >= 200 && status < 300) this.#send(text);
  }

  retransmitted(): void {
    if (this.#state !== 'proceeding' && this.#state !== 'completed') return;
    // Only while proceeding is there nothing to repeat.
    if (this.#lastResponse === undefined) this.#sayTrying();
    else this.#send(this.#lastResponse);
  }

  acknowledged(): void {
    if (this.#state !== 'completed') return;
    const { queues, timers } = this.#context;
    this.#state = 'confirmed';
    this.#lastResponse = undefined;
    if (this.#retransmit) queues.stop(this.#retransmit);
    if (this.transport.reliable) this.#terminate();
    else queues.start(this.#end, timers.t4);
  }

  abandon(): void {
    this.#terminate();
  }

  timerFired(timer: SingleTimer): void {
    if (timer === this.#end) {
      if (this.#state === 'proceeding') this.#sayTrying();
      else this.#terminate();
    } else if (this.#state === 'completed' && this.#lastResponse !== undefined) {
      this.#send(this.#lastResponse);
      this.#interval = Math.min(this.#interval * 2, this.#context.timers.t2);
      this.#context.queues.start(timer, this.#interval);
    }
  }

  #sayTrying(): void {
    this.respond(buildResponse(this.request, 100, { topVia: this.topVia }), 100);
  }

  #send(text: string): void {
    const { transportNow } = this.#context;
    transportNow(this.transport, this.#shown, this.#destination).send(text, this.#destination);
  }

  #terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    const { queues } = this.#context;
    if (this.#retransmit) queues.stop(this.#retransmit);
    queues.stop(this.#end);
    this.#context.terminated(this.key);
  }
}
