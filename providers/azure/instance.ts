import { checkedMac, garbled } from '../../src/discovery/checked-values.ts';
import { quoted } from '../../src/discovery/discovery-error.ts';
import { type Family, familyOf, normalizeHost } from '../../src/net/address.ts';
import { scopeOf } from '../../src/net/address-scope.ts';
import { parseCidr } from '../../src/net/cidr.ts';

/** Azure gives a VM at most 8 interfaces of 256 addresses. */
const MAX_INTERFACES = 64;
const MAX_ADDRESSES = 1024;

/** How the Resource Manager calls this machine. */
export interface VmResource {
  /** `/subscriptions/…/virtualMachines/…` */
  readonly id: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  /** The scale set whose instance it is, where that is a uniform one; a VM of a flexible one is a VM. */
  readonly scaleSet?: string;
  /** The VM's name, or its instance number in a uniform scale set. */
  readonly name: string;
}

export interface AzureNic {
  readonly mac: string;
  /** The primary one first. */
  readonly addresses: readonly { readonly privateAddress: string; readonly publicAddress?: string }[];
  readonly subnets: readonly string[];
}

/** What `/metadata/instance` tells. */
export interface AzureMachine {
  /** As scheduled events call it. */
  readonly name?: string;
  /** `AzurePublicCloud`, in any case. */
  readonly environment?: string;
  readonly resource?: VmResource;
  /** The tags, not judged yet. */
  readonly tags: readonly { readonly name: string; readonly value: string }[];
  readonly nics: readonly AzureNic[];
}

/** Reads the instance document; `url` is for messages. Missing is `""`, an absent key or an empty list, alike. */
export function readInstance(document: unknown, url: string): AzureMachine {
  const root = record(document);
  if (!root) throw garbled(url, 'an object', document === undefined ? 'nothing (404)' : typeof document);
  const compute = record(root['compute']) ?? {};
  const interfaces = list(record(root['network'])?.['interface']);
  if (interfaces.length === 0 || interfaces.length > MAX_INTERFACES) {
    throw garbled(url, `1 to ${MAX_INTERFACES} network interfaces`, `${interfaces.length} of them`);
  }
  const name = word(compute['name']);
  const environment = word(compute['azEnvironment']);
  const resource = readResource(compute);
  return {
    ...(name !== undefined && { name }),
    ...(environment !== undefined && { environment }),
    ...(resource && { resource }),
    tags: list(compute['tagsList']).flatMap((entry) => {
      const tag = record(entry);
      const { name: tagName, value } = tag ?? {};
      return typeof tagName === 'string' && typeof value === 'string' ? [{ name: tagName, value }] : [];
    }),
    nics: interfaces.map((entry) => readNic(record(entry) ?? {}, url)),
  };
}

/**
 * `/metadata/loadbalancer`: private address → public address. The rules of the load balancer are not looked at:
 * what they forward, or what leaves through them, is no address of this machine alone.
 */
export function readPublicAddresses(document: unknown, url: string): Map<string, string> {
  const entries = list(record(record(document)?.['loadbalancer'])?.['publicIpAddresses']);
  if (entries.length > MAX_ADDRESSES)
    throw garbled(url, `at most ${MAX_ADDRESSES} addresses`, `${entries.length}`);
  const found = new Map<string, string>();
  for (const entry of entries) {
    const { frontendIpAddress, privateIpAddress } = record(entry) ?? {};
    const privateAddress = optionalAddress(privateIpAddress, undefined, url);
    const publicAddress = optionalAddress(frontendIpAddress, undefined, url);
    // "The instance level public or private IP": a private one stands in front of nothing.
    if (privateAddress !== undefined && publicAddress !== undefined && scopeOf(publicAddress) === 'public') {
      found.set(privateAddress, publicAddress);
    }
  }
  return found;
}

/**
 * The machine's own name in the Resource Manager, from its id; undefined where the text is no such id. Only the
 * characters that such names have: they stand in addresses and in the commands of remedies.
 */
export function parseVmId(id: string): VmResource | undefined {
  const match =
    /^\/subscriptions\/([\w-]{1,64})\/resourceGroups\/([\p{L}\p{N}_.()-]{1,90})\/providers\/Microsoft\.Compute\/(?:virtualMachineScaleSets\/([\w.-]{1,80})\/)?virtualMachines\/([\w.-]{1,80})$/iu.exec(
      id,
    );
  if (!match) return undefined;
  const [, subscriptionId, resourceGroup, scaleSet, name] = match;
  return {
    id,
    subscriptionId: subscriptionId!,
    resourceGroup: resourceGroup!,
    ...(scaleSet !== undefined && { scaleSet }),
    name: name!,
  };
}

/** Older versions of the document have no `resourceId`, but what it is made of. */
function readResource(compute: Record<string, unknown>): VmResource | undefined {
  const id = word(compute['resourceId'], 1024);
  if (id !== undefined) return parseVmId(id);
  const [subscription, group, name] = ['subscriptionId', 'resourceGroupName', 'name'].map((key) =>
    word(compute[key]),
  );
  // Of an instance of a scale set its number is not told.
  if (!subscription || !group || !name || word(compute['vmScaleSetName'])) return undefined;
  return parseVmId(
    `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.Compute/virtualMachines/${name}`,
  );
}

function readNic(nic: Record<string, unknown>, url: string): AzureNic {
  const mac = checkedMac(String(nic['macAddress'] ?? ''), url);
  const families = [record(nic['ipv4']) ?? {}, record(nic['ipv6']) ?? {}];
  const kinds: readonly Family[] = ['ipv4', 'ipv6'];
  const entries = families.flatMap((family, index) =>
    list(family['ipAddress']).map((entry) => ({ entry: record(entry) ?? {}, kind: kinds[index]! })),
  );
  if (entries.length > MAX_ADDRESSES)
    throw garbled(url, `at most ${MAX_ADDRESSES} addresses`, `${entries.length}`);
  return {
    mac,
    addresses: entries.flatMap(({ entry, kind }) => {
      const privateAddress = optionalAddress(entry['privateIpAddress'], kind, url);
      if (privateAddress === undefined) return [];
      const publicAddress = optionalAddress(entry['publicIpAddress'], kind, url);
      return [{ privateAddress, ...(publicAddress !== undefined && { publicAddress }) }];
    }),
    subnets: families.flatMap((family) => list(family['subnet']).flatMap((entry) => readSubnet(entry, url))),
  };
}

function readSubnet(entry: unknown, url: string): string[] {
  const { address, prefix } = record(entry) ?? {};
  if (!address && !prefix) return [];
  const text = `${String(address)}/${String(prefix)}`;
  if (!parseCidr(text)) throw garbled(url, 'a subnet', quoted(text));
  return [`${normalizeHost(String(address))}/${String(prefix)}`];
}

/** An address in one spelling, IPv6 without the brackets that it may come in; undefined where it is missing. */
function optionalAddress(value: unknown, family: Family | undefined, url: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const found = typeof value === 'string' ? familyOf(value) : undefined;
  if (found && (family === undefined || found === family)) return normalizeHost(value as string);
  throw garbled(
    url,
    `an ${family === 'ipv6' ? 'IPv6' : family === 'ipv4' ? 'IPv4' : 'IP'} address`,
    quoted(String(value)),
  );
}

function word(value: unknown, maxLength = 256): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= maxLength ? value : undefined;
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
