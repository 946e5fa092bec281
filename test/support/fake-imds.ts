import { createServer } from 'node:http';
import { type ImdsTree, imdsDocument, type MachineDescription } from './fake-imds-document.ts';
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

export interface FakeImds extends FakeServer {
  /** Every request since the start, oldest first. */
  readonly requests: readonly SeenRequest[];
  /** What is below `/latest/meta-data/`; replace it to change the machine. With a key `switched-off` all is 403. */
  document: ImdsTree;
  /** What is below `/latest/dynamic/`. */
  dynamic: ImdsTree;
  /** Asked before each request; undefined lets it through. `count` is 1 for the first request to that path. */
  fault: (request: SeenRequest, count: number) => Fault | undefined;
  /** Every token given out so far is refused from now on. */
  expireTokens(): void;
}

export interface FakeImdsOptions extends Place {
  readonly document?: ImdsTree;
  /** Read for each request, in place of `document`. */
  readonly readDocument?: () => ImdsTree;
}

const META_DATA = '/latest/meta-data/';
const DYNAMIC = '/latest/dynamic/';

/** An instance metadata service as EC2 has it, version 2 only: without a token there is no answer. */
export async function startFakeImds(options: FakeImdsOptions = {}): Promise<FakeImds> {
  const { document = {}, readDocument } = options;
  const requests: SeenRequest[] = [];
  let tokens = new Set<string>();
  const server = createServer((request, response) => {
    const seen = seenRequest(request);
    send(imds.fault(seen, count(requests, seen)) ?? answer(seen), response, '10.0.');
  });
  const imds: FakeImds = {
    ...(await listen(server, options)),
    requests,
    document,
    dynamic: {},
    fault: () => undefined,
    expireTokens: () => {
      tokens = new Set();
    },
  };
  return imds;

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
  const parsed = readJson<MachineDescription | ImdsTree>(path);
  return Array.isArray(parsed['nics']) ? imdsDocument(parsed as MachineDescription) : (parsed as ImdsTree);
}

if (import.meta.main) {
  await runFake('fake-imds', (file, place) => {
    let last = readDocumentFile(file);
    return startFakeImds({
      ...place,
      readDocument: () => {
        try {
          last = readDocumentFile(file);
        } catch {
          // Half written just now: the machine is still as it was.
        }
        return last;
      },
    });
  });
}
