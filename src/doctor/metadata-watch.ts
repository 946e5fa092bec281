import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';

/** One request that this process made over HTTP, and what came of it. */
export interface MetadataExchange {
  /** `http://169.254.169.254`. */
  readonly origin: string;
  /** Absent where no answer came. */
  readonly status?: number;
  readonly durationMs?: number;
  /** The Date header of the answer, milliseconds since 1970. */
  readonly date?: number;
  /** The time here when it came. */
  readonly receivedAt?: number;
}

interface Started {
  readonly at: number;
  exchange: MetadataExchange;
}

/**
 * Sees every HTTP request of this process from its making to its disposal, whichever provider makes it: Node
 * tells of them on its diagnostics channels.
 */
export class MetadataWatch implements Disposable {
  readonly #started = new Map<ClientRequest, Started>();

  constructor() {
    subscribe('http.client.request.start', this.#onStart);
    subscribe('http.client.response.finish', this.#onResponse);
  }

  get exchanges(): readonly MetadataExchange[] {
    return [...this.#started.values()].map(({ exchange }) => exchange);
  }

  [Symbol.dispose](): void {
    unsubscribe('http.client.request.start', this.#onStart);
    unsubscribe('http.client.response.finish', this.#onResponse);
  }

  readonly #onStart = (message: unknown): void => {
    const { request } = message as { request: ClientRequest };
    const origin = `${request.protocol}//${String(request.getHeader('host') ?? request.host)}`;
    this.#started.set(request, { at: performance.now(), exchange: { origin } });
  };

  readonly #onResponse = (message: unknown): void => {
    const { request, response } = message as { request: ClientRequest; response: IncomingMessage };
    const started = this.#started.get(request);
    if (!started) return;
    const date = Date.parse(response.headers.date ?? '');
    started.exchange = {
      ...started.exchange,
      ...(response.statusCode !== undefined && { status: response.statusCode }),
      durationMs: performance.now() - started.at,
      ...(!Number.isNaN(date) && { date, receivedAt: Date.now() }),
    };
  };
}
