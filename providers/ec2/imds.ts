import { DiscoveryError, quoted } from '../../src/discovery/discovery-error.ts';
import { MetadataClient } from '../../src/discovery/metadata-client.ts';
import { openSession } from '../../src/discovery/metadata-session.ts';
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
  const open = openSession(client, {
    tokenPath: TOKEN_PATH,
    tokenHeaders: { 'X-aws-ec2-metadata-token-ttl-seconds': String(tokenTtlSeconds) },
    show: (token) => ({ 'X-aws-ec2-metadata-token': token }),
  });
  try {
    const session = await explained(open, withHopLimit);
    const read = (path: string): Promise<string | undefined> => explained(session.get(path));
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

/** What came, with what EC2's users have to do about it. */
async function explained<Answer>(
  asked: Promise<Answer>,
  explain: (error: DiscoveryError) => DiscoveryError = withSwitch,
): Promise<Answer> {
  try {
    return await asked;
  } catch (error) {
    throw error instanceof DiscoveryError ? explain(error) : error;
  }
}

function withSwitch(error: DiscoveryError): DiscoveryError {
  if (error.code !== 'discovery.metadata-forbidden') return error;
  const [what] = error.message.split(', came 403', 1);
  return new DiscoveryError(
    error.code,
    `${what}, came 403: the instance's metadata service is switched off. Switch it on with "aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled".`,
    { cause: error },
  );
}

/** The answer to the PUT leaves with the hop limit as its TTL, 1 by default: it dies at a container's bridge. */
function withHopLimit(error: DiscoveryError): DiscoveryError {
  if (error.code !== 'discovery.metadata-timeout') return withSwitch(error);
  return new DiscoveryError(
    error.code,
    `${error.message} In a container behind a bridge the answer dies on the way back because the instance's hop limit is 1: run cloudsip with the host's network, or raise it with "aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2".`,
    { cause: error },
  );
}
