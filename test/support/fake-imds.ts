import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { type ImdsTree, imdsDocument, type MachineDescription } from './fake-imds-document.ts';

/**
 * What goes wrong with one request: an answer of one's own, no answer, a closed connection, or half an answer.
 */
export type Fault = Reply | 'hang' | 'reset' | 'cut';
/** An answer that comes byte by byte and never ends. */
export type SlowFault = 'trickle';

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

export interface FakeImds extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Every request since the start, oldest first. */
  readonly requests: readonly SeenRequest[];
  /** What is below `/latest/meta-data/`; replace it to change the machine. With a key `switched-off` all is 403. */
  document: ImdsTree;
  /** What is below `/latest/dynamic/`. */
  dynamic: ImdsTree;
  /** Asked before each request; undefined lets it through. `count` is 1 for the first request to that path. */
  fault: (request: SeenRequest, count: number) => Fault | SlowFault | undefined;
  /** Every token given out so far is refused from now on. */
  expireTokens(): void;
  close(): Promise<void>;
}

export interface FakeImdsOptions {
  /** `127.0.0.1` by default. */
  readonly host?: string;
  /** 0 by default: the operating system chooses. */
  readonly port?: number;
  readonly document?: ImdsTree;
  /** Read for each request, in place of `document`. */
  readonly readDocument?: () => ImdsTree;
}

const META_DATA = '/latest/meta-data/';
const DYNAMIC = '/latest/dynamic/';

/** An instance metadata service as EC2 has it, version 2 only: without a token there is no answer. */
export async function startFakeImds(options: FakeImdsOptions = {}): Promise<FakeImds> {
  const { host = '127.0.0.1', port = 0, document = {}, readDocument } = options;
  const requests: SeenRequest[] = [];
  let tokens = new Set<string>();
  const server = createServer((request, response) => {
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers };
    requests.push(seen);
    if (requests.length > 10_000) requests.shift();
    const count = requests.filter(({ method, path }) => method === seen.method && path === seen.path).length;
    send(imds.fault(seen, count) ?? answer(seen), response);
  });
  const imds: FakeImds = {
    url: '',
    requests,
    document,
    dynamic: {},
    fault: () => undefined,
    expireTokens: () => {
      tokens = new Set();
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
    [Symbol.asyncDispose]: () => imds.close(),
  };
  server.listen(port, host);
  await once(server, 'listening');
  const bound = server.address() as AddressInfo;
  const shown = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return Object.assign(imds, { url: `http://${shown}:${bound.port}` });

  function answer({ method, path, headers }: SeenRequest): Reply {
    const document = readDocument?.() ?? imds.document;
    if (document['switched-off'] !== undefined) return { status: 403 };
    if (path === '/latest/api/token') {
      if (method !== 'PUT') return { status: 405 };
      // "A PUT request that has an X-Forwarded-For header is rejected."
      if (headers['x-forwarded-for'] !== undefined) return { status: 403 };
      const ttl = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (!Number.isInteger(ttl) || ttl < 1 || ttl > 21600) return { status: 400 };
      const token = `token-${tokens.size}-${requests.length}==`;
      tokens.add(token);
      return { status: 200, headers: { 'X-Aws-Ec2-Metadata-Token-Ttl-Seconds': String(ttl) }, body: token };
    }
    if (!tokens.has(String(headers['x-aws-ec2-metadata-token']))) return { status: 401 };
    if (method !== 'GET') return { status: 405 };
    const body = path.startsWith(DYNAMIC)
      ? lookUp(imds.dynamic, path.slice(DYNAMIC.length))
      : path.startsWith(META_DATA)
        ? lookUp(document, path.slice(META_DATA.length))
        : undefined;
    return body === undefined ? { status: 404 } : { status: 200, body };
  }
}

function send(reply: Fault | SlowFault, response: ServerResponse): void {
  if (reply === 'hang') return;
  if (reply === 'reset') {
    response.socket?.destroy();
  } else if (reply === 'trickle') {
    response.writeHead(200);
    const timer = setInterval(() => response.write('1'), 5);
    response.on('close', () => clearInterval(timer));
  } else if (reply === 'cut') {
    response.writeHead(200, { 'Content-Length': '1000' });
    response.write('10.0.', () => response.socket?.destroy());
  } else {
    response.writeHead(reply.status, { 'Content-Type': 'text/plain', ...reply.headers });
    response.end(reply.body ?? (reply.status === 200 ? '' : `<html><title>${reply.status}</title></html>`));
  }
}

function lookUp(tree: ImdsTree, path: string): string | undefined {
  let node: ImdsTree[string] = tree;
  for (const name of path.split('/').filter((part) => part !== '')) {
    if (!isDirectory(node) || !Object.hasOwn(node, name)) return undefined;
    node = node[name]!;
  }
  if (!isDirectory(node)) return typeof node === 'string' ? node : node.join('\n');
  return Object.entries(node)
    .map(([name, child]) => (isDirectory(child) ? `${name}/` : name))
    .join('\n');
}

function isDirectory(node: ImdsTree[string]): node is ImdsTree {
  return typeof node === 'object' && !Array.isArray(node);
}

/** A file holds a description (`{"nics": […]}`) or a whole tree; it is read anew for each request. */
function readDocumentFile(path: string): ImdsTree {
  const parsed = JSON.parse(readFileSync(path, 'utf8')) as MachineDescription | ImdsTree;
  return Array.isArray(parsed['nics']) ? imdsDocument(parsed as MachineDescription) : (parsed as ImdsTree);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      host: { type: 'string', default: '169.254.169.254' },
      port: { type: 'string', default: '80' },
      document: { type: 'string' },
    },
  });
  const file = values.document;
  if (file === undefined) throw new Error('--document FILE.json is missing');
  let last = readDocumentFile(file);
  const imds = await startFakeImds({
    host: values.host,
    port: Number(values.port),
    readDocument: () => {
      try {
        last = readDocumentFile(file);
      } catch {
        // Half written just now: the machine is still as it was.
      }
      return last;
    },
  });
  process.stdout.write(`fake-imds ${imds.url}\n`);
}
