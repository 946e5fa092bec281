import type * as Sdk from '@azure/arm-network';
import type * as Identity from '@azure/identity';
import type { TokenCredential } from '@azure/identity';
import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import { serveApi } from '../../src/discovery/serve-api.ts';
import type { ArmAnswer, ArmQuestion, ArmRefusal } from './arm-answer.ts';
import { groupOf, interfaceNetworks, type NicShape, nicOf, prefixesOf } from './arm-shapes.ts';
import { refusalOf, refusedCredentials } from './refusal.ts';
import {
  EFFECTIVE_GROUPS,
  READ_NETWORKS,
  READ_NICS,
  READ_PUBLIC,
  READ_SCALE_SET_NICS,
  READ_SCALE_SET_PUBLIC,
} from './rights.ts';

// The program of the child process: nothing else imports the SDK, and this module is imported by nobody.

/** More interfaces than a resource group is worth searching through. */
const MAX_NICS = 20_000;
const AT_ONCE = 8;
/** How often the end of a long-running operation is asked for, unless the service says otherwise. */
const OPERATION_POLL_MS = 1000;

await serveApi<ArmQuestion, ArmAnswer>(async (question) => {
  const { resource, diagnosis } = question;
  const clientFor = await openClients(question);
  const refusals: ArmRefusal[] = [];
  const attempt = async <Value>(
    action: string,
    scope: string,
    ask: () => Promise<Value>,
  ): Promise<Value | undefined> => {
    try {
      return await ask();
    } catch (error) {
      refusals.push(refusalOf(action, scope, error));
      return undefined;
    }
  };

  const own = clientFor(resource.subscriptionId);
  const group = `/subscriptions/${resource.subscriptionId}/resourceGroups/${resource.resourceGroup}`;
  const found = await findInterfaces();
  const publicById = await readPublicAddresses(found);
  const nics = found.map((nic) => nicOf(nic, publicById));
  const groupsByNic = await readEffectiveGroups(found);
  return {
    nics: nics.map((nic) => {
      const groups = groupsByNic.get(nic.id);
      return groups ? { ...nic, groups } : nic;
    }),
    prefixes: await readPrefixes(found),
    refusals,
  };

  /** A VM's interfaces carry its id. They may lie in another resource group than the VM itself. */
  async function findInterfaces(): Promise<NicShape[]> {
    const { scaleSet, resourceGroup, name } = resource;
    if (scaleSet !== undefined) {
      const listed = await attempt(READ_SCALE_SET_NICS, resource.id, () =>
        collect(
          own.networkInterfaces.listVirtualMachineScaleSetVMNetworkInterfaces(resourceGroup, scaleSet, name),
        ),
      );
      return listed ?? [];
    }
    const ours = (nic: NicShape): boolean =>
      nic.virtualMachine?.id?.toLowerCase() === resource.id.toLowerCase();
    const inGroup = await attempt(READ_NICS, group, () =>
      collect(own.networkInterfaces.list(resourceGroup), ours),
    );
    if (inGroup && inGroup.length >= question.macs.length) return inGroup;
    const elsewhere = await attempt(READ_NICS, `/subscriptions/${resource.subscriptionId}`, () =>
      collect(own.networkInterfaces.listAll(), ours),
    );
    return elsewhere ?? inGroup ?? [];
  }

  async function readPublicAddresses(found: readonly NicShape[]): Promise<Map<string, Sdk.PublicIPAddress>> {
    const shown = found
      .flatMap((nic) => nic.ipConfigurations ?? [])
      .flatMap(({ publicIPAddress }) => (publicIPAddress?.id ? [publicIPAddress] : []));
    const byId = new Map<string, Sdk.PublicIPAddress>();
    await inTurn(shown, async (address) => {
      const id = address.id!;
      const read = address.ipAddress ? address : await readPublicAddress(id);
      if (read) byId.set(id.toLowerCase(), read);
    });
    return byId;
  }

  /** It may belong to another resource group, or to another subscription. */
  function readPublicAddress(id: string): Promise<Sdk.PublicIPAddress | undefined> {
    const part = (kind: string): string => new RegExp(`/${kind}/([^/]+)`, 'i').exec(id)?.[1] ?? '';
    const { publicIPAddresses } = clientFor(part('subscriptions'));
    if (part('virtualMachineScaleSets') === '') {
      return attempt(READ_PUBLIC, id, () =>
        publicIPAddresses.get(part('resourceGroups'), part('publicIPAddresses')),
      );
    }
    return attempt(READ_SCALE_SET_PUBLIC, id, () =>
      publicIPAddresses.getVirtualMachineScaleSetPublicIPAddress(
        part('resourceGroups'),
        part('virtualMachineScaleSets'),
        part('virtualMachines'),
        part('networkInterfaces'),
        part('ipConfigurations'),
        part('publicIPAddresses'),
      ),
    );
  }

  async function readPrefixes(found: readonly NicShape[]): Promise<string[]> {
    const prefixes: string[] = [];
    await inTurn(interfaceNetworks(found), async ({ id, subscriptionId, resourceGroup, name }) => {
      const network = await attempt(READ_NETWORKS, id, () =>
        clientFor(subscriptionId).virtualNetworks.get(resourceGroup, name),
      );
      if (network) prefixes.push(...prefixesOf(network));
    });
    return [...new Set(prefixes)];
  }

  async function readEffectiveGroups(
    found: readonly NicShape[],
  ): Promise<Map<string, ReturnType<typeof groupOf>[]>> {
    const byNic = new Map<string, ReturnType<typeof groupOf>[]>();
    // The Resource Manager has no such question for interfaces of uniform scale sets.
    if (!diagnosis || resource.scaleSet !== undefined) return byNic;
    await inTurn(found, async ({ id }) => {
      const [, nicGroup, nicName] =
        /\/resourceGroups\/([^/]+)\/.*\/networkInterfaces\/([^/]+)$/i.exec(id ?? '') ?? [];
      if (id === undefined || nicGroup === undefined || nicName === undefined) return;
      const groups = await attempt(EFFECTIVE_GROUPS, id, () =>
        own.networkInterfaces.beginListEffectiveNetworkSecurityGroupsAndWait(nicGroup, nicName, {
          updateIntervalInMs: OPERATION_POLL_MS,
        }),
      );
      if (groups) byNic.set(id, (groups.value ?? []).map(groupOf));
    });
    return byNic;
  }
});

