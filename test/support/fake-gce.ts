import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, watch } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, dirname } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type GceDescription,
  type GceTree,
  type GceValue,
  gceDocument,
  gceJson,
  isNumber,
  parseGceDocument,
} from './fake-gce-document.ts';
import type { Fault, Reply, SeenRequest } from './fake-imds.ts';

export interface FakeGce extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Every request since the start, oldest first. */
  readonly requests: readonly SeenRequest[];
  /** How many requests are being held until something changes. */
  readonly held: number;
  /** Asked before each request; undefined lets it through. `count` is 1 for the first request to that path. */
  fault: (request: SeenRequest, count: number) => Fault | undefined;
  /** What it tells from now on; requests that wait for a change of it are answered. */
  replace(document: GceTree): void;
  /** Answers what is being held as when its time is over. */
  expireHeld(): void;
  /** Resolves when `count` requests are being held. */
  holding(count: number): Promise<void>;
  /** Resolves at the next request that `matches`, past ones included. */
  asked(matches: (request: SeenRequest) => boolean): Promise<SeenRequest>;
  close(): Promise<void>;
}

interface Held {
  readonly url: URL;
  readonly lastEtag: string;
  readonly response: ServerResponse;
  readonly timer: NodeJS.Timeout;
}

const ROOT = '/computeMetadata/v1/';

/** A metadata server as Compute Engine has it: flavour, ETags, directories, requests that wait for a change. */
export async function startFakeGce(
  document: GceTree,
  { host = '127.0.0.1', port = 0 }: { host?: string; port?: number } = {},
): Promise<FakeGce> {
  let current = document;
  const requests: SeenRequest[] = [];
  const held = new Set<Held>();
  const watchers = new Set<() => void>();
  const looked = (): void => {
    for (const look of [...watchers]) look();
  };
  const until = <T>(look: () => T | undefined): Promise<T> =>
    new Promise((resolve) => {
      const attempt = (): void => {
        const found = look();
        if (found === undefined) return;
        watchers.delete(attempt);
        resolve(found);
      };
      watchers.add(attempt);
      attempt();
    });

  const server = createServer((request, response) => {
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers };
    requests.push(seen);
    if (requests.length > 10_000) requests.shift();
    const count = requests.filter(({ path }) => path === seen.path).length;
    const fault = gce.fault(seen, count);
    if (fault === undefined) answer(request, response, seen);
    else fail(fault, response);
    looked();
  });

  function answer(request: IncomingMessage, response: ServerResponse, { path }: SeenRequest): void {
    const refused = refusal(request);
    if (refused) {
      send(refused, response);
      return;
    }
    const url = new URL(path, 'http://metadata.google.internal');
    const lastEtag = url.searchParams.get('last_etag');
    const reply = lookUp(current, url);
    if (url.searchParams.get('wait_for_change') !== 'true' || reply.headers?.['ETag'] !== lastEtag) {
      send(reply, response);
      return;
    }
    const seconds = Number(url.searchParams.get('timeout_sec') ?? 0) || 3600;
    const waiting: Held = {
      url,
      lastEtag: lastEtag ?? '',
      response,
      timer: setTimeout(() => release(waiting), seconds * 1000),
    };
    waiting.timer.unref();
    held.add(waiting);
    response.on('close', () => {
      clearTimeout(waiting.timer);
      held.delete(waiting);
    });
  }

  function release(waiting: Held): void {
    clearTimeout(waiting.timer);
    held.delete(waiting);
    send(lookUp(current, waiting.url), waiting.response);
  }

  const gce: FakeGce = {
    url: '',
    requests,
    get held() {
      return held.size;
    },
    fault: () => undefined,
    replace: (next) => {
      current = next;
      for (const waiting of [...held]) {
        if (lookUp(current, waiting.url).headers?.['ETag'] !== waiting.lastEtag) release(waiting);
      }
    },
    expireHeld: () => {
      for (const waiting of [...held]) release(waiting);
    },
    holding: async (count) => {
      await until(() => (held.size >= count ? true : undefined));
    },
    asked: (matches) => until(() => requests.find(matches)),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
    [Symbol.asyncDispose]: () => gce.close(),
  };
  server.listen(port, host);
  await once(server, 'listening');
  const bound = server.address() as AddressInfo;
  Object.defineProperty(gce, 'url', { value: `http://${bound.address}:${bound.port}` });
  return gce;
}

