import type { AddressMapping, Topology } from './topology.ts';

/** One private address whose existence or public address changed. */
export interface MappingChange {
  readonly kind: 'added' | 'removed' | 'remapped';
  readonly privateAddress: string;
  /** The public address before; absent where there was none. */
  readonly before?: string;
  /** The public address now; absent where there is none. */
  readonly after?: string;
}

/**
 * Whether two topologies say the same. The order in which a cloud lists interfaces, secondary addresses and
 * networks says nothing; which address is the primary one does.
 */
export function sameTopology(a: Topology, b: Topology): boolean {
  return fingerprint(a) === fingerprint(b);
}

/** What changed for those who bind and advertise, in words that a log line can print. */
export function mappingChanges(before: Topology | undefined, after: Topology): MappingChange[] {
  const old = mappingsOf(before);
  const now = mappingsOf(after);
  const changes: MappingChange[] = [];
  for (const [privateAddress, mapping] of now) {
    const previous = old.get(privateAddress);
    if (previous && previous.publicAddress === mapping.publicAddress) continue;
    changes.push({
      kind: previous ? 'remapped' : 'added',
      privateAddress,
      ...(previous?.publicAddress !== undefined && { before: previous.publicAddress }),
      ...(mapping.publicAddress !== undefined && { after: mapping.publicAddress }),
    });
  }
  for (const [privateAddress, { publicAddress }] of old) {
    if (now.has(privateAddress)) continue;
    changes.push({
      kind: 'removed',
      privateAddress,
      ...(publicAddress !== undefined && { before: publicAddress }),
    });
  }
  return changes;
}

function mappingsOf(topology: Topology | undefined): Map<string, AddressMapping> {
  const mappings = (topology?.interfaces ?? []).flatMap((nic) => nic.addresses);
  return new Map(mappings.map((mapping) => [mapping.privateAddress, mapping]));
}

function fingerprint(topology: Topology): string {
  const interfaces = topology.interfaces.map((nic) => {
    const [primary, ...secondary] = nic.addresses.map((mapping) => [
      mapping.privateAddress,
      mapping.publicAddress,
      mapping.provenance,
      mapping.publicUnknown,
      mapping.disagreements,
    ]);
    const { mac, id, osName, subnets, mtu } = nic;
    return JSON.stringify([mac, id, osName, primary, secondary.sort(), subnets.toSorted(), mtu]);
  });
  const options = Object.entries(topology.options ?? {}).sort();
  const { provider, localNetworks, notes } = topology;
  return JSON.stringify([provider, interfaces.sort(), localNetworks.toSorted(), options, notes]);
}
