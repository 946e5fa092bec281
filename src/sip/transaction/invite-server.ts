import type { Endpoint } from '../../net/address.ts';
import type { Message } from '../message/message.ts';
import type { Transport } from '../transport/transport.ts';
import {
  responseDestination,
  type ServerTransaction,
  type ServerTransactionContext,
  SingleTimer,
} from './server-transaction.ts';

export type InviteServerState = 'proceeding' | 'completed' | 'accepted' | 'confirmed' | 'terminated';

/** The INVITE server transaction: RFC 3261 17.2.1 with the Accepted state of RFC 6026 7.1. */
export class InviteServerTransaction implements ServerTransaction {
  readonly key: string;
  readonly request: Message;
  readonly source: Endpoint;
  readonly transport: Transport;
  readonly topVia: string | undefined;
  cancelled: (() => void) | undefined;
  #state: InviteServerState = 'proceeding';
  readonly #context: ServerTransactionContext;
  readonly #destination: Endpoint;
  /** Timer G, and then H's remainder, I or L: no two of a kind run where one can follow the other. */
  readonly #retransmit: SingleTimer;
  readonly #end: SingleTimer;
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
    this.#retransmit = new SingleTimer(context.clock);
    this.#end = new SingleTimer(context.clock);
  }

  get state(): InviteServerState {
    return this.#state;
  }

  get completed(): boolean {
    return this.#state !== 'proceeding';
  }

  respond(text: string, status: number): void {
    if (this.#state === 'proceeding') {
      if (status < 200) {
        this.#lastResponse = text;
        this.#send(text);
        return;
      }
      const { t1 } = this.#context.timers;
      if (status < 300) {
        // RFC 6026 7.1: stay for 64*T1 to absorb retransmissions of the INVITE; the UAS core repeats the 2xx.
        this.#state = 'accepted';
        this.#lastResponse = undefined;
        this.#send(text);
        this.#end.start(this.#terminate, 64 * t1);
        return;
      }
      this.#state = 'completed';
      this.#lastResponse = text;
      this.#send(text);
      if (!this.transport.reliable) this.#startTimerG(t1);
      this.#end.start(this.#terminate, 64 * t1);
      return;
    }
    // RFC 6026 7.1: further 2xx, retransmitted or of another fork, pass.
    if (this.#state === 'accepted' && status >= 200 && status < 300) this.#send(text);
  }

  retransmitted(): void {
    if ((this.#state === 'proceeding' || this.#state === 'completed') && this.#lastResponse !== undefined) {
      this.#send(this.#lastResponse);
    }
  }

  acknowledged(): void {
    if (this.#state !== 'completed') return;
    this.#state = 'confirmed';
    this.#lastResponse = undefined;
    this.#retransmit.stop();
    if (this.transport.reliable) this.#terminate();
    else this.#end.start(this.#terminate, this.#context.timers.t4);
  }

  abandon(): void {
    this.#terminate();
  }

  #startTimerG(interval: number): void {
    this.#retransmit.start(() => {
      if (this.#state !== 'completed' || this.#lastResponse === undefined) return;
      this.#send(this.#lastResponse);
      this.#startTimerG(Math.min(interval * 2, this.#context.timers.t2));
    }, interval);
  }

  #send(text: string): void {
    this.transport.send(text, this.#destination);
  }

  readonly #terminate = (): void => {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#retransmit.stop();
    this.#end.stop();
    this.#context.terminated(this.key);
  };
}
