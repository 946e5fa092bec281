import { createServer } from 'node:http';
import {
  count,
  type FakeServer,
  type Fault,
  listen,
  type Place,
  type Reply,
  readJson,
  runFake,
  type SeenRequest,
  seenRequest,
  send,
} from './fake-server.ts';

/** What a cloud's service asks for before it answers: tokens, headers. Undefined lets the request through. */
export type Gate = (request: SeenRequest) => Reply | undefined;

/** Bodies by path, with the query where there is one. */
export type Documents = Readonly<Record<string, string>>;

export interface FakeCloud extends FakeServer {
  readonly requests: readonly SeenRequest[];
  documents: Documents;
  /** Asked before the gate; `count` is 1 for the first request of that method to that path. */
  fault: (request: SeenRequest, count: number) => Fault | undefined;
}

/** A metadata service of no particular cloud: the gate makes it one. */
export async function startFakeCloud(
  documents: Documents,
  gate: Gate = () => undefined,
  place: Place = {},
): Promise<FakeCloud> {
  const requests: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const seen = seenRequest(request);
    const reply = cloud.fault(seen, count(requests, seen)) ?? gate(seen) ?? answer(seen);
    send(reply, response, '{"interfaces": [');
  });
  const answer = ({ method, path }: SeenRequest): Reply => {
    if (method !== 'GET') return { status: 405 };
    const body = Object.hasOwn(cloud.documents, path) ? cloud.documents[path] : undefined;
    return body === undefined ? { status: 404 } : { status: 200, body };
  };
  const cloud: FakeCloud = {
    ...(await listen(server, place)),
    requests,
    documents,
    fault: () => undefined,
  };
  return cloud;
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
  await runFake('fake-cloud', async (file, place) => {
    const cloud: FakeCloud = await startFakeCloud(
      readJson(file),
      () => {
        cloud.documents = readJson(file);
        return undefined;
      },
      place,
    );
    return cloud;
  });
}
