import type { Endpoint } from '../../src/net/address.ts';
import type { Listener } from '../../src/net/listener.ts';
import type { Transport, TransportCounters } from '../../src/sip/transport/transport.ts';

export interface Sent {
  readonly text: string;
  readonly destination: Endpoint;
  readonly transport: FakeTransport;
}

/** A transport without a network: keeps what was sent. */
export class FakeTransport implements Transport {
  readonly listener: Listener;
  readonly reliable: boolean;
  readonly sent: Sent[];
  readonly counters: TransportCounters = {
    received: 0,
    ignored: 0,
    receiveErrors: 0,
    sent: 0,
    sendErrors: 0,
    sendOverflows: 0,
    handlerErrors: 0,
  };

  /** `sent` may be shared by several transports to see the order. */
  constructor(listener: Listener, sent: Sent[] = [], reliable = false) {
    this.listener = listener;
    this.sent = sent;
    this.reliable = reliable;
  }

  send(text: string, destination: Endpoint): void {
    const { address, port } = destination;
    this.sent.push({ text, destination: { address, port }, transport: this });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** What was sent since the last call. */
  take(): Sent[] {
    return this.sent.splice(0);
  }
}
