import type { Endpoint } from '../../../src/net/address.ts';
import type { Message } from '../../../src/sip/message/message.ts';
import { buildResponse } from '../../../src/sip/message/response.ts';
import type { ClientTransaction } from '../../../src/sip/transaction/client-transaction.ts';
import type { ServerTransaction } from '../../../src/sip/transaction/server-transaction.ts';
import { TransactionLayer } from '../../../src/sip/transaction/transaction-layer.ts';
import { FakeTransport, type Sent } from '../../support/fake-transport.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { requestText, responseText } from '../../support/sip-text.ts';

export const peer: Endpoint = { address: '198.51.100.10', port: 5060 };
/** Where client transactions send. */
export const server: Endpoint = { address: '192.0.2.20', port: 5060 };

/** A transport that writes down when it was used, in milliseconds since the bench was made. */
class TimedTransport extends FakeTransport {
  readonly times: number[] = [];
  readonly #clock: ManualClock;
  readonly #start: number;

  constructor(clock: ManualClock, reliable: boolean) {
    super(
      {
        transport: reliable ? 'tcp' : 'udp',
        bound: { address: '203.0.113.5', port: 5060 },
        advertised: undefined,
      },
      [],
      reliable,
    );
    this.#clock = clock;
    this.#start = clock.now();
  }

  override send(text: string, destination: Endpoint): void {
    this.times.push(this.#clock.now() - this.#start);
    super.send(text, destination);
  }
}

export interface BenchOptions {
  readonly reliable?: boolean;
  readonly maxServerTransactions?: number;
}

/** A transaction layer on a manual clock, and everything that it tells its user. */
export class TransactionBench {
  readonly clock: ManualClock = new ManualClock();
  readonly transport: TimedTransport;
  readonly layer: TransactionLayer;
  readonly requests: ServerTransaction[] = [];
  readonly cancels: { cancel: ServerTransaction; invite: ServerTransaction | undefined }[] = [];
  readonly acks: { request: Message; topVia: string | undefined }[] = [];
  readonly responses: number[] = [];
  timeouts = 0;

  constructor(options: BenchOptions = {}) {
    const { reliable = false, maxServerTransactions } = options;
    this.transport = new TimedTransport(this.clock, reliable);
    this.layer = new TransactionLayer({
      clock: this.clock,
      user: {
        passRequest: () => false,
        passResponse: () => false,
        request: (transaction) => {
          remember(transaction);
          this.requests.push(transaction);
        },
        cancel: (cancel, invite) => {
          remember(cancel);
          this.cancels.push({ cancel, invite });
        },
        ack: (request, topVia) => this.acks.push({ request, topVia }),
      },
      ...(maxServerTransactions !== undefined && { maxServerTransactions }),
    });
  }

  /** Sends a request of our own. */
  send(method: string, branch = 'z9hG4bKours', headers: readonly string[] = []): ClientTransaction {
    return this.layer.send(
      {
        text: requestText({ method, branch, via: '203.0.113.5:5060', headers }),
        branch,
        method,
        transport: this.transport,
        destination: server,
      },
      {
        response: ({ status }) => this.responses.push(status),
        timedOut: () => this.timeouts++,
      },
    );
  }

  /** The server answers the request that `send` sent. */
  answer(status: number, method = 'INVITE', branch = 'z9hG4bKours'): void {
    const request = requestText({ method, branch, via: '203.0.113.5:5060' });
    this.receive(responseText(request, { status }), server);
  }

  receive(text: string, source: Endpoint = peer): void {
    this.layer.receive(text, source, this.transport);
  }

  /** A request arrives that opens a transaction. */
  open(text: string): ServerTransaction {
    const before = this.requests.length;
    this.receive(text);
    const transaction = this.requests[before];
    if (!transaction) throw new Error('the request opened no transaction');
    return transaction;
  }

  /** Start lines of what was sent since the last call. */
  take(): string[] {
    return this.sent().map(({ text }) => text.slice(0, text.indexOf('\r\n')));
  }

  sent(): Sent[] {
    this.transport.times.length = 0;
    return this.transport.take();
  }

  /** When messages were sent, since the last `take`. */
  get times(): readonly number[] {
    return this.transport.times;
  }
}

/** The transaction forgets its request with the final response; the user of these tests does not. */
const received = new WeakMap<ServerTransaction, { request: Message; topVia: string | undefined }>();

function remember(transaction: ServerTransaction): void {
  received.set(transaction, { request: transaction.request, topVia: transaction.topVia });
}

/** Answers as the proxy core does. */
export function respond(transaction: ServerTransaction, status: number): void {
  const { request, topVia } = received.get(transaction)!;
  transaction.respond(buildResponse(request, status, { toTag: 'ours', topVia }), status);
}
