import type { StunVerdict } from './stun-verdict.ts';
import type { AddressMapping, Topology } from './topology.ts';

export type StunVerdicts = ReadonlyMap<string, StunVerdict>;

/** The private addresses of which the cloud says itself that it does not know what stands in front of them. */
export function unknownAddresses(topology: Topology): string[] {
  return topology.interfaces.flatMap((nic) =>
    nic.addresses.flatMap(({ privateAddress, publicUnknown }) => (publicUnknown ? [privateAddress] : [])),
  );
}

/** What is held of each unknown address now. Who once had an answer keeps it while there is none: silence says nothing. */
export function heldVerdicts(
  unknown: readonly string[],
  now: StunVerdicts,
  before: StunVerdicts,
): Map<string, StunVerdict> {
  return new Map(
    unknown.flatMap((address) => {
      const fresh = now.get(address);
      const held = fresh?.kind === 'silent' ? (before.get(address) ?? fresh) : fresh;
      return held ? [[address, held] as const] : [];
    }),
  );
}

/** The topology with what STUN saw, and a sentence about each address that it was asked about. */
export function filledTopology(topology: Topology, verdicts: StunVerdicts, isOn: boolean): Topology {
  const unknown = unknownAddresses(topology);
  if (unknown.length === 0) return topology;
  return {
    ...topology,
    interfaces: topology.interfaces.map((nic) => ({
      ...nic,
      addresses: nic.addresses.map((mapping) =>
        mapping.publicUnknown ? filled(mapping, verdicts.get(mapping.privateAddress)) : mapping,
      ),
    })),
    notes: [
      ...(topology.notes ?? []),
      ...unknown.flatMap((address) => noteOf(address, verdicts.get(address), isOn) ?? []),
    ],
  };
}

function filled(mapping: AddressMapping, verdict: StunVerdict | undefined): AddressMapping {
  const { publicUnknown: _, ...known } = mapping;
  if (verdict?.kind === 'mapped') {
    return { ...known, publicAddress: verdict.publicAddress, provenance: 'stun' };
  }
  return verdict?.kind === 'none' ? { ...known, provenance: 'stun' } : mapping;
}

function noteOf(address: string, verdict: StunVerdict | undefined, isOn: boolean): string | undefined {
  const remedy = `Name the public address with --listen 'udp:${address} as PUBLIC' or --advertise PUBLIC`;
  switch (verdict?.kind) {
    case 'mapped':
      return `${address} is advertised as ${verdict.publicAddress}, as ${verdict.by} see it. Should that be a NAT gateway of several machines, say --stun off.`;
    case 'none':
      return `Nothing stands in front of ${address}: STUN servers see it as it is.`;
    case 'shared':
      return `${address} leaves by a NAT gateway that is not its own (${verdict.why}), so the gateway's address is not advertised and nobody outside reaches ${address}. Give the machine a public address, or: ${remedy}.`;
    case 'silent':
      return `What stands in front of ${address} is not known, so nothing is advertised for it: ${verdict.why}. ${remedy}, or other servers with --stun; they are asked again.`;
    case 'aside':
      return verdict.warning;
    case undefined:
      return `What stands in front of ${address} is not known, so nothing is advertised for it${isOn ? '' : ', and STUN is off'}. ${remedy}.`;
  }
}
