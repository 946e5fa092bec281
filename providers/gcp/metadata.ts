import { DiscoveryError, quoted } from '../../src/discovery/discovery-error.ts';
import { MetadataClient } from '../../src/discovery/metadata-client.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';

const ENDPOINT = 'http://169.254.169.254';
const ROOT = '/computeMetadata/v1/';
const FLAVOR = { 'Metadata-Flavor': 'Google' } as const;
/** "timeout_sec": how long the server holds a request for which nothing has changed. */
const HANGING_SECONDS = 60;
/** Of a hanging call: above what the server was told, so that its answer comes first. */
const HANGING_TIMEOUT_MS = (HANGING_SECONDS + 15) * 1000;

/** The metadata server of Compute Engine ("View and query VM metadata"). Paths are below `computeMetadata/v1/`. */
export interface Metadata {
  /** The text of an item, undefined where there is none. A directory ends with a slash. */
  get(path: string): Promise<string | undefined>;
  /** The full address of an item, for messages. */
  url(path: string): string;
  close(): void;
}

/** What a hanging request came back with. */
export interface HeldAnswer {
  /** Undefined where there is no such item. */
  readonly body: string | undefined;
  /** Equal to the one that was sent: nothing has changed, and the time is up. */
  readonly etag: string | undefined;
}

export interface HangingMetadata {
  /** Resolves when the item has changed since `lastEtag`, at once without one, or when a minute is over. */
  held(path: string, lastEtag: string | undefined): Promise<HeldAnswer>;
  close(): void;
}

/** The same names in the same order as in the vendor's Node library; the scheme may be left out there too. */
export function metadataEndpoint(env: DiscoveryContext['env']): string {
  const given = env['GCE_METADATA_IP'] || env['GCE_METADATA_HOST'];
  if (!given) return ENDPOINT;
  return given.includes('://') ? given : `http://${given}`;
}

export function openMetadata(
  context: Pick<DiscoveryContext, 'env' | 'clock'>,
  signal: AbortSignal,
): Metadata {
  const client = new MetadataClient({
    baseUrl: metadataEndpoint(context.env),
    clock: context.clock,
    signal,
  });
  return {
    get: async (path) => (await ask(client, ROOT + path)).body,
    url: (path) => client.url(ROOT + path),
    close: () => client.close(),
  };
}

/** For requests that the server holds until something changes. One failure is one: the caller waits and asks again. */
export function openHangingMetadata(
  context: Pick<DiscoveryContext, 'env' | 'clock'>,
  signal: AbortSignal,
): HangingMetadata {
  const client = new MetadataClient({
    baseUrl: metadataEndpoint(context.env),
    clock: context.clock,
    signal,
    callTimeoutMs: HANGING_TIMEOUT_MS,
    maxAttempts: 1,
  });
  return {
    held: (path, lastEtag) => {
      const hold = `wait_for_change=true&timeout_sec=${HANGING_SECONDS}&last_etag=${encodeURIComponent(lastEtag ?? '')}`;
      const sign = path.includes('?') ? '&' : '?';
      return ask(client, ROOT + path + (lastEtag === undefined ? '' : sign + hold));
    },
    close: () => client.close(),
  };
}

async function ask(client: MetadataClient, path: string): Promise<HeldAnswer> {
  const request = { method: 'GET', path, headers: FLAVOR } as const;
  const answer = await client.request(request);
  const { status, headers, body } = answer;
  // Google's own word against a server that only looks alike: "check the response's Metadata-Flavor header".
  if ((status === 200 || status === 404) && headers['metadata-flavor'] !== 'Google') {
    const came = headers['metadata-flavor'];
    throw new DiscoveryError(
      'discovery.metadata-garbled',
      `GET ${client.url(path)}: expected an answer with "Metadata-Flavor: Google", came ${status} with ${
        came === undefined ? 'no such header' : quoted(String(came))
      }. Check what answers there: it is not Google's metadata server.`,
    );
  }
  if (status === 200) return { body, etag: headers['etag'] };
  if (status === 404) return { body: undefined, etag: headers['etag'] };
  if (status === 403) {
    throw new DiscoveryError(
      'discovery.metadata-forbidden',
      `GET ${client.url(path)}: expected 200 or 404, came 403: the metadata server refuses this request. Check that no proxy stands in between (it refuses X-Forwarded-For) and that the workload may ask it: on GKE run cloudsip with hostNetwork.`,
    );
  }
  throw client.unexpected(request, answer);
}
