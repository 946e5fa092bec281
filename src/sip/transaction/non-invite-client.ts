import type { Message } from '../message/message.ts';
import type {
  ClientTransaction,
  ClientTransactionContext,
  ClientTransactionUser,
  OutgoingRequest,
} from './client-transaction.ts';
import { SingleTimer } from './server-transaction.ts';
import { clientTransactionKey } from './transaction-key.ts';

export type NonInviteClientState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/** The non-INVITE client transaction (RFC 3261 17.1.2). */
export class NonInviteClientTransaction implements ClientTransaction {
  readonly key: string;
  readonly method: string;
  #state: NonInviteClientState = 'trying';
  readonly #request: OutgoingRequest;
  readonly #user: ClientTransactionUser;
  readonly #context: ClientTransactionContext;
  /** Timer E. */
  readonly #retransmit: SingleTimer;
  /** Timer F, then K. */
  readonly #end: SingleTimer;

  constructor(request: OutgoingRequest, user: ClientTransactionUser, context: ClientTransactionContext) {
    this.key = clientTransactionKey(request.branch, request.method);
    this.method = request.method;
    this.#request = request;
    this.#user = user;
    this.#context = context;
    this.#retransmit = new SingleTimer(context.clock);
    this.#end = new SingleTimer(context.clock);
  }

  get state(): NonInviteClientState {
    return this.#state;
  }

  start(): void {
    const { transport, text, destination } = this.#request;
    const { t1 } = this.#context.timers;
    this.#end.start(this.#timerF, 64 * t1);
    if (!transport.reliable) this.#startTimerE(t1);
    transport.send(text, destination);
  }

  receive(response: Message): void {
    if (this.#state === 'completed' || this.#state === 'terminated') return;
    if (response.status < 200) {
      this.#state = 'proceeding';
    } else {
      this.#state = 'completed';
      this.#retransmit.stop();
      if (this.#request.transport.reliable) this.#terminate();
      else this.#end.start(this.#terminate, this.#context.timers.t4);
    }
    this.#user.response(response);
  }

  abandon(): void {
    this.#terminate();
  }

  #startTimerE(interval: number): void {
    this.#retransmit.start(() => {
      const { transport, text, destination } = this.#request;
      transport.send(text, destination);
      const { t2 } = this.#context.timers;
      // In Proceeding the interval is T2 (RFC 3261 17.1.2.2).
      this.#startTimerE(this.#state === 'proceeding' ? t2 : Math.min(interval * 2, t2));
    }, interval);
  }

  readonly #timerF = (): void => {
    this.#terminate();
    this.#user.timedOut();
  };

  readonly #terminate = (): void => {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#retransmit.stop();
    this.#end.stop();
    this.#context.terminated(this.key);
  };
}
