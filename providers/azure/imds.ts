import { garbled } from '../../src/discovery/checked-values.ts';
import { delay } from '../../src/discovery/delay.ts';
import { DiscoveryError, quoted } from '../../src/discovery/discovery-error.ts';
import { MetadataClient } from '../../src/discovery/metadata-client.ts';
import type { MetadataAnswer, MetadataRequest } from '../../src/discovery/metadata-exchange.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Clock } from '../../src/net/clock.ts';

const ENDPOINT = 'http://169.254.169.254';
/** The service answers 5 requests a second for the whole VM, and others ask too. */
const MAX_PER_SECOND = 4;
/** "410: retry after some time, for at most 70 seconds": 68 seconds in all. */
const GONE_WAITS_MS: readonly number[] = [1100, 2200, 4400, 8800, 17_600, 34_000];

/** What Azure's metadata service is asked for, with the version of it that is wanted. */
export const INSTANCE = { path: '/metadata/instance', version: '2021-08-01' } as const;
export const LOAD_BALANCER = { path: '/metadata/loadbalancer', version: '2020-10-01' } as const;
export const SCHEDULED_EVENTS = { path: '/metadata/scheduledevents', version: '2020-07-01' } as const;

export interface AzureDocument {
  readonly path: string;
  readonly version: string;
}

/** A session with the Azure Instance Metadata Service. */
export interface AzureImds {
  /** The document as parsed JSON, undefined where there is none (404). */
  get(document: AzureDocument): Promise<unknown>;
  post(document: AzureDocument, body: unknown): Promise<void>;
  /** The full address, for messages. */
  url(document: AzureDocument): string;
  close(): void;
}

/** What was learned of the service and holds for every session: one VM, one clock. */
interface Habits {
  /** When the last requests were sent. */
  readonly sent: number[];
  /** The version that is understood, where it is not the wanted one. */
  readonly versions: Map<string, string>;
}

const habitsByClock = new WeakMap<Clock, Habits>();

/** Opens a session. The endpoint is moved as for `@azure/identity`, by AZURE_POD_IDENTITY_AUTHORITY_HOST. */
export function openAzureImds(
  { env, clock }: Pick<DiscoveryContext, 'env' | 'clock'>,
  signal: AbortSignal,
  callTimeoutMs = 10_000,
): AzureImds {
  let habits = habitsByClock.get(clock);
  if (!habits) habitsByClock.set(clock, (habits = { sent: [], versions: new Map() }));
  const { sent, versions } = habits;
  const client = new MetadataClient({
    baseUrl: env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] || ENDPOINT,
    clock,
    signal,
    callTimeoutMs,
    connectTimeoutMs: 2000,
    // Enough to outlast a second in which somebody else has used up the rate.
    maxAttempts: 5,
    // The user data of the VM stands in the instance document.
    maxAnswerBytes: 262_144,
    turn: (ended) => turn(clock, sent, ended),
  });

  async function ask(document: AzureDocument, body?: unknown): Promise<MetadataAnswer> {
    const send = (version: string): Promise<MetadataAnswer> =>
      patiently({
        method: body === undefined ? 'GET' : 'POST',
        path: `${document.path}?api-version=${version}`,
        headers: { Metadata: 'true', ...(body !== undefined && { 'Content-Type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    const version = versions.get(document.path) ?? document.version;
    const answer = await send(version);
    if (answer.status !== 400) return answer;
    const understood = understoodVersion(answer.body, document.version);
    if (understood === undefined || understood === version) return answer;
    versions.set(document.path, understood);
    return send(understood);
  }

  async function patiently(request: MetadataRequest): Promise<MetadataAnswer> {
    // The clock's timers keep no process alive; at boot nothing else does between two attempts.
    const alive = setInterval(() => {}, 1000);
    try {
      for (const waitMs of GONE_WAITS_MS) {
        const answer = await client.request(request);
        if (answer.status !== 410) return answer;
        await delay(clock, waitMs, signal);
      }
      return await client.request(request);
    } finally {
      clearInterval(alive);
    }
  }

  const unexpected = (method: 'GET' | 'POST', document: AzureDocument, answer: MetadataAnswer): Error => {
    if (answer.status !== 410) return client.unexpected({ method, path: document.path }, answer);
    return new DiscoveryError(
      'discovery.metadata-failed',
      `${method} ${client.url(document.path)}: expected 200, came 410 for more than a minute: the metadata service is being updated. Start again in a few minutes.`,
    );
  };

  return {
    async get(document) {
      const answer = await ask(document);
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw unexpected('GET', document, answer);
      try {
        return JSON.parse(answer.body) as unknown;
      } catch {
        throw garbled(client.url(document.path), 'a JSON document', quoted(answer.body));
      }
    },
    async post(document, body) {
      const answer = await ask(document, body);
      if (answer.status < 200 || answer.status > 299) throw unexpected('POST', document, answer);
    },
    url: ({ path }) => client.url(path),
    close: () => client.close(),
  };
}

/** Waits until one more request keeps the rate. */
async function turn(clock: Clock, sent: number[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const now = clock.uptime();
    while (sent.length > 0 && sent[0]! <= now - 1000) sent.shift();
    if (sent.length < MAX_PER_SECOND) {
      sent.push(now);
      return;
    }
    await delay(clock, sent[0]! + 1000 - now, signal);
  }
}

/**
 * A refused version comes with those that are understood: the newest that is not newer than the wanted one, else
 * the oldest, so that the document is as near as can be to the one that is known here.
 */
function understoodVersion(body: string, wanted: string): string | undefined {
  let listed: unknown;
  try {
    listed = (JSON.parse(body) as Record<string, unknown> | null)?.['newest-versions'];
  } catch {
    return undefined;
  }
  if (!Array.isArray(listed)) return undefined;
  const versions = listed
    .filter((entry): entry is string => typeof entry === 'string' && /^\d{4}-\d\d-\d\d$/.test(entry))
    .sort();
  return versions.findLast((version) => version <= wanted) ?? versions[0];
}
