import { createHash } from 'node:crypto';
import { readFileSync, watch } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { basename, dirname } from 'node:path';
import {
  type GceDescription,
  type GceTree,
  type GceValue,
  gceDocument,
  gceJson,
  isNumber,
  parseGceDocument,
} from './fake-gce-document.ts';
import {
  count,
  type FakeServer,
  type Fault,
  listen,
  type Place,
  type Reply,
  runFake,
  type SeenRequest,
  seenRequest,
  send as sendAs,
} from './fake-server.ts';

export interface FakeGce extends FakeServer {
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
}

interface Held {
  readonly url: URL;
  readonly lastEtag: string;
  readonly response: ServerResponse;
  readonly timer: NodeJS.Timeout;
}

const ROOT = '/computeMetadata/v1/';

/** A metadata server as Compute Engine has it: flavour, ETags, directories, requests that wait for a change. */
export async function startFakeGce(document: GceTree, place: Place = {}): Promise<FakeGce> {
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
    const seen = seenRequest(request);
    const fault = gce.fault(seen, count(requests, seen));
    if (fault === undefined) answer(request, response, seen);
    else send(fault, response);
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
    ...(await listen(server, place)),
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
  };
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

function send(reply: Fault, response: ServerResponse): void {
  sendAs(reply, response, '[{"ip":"10.', {
    'Metadata-Flavor': 'Google',
    Server: 'Metadata Server for VM',
    'Content-Type': 'application/text',
  });
}

/** A file holds a description (`{"nics": […]}`) or a recorded document. */
function readDocumentFile(path: string): GceTree {
  const tree = parseGceDocument(readFileSync(path, 'utf8'));
  return Array.isArray(tree['nics']) ? gceDocument(tree as unknown as GceDescription) : tree;
}

if (import.meta.main) {
  await runFake('fake-gce', async (file, place) => {
    const gce = await startFakeGce(readDocumentFile(file), place);
    watch(dirname(file), (_event, name) => {
      if (name !== basename(file)) return;
      try {
        gce.replace(readDocumentFile(file));
      } catch {
        // Half written just now: the machine is still as it was.
      }
    });
    return gce;
  });
}