function refusal({ method, headers }: IncomingMessage): Reply | undefined {
  if (headers['x-forwarded-for'] !== undefined) return { status: 403 };
  if (headers['metadata-flavor'] !== 'Google') return { status: 403 };
  return method === 'GET' ? undefined : { status: 405 };
}

function lookUp(tree: GceTree, url: URL): Reply {
  if (!url.pathname.startsWith(ROOT)) return { status: 404 };
  const path = url.pathname.slice(ROOT.length);
  if (/^instance\/service-accounts\/[^/]+\/token$/.test(path)) return tokenFor(tree, path);
  let node: GceValue | undefined = tree;
  for (const part of path.split('/').filter((name) => name !== '')) node = childOf(node, part);
  if (node === undefined) return { status: 404 };
  const isDirectory = isContainer(node);
  if (isDirectory && !path.endsWith('/')) return { status: 301, headers: { Location: `${url.pathname}/` } };
  const json = url.searchParams.get('alt') === 'json';
  const recursive = url.searchParams.get('recursive') === 'true';
  const body = json || (recursive && isDirectory) ? gceJson(node) : textOf(node);
  const etag = createHash('sha256').update(gceJson(node)).digest('hex').slice(0, 16);
  return { status: 200, headers: { ETag: etag }, body };
}

/** What answers as the token of an account says for whom it is and what it may be used for. */
function tokenFor(tree: GceTree, path: string): Reply {
  const name = path.split('/')[2]!;
  const accounts = childOf(childOf(tree, 'instance'), 'service-accounts');
  const account = childOf(accounts, name) as { scopes: readonly string[] } | undefined;
  if (!account) return { status: 404 };
  const token = `ya29.${Buffer.from(account.scopes.join(' ')).toString('base64url')}`;
  const body = JSON.stringify({ access_token: token, expires_in: 3599, token_type: 'Bearer' });
  return { status: 200, headers: { 'Content-Type': 'application/json' }, body };
}

/** Paths are written with hyphens and documents in camel case; names that somebody chose are the same in both. */
function childOf(node: GceValue | undefined, part: string): GceValue | undefined {
  if (node === undefined || !isContainer(node)) return undefined;
  if (Array.isArray(node)) return (node as readonly GceValue[])[Number(part)];
  const members = node as GceTree;
  if (Object.hasOwn(members, part)) return members[part];
  const camel = part.replaceAll(/-([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
  return Object.hasOwn(members, camel) ? members[camel] : undefined;
}

function isContainer(node: GceValue): boolean {
  return typeof node === 'object' && node !== null && !isNumber(node) && !isWords(node);
}

/** `scopes`, `tags`: a list of words is an item with a line for each. */
function isWords(node: GceValue): boolean {
  return Array.isArray(node) && node.length > 0 && node.every((item) => typeof item === 'string');
}

function textOf(node: GceValue): string {
  if (isNumber(node)) return node.digits;
  if (typeof node !== 'object' || node === null) return String(node);
  if (isWords(node)) return (node as readonly string[]).join('\n');
  const entries = Object.entries(node as GceTree);
  return entries
    .map(([name, child]) => {
      const kebab = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      return isContainer(child) ? `${kebab}/` : kebab;
    })
    .join('\n');
}

function send({ status, headers, body }: Reply, response: ServerResponse): void {
  response.writeHead(status, {
    'Metadata-Flavor': 'Google',
    Server: 'Metadata Server for VM',
    'Content-Type': 'application/text',
    ...headers,
  });
  response.end(body ?? `<!DOCTYPE html><title>Error ${status}</title>`);
}

function fail(fault: Fault, response: ServerResponse): void {
  if (fault === 'hang') return;
  if (fault === 'reset') response.socket?.destroy();
  else if (fault === 'cut') {
    response.writeHead(200, { 'Metadata-Flavor': 'Google', 'Content-Length': '1000' });
    response.write('[{"ip":"10.', () => response.socket?.destroy());
  } else send(fault, response);
}

/** A file holds a description (`{"nics": […]}`) or a recorded document. */
function readDocumentFile(path: string): GceTree {
  const tree = parseGceDocument(readFileSync(path, 'utf8'));
  return Array.isArray(tree['nics']) ? gceDocument(tree as unknown as GceDescription) : tree;
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
  const gce = await startFakeGce(readDocumentFile(file), { host: values.host, port: Number(values.port) });
  watch(dirname(file), (_event, name) => {
    if (name !== basename(file)) return;
    try {
      gce.replace(readDocumentFile(file));
    } catch {
      // Half written just now: the machine is still as it was.
    }
  });
  process.stdout.write(`fake-gce ${gce.url}\n`);
}
