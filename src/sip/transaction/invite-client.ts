import type { Message } from '../message/message.ts';
import type {
  ClientTransaction,
  ClientTransactionContext,
  ClientTransactionUser,
  OutgoingRequest,
} from './client-transaction.ts';
import { buildAck } from './hop-by-hop.ts';
import { SingleTimer } from './server-transaction.ts';
import { clientTransactionKey } from './transaction-key.ts';

export type InviteClientState = 'calling' | 'proceeding' | 'completed' | 'accepted' | 'terminated';

/** The INVITE client transaction: RFC 3261 17.1.1 with the Accepted state of RFC 6026 7.2. */
export class InviteClientTransaction implements ClientTransaction {
  readonly key: string;
  readonly method = 'INVITE';
  #state: InviteClientState = 'calling';
  readonly #request: OutgoingRequest;
  readonly #user: ClientTransactionUser;
  readonly #context: ClientTransactionContext;
  /** Timer A. */
  readonly #retransmit: SingleTimer;
  /** Timer B, then D or M. */
  readonly #end: SingleTimer;
  #ack: string | undefined;

  constructor(request: OutgoingRequest, user: ClientTransactionUser, context: ClientTransactionContext) {
    this.key = clientTransactionKey(request.branch, 'INVITE');
    this.#request = request;
    this.#user = user;
    this.#context = context;
    this.#retransmit = new SingleTimer(context.clock);
    this.#end = new SingleTimer(context.clock);
  }

  get state(): InviteClientState {
    return this.#state;
  }

  start(): void {
    const { transport, text, destination } = this.#request;
    const { t1 } = this.#context.timers;
    this.#end.start(this.#timerB, 64 * t1);
    if (!transport.reliable) this.#startTimerA(t1);
    transport.send(text, destination);
  }

  receive(response: Message): void {
    const { status } = response;
    if (this.#state === 'calling' || this.#state === 'proceeding') {
      this.#retransmit.stop();
      if (status < 200) {
        if (this.#state === 'calling') {
          this.#state = 'proceeding';
          // Timer B only guards the first response; the proxy's timer C guards the ringing (RFC 3261 16.8).
          this.#end.stop();
        }
      } else if (status < 300) {
        this.#state = 'accepted';
        this.#end.start(this.#terminate, 64 * this.#context.timers.t1);
      } else {
        this.#state = 'completed';
        this.#ack = buildAck(this.#request.text, response);
        this.#sendAck();
        if (this.#request.transport.reliable) this.#terminate();
        else this.#end.start(this.#terminate, this.#context.timers.timerD);
      }
      this.#user.response(response);
      return;
    }
    if (this.#state === 'completed' && status >= 300) this.#sendAck();
    // RFC 6026 7.2: in Accepted every 2xx goes up, retransmissions and those of other forks too.
    else if (this.#state === 'accepted' && status >= 200 && status < 300) this.#user.response(response);
  }

  abandon(): void {
    this.#terminate();
  }

  #sendAck(): void {
    if (this.#ack !== undefined) this.#request.transport.send(this.#ack, this.#request.destination);
  }

  #startTimerA(interval: number): void {
    this.#retransmit.start(() => {
      if (this.#state !== 'calling') return;
      this.#request.transport.send(this.#request.text, this.#request.destination);
      this.#startTimerA(interval * 2);
    }, interval);
  }

  readonly #timerB = (): void => {
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
