import type { Endpoint } from '../../net/address.ts';
import type { Message } from '../message/message.ts';
import type { Transport } from '../transport/transport.ts';
import type {
  ClientTransaction,
  ClientTransactionContext,
  ClientTransactionUser,
  OutgoingRequest,
} from './client-transaction.ts';
import { buildAck } from './hop-by-hop.ts';
import { SingleTimer, type TimerOwner } from './timer-queues.ts';
import { clientTransactionKey } from './transaction-key.ts';

export type InviteClientState = 'calling' | 'proceeding' | 'completed' | 'accepted' | 'terminated';

/** The INVITE client transaction: RFC 3261 17.1.1 with the Accepted state of RFC 6026 7.2. */
export class InviteClientTransaction implements ClientTransaction, TimerOwner {
  readonly key: string;
  readonly method = 'INVITE';
  #state: InviteClientState = 'calling';
  /** What is retransmitted: the INVITE until there is a final response, then the ACK to one that failed. */
  #text: string | undefined;
  readonly #transport: Transport;
  readonly #destination: Endpoint;
  /** What the listener advertised when the request left. */
  readonly #shown: Endpoint | undefined;
  #user: ClientTransactionUser | undefined;
  readonly #context: ClientTransactionContext;
  /** Timer A. */
  readonly #retransmit: SingleTimer = new SingleTimer(this);
  #interval: number;
  /** Timer B, then D or M. */
  readonly #end: SingleTimer = new SingleTimer(this);

  constructor(request: OutgoingRequest, user: ClientTransactionUser, context: ClientTransactionContext) {
    this.key = clientTransactionKey(request.branch, 'INVITE');
    this.#text = request.text;
    this.#transport = request.transport;
    this.#destination = request.destination;
    this.#shown = request.transport.listener.advertised;
    this.#user = user;
    this.#context = context;
    this.#interval = context.timers.t1;
  }

  get state(): InviteClientState {
    return this.#state;
  }

  start(): void {
    const { queues, timers } = this.#context;
    queues.start(this.#end, 64 * timers.t1);
    if (!this.#transport.reliable) queues.start(this.#retransmit, this.#interval);
    this.#send();
  }

  receive(response: Message): void {
    const { status } = response;
    const user = this.#user;
    if (this.#state === 'calling' || this.#state === 'proceeding') {
      const { queues, timers } = this.#context;
      queues.stop(this.#retransmit);
      if (status < 200) {
        this.#state = 'proceeding';
        // Timer B only guards the first response; the proxy's timer C guards the ringing (RFC 3261 16.8).
        queues.stop(this.#end);
      } else if (status < 300) {
        this.#state = 'accepted';
        this.#text = undefined;
        queues.start(this.#end, 64 * timers.t1);
      } else {
        this.#state = 'completed';
        this.#text = buildAck(this.#text!, response);
        this.#user = undefined;
        this.#send();
        if (this.#transport.reliable) this.#terminate();
        else queues.start(this.#end, timers.timerD);
      }
      user?.response(response);
      return;
    }
    if (this.#state === 'completed' && status >= 300) this.#send();
    // RFC 6026 7.2: in Accepted every 2xx goes up, retransmissions and those of other forks too.
    else if (this.#state === 'accepted' && status >= 200 && status < 300) user?.response(response);
  }

  abandon(): void {
    this.#terminate();
  }

  timerFired(timer: SingleTimer): void {
    if (timer === this.#end) {
      const waiting = this.#state === 'calling' ? this.#user : undefined;
      this.#terminate();
      // Timer B; D and M end in silence.
      waiting?.timedOut();
      return;
    }
    if (this.#state !== 'calling') return;
    this.#send();
    this.#interval *= 2;
    this.#context.queues.start(timer, this.#interval);
  }

  #send(): void {
    if (this.#text === undefined) return;
    const { transportNow } = this.#context;
    transportNow(this.#transport, this.#shown, this.#destination).send(this.#text, this.#destination);
  }

  #terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#text = undefined;
    this.#user = undefined;
    this.#context.queues.stop(this.#retransmit);
    this.#context.queues.stop(this.#end);
    this.#context.terminated(this.key);
  }
}
