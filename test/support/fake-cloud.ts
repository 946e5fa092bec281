import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';

export interface CloudReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface CloudRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** An answer of one's own, no answer, a closed connection, half an answer, or half of one and no end. */
export type CloudFault = CloudReply | 'hang' | 'reset' | 'cut' | 'slow';

/** What a cloud's service asks for before it answers: tokens, headers. Undefined lets the request through. */
export type Gate = (request: CloudRequest) => CloudReply | undefined;

/** Bodies by path, with the query where there is one. */
export type Documents = Readonly<Record<string, string>>;

export interface FakeCloud extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly CloudRequest[];
  documents: Documents;
  /** Asked before the gate; `count` is 1 for the first request of that method to that path. */
  fault: (request: CloudRequest, count: number) => CloudFault | undefined;
}

/** A metadata service of no particular cloud: the gate makes it one. */
export async function startFakeCloud(
  documents: Documents,
  gate: Gate = () => undefined,
  { host = '127.0.0.1', port = 0 }: { readonly host?: string; readonly port?: number } = {},
): Promise<FakeCloud> {
  const requests: CloudRequest[] = [];
  const server = createServer((request, response) => {
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers };
    requests.push(seen);
    const count = requests.filter(({ method, path }) => method === seen.method && path === seen.path).length;
    send(cloud.fault(seen, count) ?? gate(seen) ?? answer(seen), response);
  });
  const answer = ({ method, path }: CloudRequest): CloudReply => {
    if (method !== 'GET') return { status: 405 };
    const body = Object.hasOwn(cloud.documents, path) ? cloud.documents[path] : undefined;
    return body === undefined ? { status: 404 } : { status: 200, body };
  };
  server.listen(port, host);
  await once(server, 'listening');
  const cloud: FakeCloud = {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    requests,
    documents,
    fault: () => undefined,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return cloud;
}

function send(reply: CloudFault, response: ServerResponse): void {
  if (reply === 'hang') return;
  if (reply === 'reset') {
    response.socket?.destroy();
  } else if (reply === 'slow') {
    response.writeHead(200, { 'Content-Length': '1000' });
    response.write('{"interfaces": [');
  } else if (reply === 'cut') {
    response.writeHead(200, { 'Content-Length': '1000' });
    response.write('{"interfaces": [', () => response.socket?.destroy());
  } else {
    response.writeHead(reply.status, { 'Content-Type': 'text/plain', ...reply.headers });
    response.end(reply.body ?? (reply.status === 200 ? '' : `<html><title>${reply.status}</title></html>`));
  }
}

/** A gate that wants a token from `PUT tokenPath`, shown as `show` says; `expire` refuses all given out so far. */
export function tokenGate(options: {
  readonly tokenPath: string;
  readonly wants: readonly [header: string, pattern: RegExp];
  readonly body?: (token: string) => string;
  readonly show: readonly [header: string, value: (token: string) => string];
}): { readonly gate: Gate; expire(): void } {
  const { tokenPath, wants, body = (token) => token, show } = options;
  let tokens = new Set<string>();
  let made = 0;
  return {
    expire: () => {
      tokens = new Set();
    },
    gate: ({ method, path, headers }) => {
      if (path === tokenPath) {
        if (method !== 'PUT') return { status: 405 };
        if (!wants[1].test(String(headers[wants[0].toLowerCase()]))) return { status: 400 };
        const token = `token.${++made}`;
        tokens.add(token);
        return { status: 200, body: body(token) };
      }
      const shown = headers[show[0].toLowerCase()];
      return [...tokens].some((token) => show[1](token) === shown) ? undefined : { status: 401 };
    },
  };
}

type Tree = { readonly [name: string]: Tree | string | readonly string[] | number | null };

/** The texts of an EC2-like tree: directories list their names, those of directories with a slash. */
export function treeDocuments(root: string, tree: Tree): Documents {
  const documents: Record<string, string> = {};
  const visit = (path: string, node: Tree[string]): void => {
    if (node === null || typeof node !== 'object' || Array.isArray(node)) {
      documents[path] = Array.isArray(node) ? node.join('\n') : String(node ?? '');
      return;
    }
    const entries = Object.entries(node as Tree);
    const isDirectory = (child: Tree[string]) =>
      child !== null && typeof child === 'object' && !Array.isArray(child);
    documents[`${path}/`] = entries
      .map(([name, child]) => (isDirectory(child) ? `${name}/` : name))
      .join('\n');
    for (const [name, child] of entries) visit(`${path}/${name}`, child);
  };
  visit(root, tree);
  return documents;
}

/** As a command it serves a file with the documents by path, which is read anew for each request. */
if (import.meta.main) {
  const { values } = parseArgs({
    options: { host: { type: 'string' }, port: { type: 'string' }, document: { type: 'string' } },
  });
  const { host = '127.0.0.1', port = '0', document = '' } = values;
  const read = (): Documents => JSON.parse(readFileSync(document, 'utf8')) as Documents;
  const cloud: FakeCloud = await startFakeCloud(
    read(),
    () => {
      cloud.documents = read();
      return undefined;
    },
    { host, port: Number(port) },
  );
  process.stdout.write(`fake-cloud ${cloud.url}\n`);
}
