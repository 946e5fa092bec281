import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';

/** Where a stand-in listens: by default on a port of the loopback that the operating system chooses. */
export interface Place {
  readonly host?: string;
  readonly port?: number;
}

export interface FakeServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  close(): Promise<void>;
}

/** Resolves when the server listens. */
export async function listen(
  server: Server | TlsServer,
  { host = '127.0.0.1', port = 0 }: Place = {},
): Promise<FakeServer> {
  server.listen(port, host);
  await once(server, 'listening');
  const bound = server.address() as AddressInfo;
  const scheme = server instanceof TlsServer ? 'https' : 'http';
  const shown = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  const close = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { url: `${scheme}://${shown}:${bound.port}`, close, [Symbol.asyncDispose]: close };
}

export interface SeenRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

export function seenRequest({ method = '', url = '', headers }: IncomingMessage): SeenRequest {
  return { method, path: url, headers };
}

/** Adds a request to those that came; gives how many of its method to its path there are now. */
export function count<Seen extends Pick<SeenRequest, 'method' | 'path'>>(
  requests: Seen[],
  seen: Seen,
): number {
  requests.push(seen);
  if (requests.length > 10_000) requests.shift();
  return requests.filter(({ method, path }) => method === seen.method && path === seen.path).length;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** No answer, a closed connection, half an answer and a closed connection, half of one and no end, or byte by byte. */
export type Trouble = 'hang' | 'reset' | 'cut' | 'slow' | 'trickle';

/** What goes wrong with one request: an answer of one's own, or none that is whole. */
export type Fault = Reply | Trouble;

/** Answers with a text as long as nobody says otherwise; `half` is how an answer of that service begins. */
export function send(
  reply: Fault,
  response: ServerResponse,
  half: string,
  headers: Reply['headers'] = { 'Content-Type': 'text/plain' },
): void {
  if (reply === 'hang') return;
  if (reply === 'reset') {
    response.socket?.destroy();
  } else if (reply === 'trickle') {
    response.writeHead(200, headers);
    const timer = setInterval(() => response.write('1'), 5);
    response.on('close', () => clearInterval(timer));
  } else if (reply === 'cut' || reply === 'slow') {
    response.writeHead(200, { ...headers, 'Content-Length': '1000' });
    response.write(half, () => reply === 'cut' && response.socket?.destroy());
  } else {
    const { status, body = status === 200 ? '' : `<html><title>${status}</title></html>` } = reply;
    response.writeHead(status, { ...headers, ...reply.headers });
    response.end(body);
  }
}

export function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(file, 'utf8')) as T;
}

/** The stand-in as a program, `--host HOST --port PORT --document FILE.json`, that says `NAME URL` when it listens. */
export async function runFake(
  name: string,
  start: (file: string, place: Place) => Promise<FakeServer>,
): Promise<void> {
  const { values } = parseArgs({
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '0' },
      document: { type: 'string' },
    },
  });
  const { host, port, document } = values;
  if (document === undefined) throw new Error('--document FILE.json is missing');
  const { url } = await start(document, { host, port: Number(port) });
  process.stdout.write(`${name} ${url}\n`);
}
