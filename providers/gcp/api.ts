import type { InstancesClient, NetworksClient } from '@google-cloud/compute/build/src/v1/index.js';
import { DiscoveryError, quoted } from '../../src/discovery/discovery-error.ts';
import { serveApi } from '../../src/discovery/serve-api.ts';
import type { ApiInstance, CallResult, EffectiveFirewall, GcpAnswer, GcpQuestion } from './api-answer.ts';
import { firewallOf, instanceOf } from './api-shapes.ts';
import { refusalOf } from './refusal.ts';

// The program of the child process: nothing else imports the SDK, and this module is imported by nobody.

/** The SDK's own over REST is none: it would wait for ever. */
const ANSWER_TIMEOUT_MS = 8000;
const MAX_ZONES = 500;
const MAX_INTERFACES = 64;

await serveApi<GcpQuestion, GcpAnswer>(async (question) => {
  const sdk = await loadSdk();
  const options = { fallback: true, ...endpointOf(process.env['CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE']) };
  const instances = new sdk.InstancesClient(options);
  const instance = await findInstance(instances, question);
  if (!question.diagnosis || 'refusal' in instance) return { instance };
  const networks = new sdk.NetworksClient(options);
  const interfaces = instance.value.interfaces.slice(0, MAX_INTERFACES);
  const firewalls = await Promise.all(
    interfaces.map(async ({ name, network }) => {
      const found = await readFirewall(instances, networks, instance.value, name, network);
      return [name, found] as const;
    }),
  );
  return { instance, firewalls: Object.fromEntries(firewalls) };
});

async function findInstance(
  client: InstancesClient,
  { project: given, zone, instance, addresses }: GcpQuestion,
): Promise<CallResult<ApiInstance>> {
  let permission = 'compute.instances.get';
  try {
    const project = given ?? (await inTime(client.getProjectId()));
    if (zone !== undefined) {
      const [found] = await inTime(client.get({ project, zone, instance }));
      return { value: instanceOf(found, project, zone) };
    }
    permission = 'compute.instances.list';
    const named = await inTime(everywhere(client, project, instance));
    const ours = named.find((found) =>
      found.interfaces.some(({ address }) => address !== undefined && addresses.includes(address)),
    );
    if (ours) return { value: ours };
    const message = `${permission}: expected an instance ${quoted(instance)} of ${quoted(project)} with one of this machine's addresses, came ${named.length} of that name without it`;
    return { refusal: { permission, code: 'discovery.api-failed', reason: 'other', message } };
  } catch (error) {
    return { refusal: refusalOf(permission, error) };
  }
}

async function everywhere(
  client: InstancesClient,
  project: string,
  instance: string,
): Promise<ApiInstance[]> {
  const named: ApiInstance[] = [];
  let zones = 0;
  for await (const [place, scoped] of client.aggregatedListAsync(
    { project, filter: `name = ${JSON.stringify(instance)}` },
    { autoPaginate: false },
  )) {
    if (++zones > MAX_ZONES) throw new Error(`more than ${MAX_ZONES} zones`);
    const zone = place.split('/').at(-1)!;
    named.push(...(scoped.instances ?? []).map((found) => instanceOf(found, project, zone)));
  }
  return named;
}

async function readFirewall(
  instances: InstancesClient,
  networks: NetworksClient,
  { project, zone, name: instance }: ApiInstance,
  networkInterface: string,
  network: string,
): Promise<CallResult<EffectiveFirewall>> {
  try {
    const [found] = await inTime(
      instances.getEffectiveFirewalls({ project, zone, instance, networkInterface }),
    );
    const firewall = firewallOf(found);
    // Only with policies of the network is there an order to ask for.
    if (!firewall.policies.some(({ type }) => type.startsWith('NETWORK'))) return { value: firewall };
    const first = await policiesFirst(networks, project, network);
    return { value: { ...firewall, ...(first !== undefined && { policiesFirst: first }) } };
  } catch (error) {
    return { refusal: refusalOf('compute.instances.getEffectiveFirewalls', error) };
  }
}

/** Undefined where it may not be asked: a shared network belongs to another project. */
async function policiesFirst(
  client: NetworksClient,
  ownProject: string,
  network: string,
): Promise<boolean | undefined> {
  const [, project = ownProject] = /projects\/([^/]+)\//.exec(network) ?? [];
  try {
    const [found] = await inTime(client.get({ project, network: network.split('/').at(-1)! }));
    return found.networkFirewallPolicyEnforcementOrder === 'BEFORE_CLASSIC_FIREWALL';
  } catch {
    return undefined;
  }
}

/** As gcloud takes it, `https://compute-mine.p.googleapis.com/compute/v1/`; the universe is the SDK's own affair. */
function endpointOf(text: string | undefined): { apiEndpoint?: string; port?: number; protocol?: string } {
  if (!text) return {};
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new DiscoveryError(
      'discovery.endpoint',
      `CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE must be a URL such as https://compute.googleapis.com/compute/v1/, not ${quoted(text)}.`,
    );
  }
  const protocol = url.protocol.slice(0, -1);
  return { apiEndpoint: url.hostname, port: Number(url.port) || (protocol === 'http' ? 80 : 443), protocol };
}

/** The process ends with its answer, and what is still under way with it. */
async function inTime<Value>(promise: Promise<Value>): Promise<Value> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const error = Object.assign(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`), { code: 'ETIMEDOUT' });
  const timer = setTimeout(() => reject(error), ANSWER_TIMEOUT_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The two clients by their own files: the package's index loads 120 more, which takes a second. The SDK finds the
 * project and the credentials by itself.
 */
async function loadSdk(): Promise<{
  InstancesClient: typeof InstancesClient;
  NetworksClient: typeof NetworksClient;
}> {
  try {
    const [instances, networks] = await Promise.all([
      import('@google-cloud/compute/build/src/v1/instances_client.js'),
      import('@google-cloud/compute/build/src/v1/networks_client.js'),
    ]);
    return { InstancesClient: instances.InstancesClient, NetworksClient: networks.NetworksClient };
  } catch (error) {
    throw new DiscoveryError(
      'discovery.api-failed',
      'The Compute API could not be asked because the package @google-cloud/compute is missing. Install cloudsip again with its dependencies.',
      { cause: error },
    );
  }
}
