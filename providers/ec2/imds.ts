import { DiscoveryError, quoted } from '../../src/discovery/discovery-error.ts';
import { MetadataClient } from '../../src/discovery/metadata-client.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';

const ENDPOINT_V4 = 'http://169.254.169.254';
const ENDPOINT_V6 = 'http://[fd00:ec2::254]';
const TOKEN_PATH = '/latest/api/token';
/** Long enough for one discovery. */
const TOKEN_TTL_SECONDS = 300;

/** A session with the instance metadata service (EC2 user guide, "Use IMDSv2"). */
export interface Imds {
  /** The text below `/latest/meta-data/`, undefined where there is no such item. */
  get(path: string): Promise<string | undefined>;
  /** The instance identity document, which stands elsewhere. */
  identity(): Promise<string | undefined>;
  /** The full address of an item, for messages. */
  url(path: string): string;
  close(): void;
}

/** Fetches a session token. The environment's endpoint wins over the mode, as in the vendor's SDKs. */
export async function openImds(
  context: Pick<DiscoveryContext, 'env' | 'clock'>,
  signal: AbortSignal,
  tokenTtlSeconds: number = TOKEN_TTL_SECONDS,
): Promise<Imds> {
  const client = new MetadataClient({ baseUrl: endpointOf(context.env), clock: context.clock, signal });
  try {
    let token = fetchToken(client, tokenTtlSeconds);
    await token;
    const read = async (path: string): Promise<string | undefined> => {
      const item = { method: 'GET', path } as const;
      const used = token;
      const answer = await client.request({
        ...item,
        headers: { 'X-aws-ec2-metadata-token': await used },
      });
      if (answer.status === 401) {
        // Expired, or forgotten by the service. One new token for all that were asking with the old one.
        if (token === used) token = fetchToken(client, tokenTtlSeconds);
        return client.get(path, { 'X-aws-ec2-metadata-token': await token });
      }
      if (answer.status === 200) return answer.body;
      if (answer.status === 404) return undefined;
      throw answer.status === 403 ? switchedOff(client, path) : client.unexpected(item, answer);
    };
    return {
      get: (path) => read(`/latest/meta-data/${path}`),
      identity: () => read('/latest/dynamic/instance-identity/document'),
      url: (path) => client.url(`/latest/meta-data/${path}`),
      close: () => client.close(),
    };
  } catch (error) {
    client.close();
    throw error;
  }
}

function endpointOf(env: DiscoveryContext['env']): string {
  const endpoint = env['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
  if (endpoint) return endpoint;
  const mode = env['AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE'] || 'IPv4';
  if (/^ipv4$/i.test(mode)) return ENDPOINT_V4;
  if (/^ipv6$/i.test(mode)) return ENDPOINT_V6;
  throw new DiscoveryError(
    'discovery.endpoint',
    `AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE must be IPv4 or IPv6, not ${quoted(mode)}.`,
  );
}

async function fetchToken(client: MetadataClient, ttlSeconds: number): Promise<string> {
  const put = { method: 'PUT', path: TOKEN_PATH } as const;
  const asked = `PUT ${client.url(TOKEN_PATH)}`;
  let answer: Awaited<ReturnType<MetadataClient['request']>>;
  try {
    answer = await client.request({
      ...put,
      headers: { 'X-aws-ec2-metadata-token-ttl-seconds': String(ttlSeconds) },
    });
  } catch (error) {
    if (!(error instanceof DiscoveryError) || error.code !== 'discovery.metadata-timeout') throw error;
    // The answer to the PUT leaves with the hop limit as its TTL, 1 by default: it dies at a container's bridge.
    throw new DiscoveryError(
      error.code,
      `${error.message} In a container behind a bridge the answer dies on the way back because the instance's hop limit is 1: run cloudsip with the host's network, or raise it with "aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2".`,
      { cause: error },
    );
  }
  if (answer.status === 403) throw switchedOff(client, TOKEN_PATH, 'PUT');
  if (answer.status !== 200) throw client.unexpected(put, answer);
  const token = answer.body.trim();
  if (/^[\x21-\x7e]{1,1024}$/.test(token)) return token;
  throw new DiscoveryError(
    'discovery.metadata-garbled',
    `${asked}: expected a session token, came something else (${answer.body.length} characters). Check what answers there.`,
  );
}

function switchedOff(client: MetadataClient, path: string, method = 'GET'): DiscoveryError {
  return new DiscoveryError(
    'discovery.metadata-forbidden',
    `${method} ${client.url(path)}: expected an answer, came 403: the instance's metadata service is switched off. Switch it on with "aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled".`,
  );
}
