import type { Agent, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Clock } from '../net/clock.ts';
import { DiscoveryError } from './discovery-error.ts';

export interface MetadataRequest {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** From the root, `/latest/api/token`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface MetadataAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface ExchangeOptions {
  readonly agent: Agent;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly connectTimeoutMs: number;
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
}

/**
 * One request and its answer. Rejects with `discovery.metadata-unreachable` where no whole answer came over
 * the network, `discovery.metadata-timeout` where the connection stood and no answer came in time,
 * `discovery.metadata-too-large`, or `discovery.aborted`.
 */
export function exchange(
  url: string,
  { method, headers, body: sent }: MetadataRequest,
  options: ExchangeOptions,
): Promise<MetadataAnswer> {
  const { agent, clock, signal, connectTimeoutMs, timeoutMs, maxAnswerBytes } = options;
  const asked = `${method} ${url}`;
  return new Promise((resolve, reject) => {
    let connected = false;
    let settled = false;

    const request = process.getBuiltinModule('node:http').request(url, { method, headers, agent, signal });
    // The connection is timed only while it is being made: a kept one has none to wait for.
    let connectTimer: object | undefined;
    const callTimer = clock.schedule(() => fail(connected ? timedOut() : silent(timeoutMs)), timeoutMs);
    const settle = (action: () => void): void => {
      if (settled) return;
      settled = true;
      clock.cancel(callTimer);
      if (connectTimer) clock.cancel(connectTimer);
      action();
    };
    const fail = (error: DiscoveryError): void => {
      settle(() => {
        reject(error);
        request.destroy();
      });
    };
    const unreachable = (what: string, cause?: unknown): DiscoveryError =>
      new DiscoveryError(
        'discovery.metadata-unreachable',
        `${asked}: expected an answer, came ${what}. Check that this machine runs in that cloud and that no firewall rule or route hides the metadata service from this process.`,
        { cause },
      );
    const silent = (ms: number): DiscoveryError => unreachable(`no connection within ${ms} ms`);
    const timedOut = (): DiscoveryError =>
      new DiscoveryError(
        'discovery.metadata-timeout',
        `${asked}: the connection stands, but no whole answer came within ${timeoutMs} ms.`,
      );

    request.on('socket', (socket) => {
      if (!socket.connecting) {
        connected = true;
        return;
      }
      if (settled) return;
      connectTimer = clock.schedule(() => fail(silent(connectTimeoutMs)), connectTimeoutMs);
      socket.once('connect', () => {
        connected = true;
        if (connectTimer) clock.cancel(connectTimer);
      });
    });
    // Stays in place after the promise is settled: destroying the request makes it speak once more.
    request.on('error', (error) => {
      fail(signal.aborted ? aborted(asked, error) : unreachable(reasonOf(error), error));
    });
    request.on('response', (response) => {
      collect(response, maxAnswerBytes).then(
        (body) =>
          settle(() => resolve({ status: response.statusCode ?? 0, headers: response.headers, body })),
        (error: Error) => {
          if (signal.aborted) fail(aborted(asked, error));
          else if (error instanceof TooLarge) fail(tooLarge(asked, maxAnswerBytes));
          else fail(unreachable('an answer that was cut off', error));
        },
      );
    });
    request.end(sent);
  });
}

class TooLarge extends Error {}

async function collect(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new TooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function tooLarge(asked: string, maxBytes: number): DiscoveryError {
  return new DiscoveryError(
    'discovery.metadata-too-large',
    `${asked}: expected at most ${maxBytes} bytes, came more. This is no metadata service: check what answers there.`,
  );
}

function aborted(asked: string, cause: Error): DiscoveryError {
  return new DiscoveryError('discovery.aborted', `${asked}: given up because cloudsip is stopping.`, {
    cause,
  });
}

function reasonOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return 'a refused connection (ECONNREFUSED)';
  if (code === 'ECONNRESET') return 'a connection that was closed before the answer (ECONNRESET)';
  return `an error of the connection (${code ?? error.name})`;
}
