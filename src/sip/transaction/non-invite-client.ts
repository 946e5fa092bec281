import type { Endpoint } from '../../net/address.ts';
import type { Message } from '../message/message.ts';
import type {
  ClientTransaction,
  ClientTransactionContext,
  ClientTransactionUser,
  OutgoingRequest,
} from './client-transaction.ts';
import { SingleTimer, type TimerOwner } from './timer-queues.ts';
import { clientTransactionKey } from './transaction-key.ts';

export type NonInviteClientState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/** The non-INVITE client transaction (RFC 3261 17.1.2). */
export class NonInviteClientTransaction implements ClientTransaction, TimerOwner {
  readonly key: string;
  readonly method: string;
  #state: NonInviteClientState = 'trying';
  /** Until the final response. */
  #request: OutgoingRequest | undefined;
  /** What the listener advertised when the request left. */
  readonly #shown: Endpoint | undefined;
  #user: ClientTransactionUser | undefined;
  readonly #context: ClientTransactionContext;
  /** Timer E. */
  readonly #retransmit: SingleTimer = new SingleTimer(this);
  #interval: number;
  /** Timer F, then K. */
  readonly #end: SingleTimer = new SingleTimer(this);

  constructor(request: OutgoingRequest, user: ClientTransactionUser, context: ClientTransactionContext) {
    this.key = clientTransactionKey(request.branch, request.method);
    this.method = request.method;
    this.#request = request;
    this.#shown = request.transport.listener.advertised;
    this.#user = user;
    this.#context = context;
    this.#interval = context.timers.t1;
  }

  get state(): NonInviteClientState {
    return this.#state;
  }

  start(): void {
    const { transport, text, destination } = this.#request!;
    const { queues, timers } = this.#context;
    queues.start(this.#end, 64 * timers.t1);
    if (!transport.reliable) queues.start(this.#retransmit, this.#interval);
    transport.send(text, destination);
  }

  receive(response: Message): void {
    if (this.#state === 'completed' || this.#state === 'terminated') return;
    const user = this.#user;
    if (response.status < 200) {
      this.#state = 'proceeding';
    } else {
      const { queues, timers } = this.#context;
      const { reliable } = this.#request!.transport;
      this.#state = 'completed';
      this.#request = undefined;
      this.#user = undefined;
      queues.stop(this.#retransmit);
      if (reliable) this.#terminate();
      else queues.start(this.#end, timers.t4);
    }
    user?.response(response);
  }

  abandon(): void {
    this.#terminate();
  }

  timerFired(timer: SingleTimer): void {
    const request = this.#request;
    if (timer === this.#end || !request) {
      const user = this.#user;
      this.#terminate();
      // Timer F. After a final response it was timer K, and nobody waits.
      user?.timedOut();
      return;
    }
    const { transport, text, destination } = request;
    this.#context.transportNow(transport, this.#shown, destination).send(text, destination);
    const { queues, timers } = this.#context;
    // In Proceeding the interval is T2 (RFC 3261 17.1.2.2).
    this.#interval = this.#state === 'proceeding' ? timers.t2 : Math.min(this.#interval * 2, timers.t2);
    queues.start(timer, this.#interval);
  }

  #terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#request = undefined;
    this.#user = undefined;
    this.#context.queues.stop(this.#retransmit);
    this.#context.queues.stop(this.#end);
    this.#context.terminated(this.key);
  }
}