/** A client for each subscription, all with the credentials that the environment or the machine itself has. */
async function openClients({
  cloud: { endpoint, audience, authority },
}: ArmQuestion): Promise<(subscriptionId: string) => Sdk.NetworkManagementClient> {
  const scope = `${audience}/.default`;
  const [{ NetworkManagementClient }, identity] = await loadSdk();
  let credential: TokenCredential;
  try {
    credential = credentialsOf(identity, authority);
    await credential.getToken(scope);
  } catch (error) {
    throw refusedCredentials(error);
  }
  const clients = new Map<string, Sdk.NetworkManagementClient>();
  return (subscriptionId) => {
    let client = clients.get(subscriptionId);
    if (!client) {
      client = new NetworkManagementClient(credential, subscriptionId, { endpoint, credentialScopes: scope });
      clients.set(subscriptionId, client);
    }
    return client;
  };
}

/** In the order of DefaultAzureCredential, without the tools of a developer's desk that it would start. */
function credentialsOf(identity: typeof Identity, authorityHost: string): TokenCredential {
  const clientId = process.env['AZURE_CLIENT_ID'];
  const federated = process.env['AZURE_FEDERATED_TOKEN_FILE'];
  // Who names an authority need not have it confirmed by Microsoft's own, which a closed cloud does not reach.
  const options = { authorityHost, disableInstanceDiscovery: Boolean(process.env['AZURE_AUTHORITY_HOST']) };
  return new identity.ChainedTokenCredential(
    new identity.EnvironmentCredential(options),
    ...(federated ? [new identity.WorkloadIdentityCredential(options)] : []),
    new identity.ManagedIdentityCredential({
      ...(clientId && { clientId }),
      retryOptions: { maxRetries: 2 },
    }),
  );
}

async function loadSdk(): Promise<[typeof Sdk, typeof Identity]> {
  try {
    return await Promise.all([import('@azure/arm-network'), import('@azure/identity')]);
  } catch (error) {
    throw new DiscoveryError(
      'discovery.api-failed',
      'The Resource Manager could not be asked because the packages @azure/arm-network and @azure/identity are missing. Install cloudsip again with its dependencies.',
      { cause: error },
    );
  }
}

async function collect<Item>(
  items: AsyncIterable<Item>,
  wanted: (item: Item) => boolean = () => true,
): Promise<Item[]> {
  const kept: Item[] = [];
  let seen = 0;
  for await (const item of items) {
    if (++seen > MAX_NICS) throw new Error(`more than ${MAX_NICS} network interfaces`);
    if (wanted(item)) kept.push(item);
  }
  return kept;
}

/** Several at once, so that a machine with many addresses is not throttled. */
async function inTurn<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
