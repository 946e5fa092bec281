import type { Writable } from 'node:stream';
import type { AddressMapping, Claim } from '../discovery/topology.ts';
import { formatEndpoint, normalizeHost } from '../net/address.ts';
import { type Listener, listenerKey } from '../net/listener.ts';
import {
  askCloud,
  type CloudAnswer,
  type CloudInvocation,
  type CloudIo,
  cloudContext,
} from './cloud-question.ts';
import { columns } from './columns.ts';
import { harmless, harmlessInLine } from './harmless.ts';
import { localNetworksText, provenanceText } from './status-table.ts';

export interface DiscoverIo extends CloudIo {
  readonly stdout: Writable;
}

/**
 * `cloudsip discover`: what the agent would find and where it would listen. Returns the exit code: 0, or 1 where
 * no listener can be planned. Rejects with a `DiscoveryError` where the cloud gives no answer.
 */
export async function runDiscoverCommand(invocation: CloudInvocation, io: DiscoverIo): Promise<number> {
  const startedAt = performance.now();
  const answer = await askCloud(invocation, io, cloudContext(invocation, io));
  const found: Found = { ...answer, askedMs: Math.round(performance.now() - startedAt) };
  io.stdout.write(
    invocation.arguments.includes('--json')
      ? `${JSON.stringify(discoveryJson(found), null, 2)}\n`
      : discoveryText(found),
  );
  const { error } = answer.planned;
  if (!error) return 0;
  io.stderr.write(`cloudsip: ${harmless(error.message)}\n`);
  return 1;
}

interface Found extends CloudAnswer {
  readonly askedMs: number;
}

/** The shape that docs/doctor.md promises: every key is there, and nothing is null but what is unknown. */
function discoveryJson({ topology, configuration, askedMs, planned, warnings }: Found): object {
  return {
    provider: topology.provider,
    askedMs,
    interfaces: topology.interfaces.map((nic) => ({
      name: nic.osName ?? null,
      mac: nic.mac,
      id: nic.id ?? null,
      mtu: nic.mtu ?? null,
      subnets: nic.subnets,
      addresses: nic.addresses.map((address) => ({
        private: address.privateAddress,
        public: address.publicAddress ?? null,
        publicUnknown: address.publicUnknown ?? false,
        from: address.provenance,
        disagreements: (address.disagreements ?? []).map(({ provenance, publicAddress }) => ({
          from: provenance,
          public: publicAddress ?? null,
        })),
        listeners: listenersOf(address, planned.listeners).map(listenerKey),
      })),
    })),
    listeners: planned.listeners.map((listener) => ({
      transport: listener.transport,
      bound: formatEndpoint(listener.bound),
      advertised: listener.advertised ? formatEndpoint(listener.advertised) : null,
    })),
    localNetworks: [...topology.localNetworks, ...configuration.localNetworks],
    options: topology.options ?? {},
    notes: topology.notes ?? [],
    warnings: [...warnings, ...planned.warnings],
  };
}

/** The same for a person. */
function discoveryText({ topology, configuration, askedMs, planned, warnings }: Found): string {
  const localNetworks = [...topology.localNetworks, ...configuration.localNetworks];
  const rows = topology.interfaces.flatMap((nic) =>
    nic.addresses.map((address, index) => [
      index === 0 ? (nic.osName ?? nic.id ?? nic.mac) : '',
      address.privateAddress,
      publicText(address),
      provenanceText[address.provenance],
      listenersOf(address, planned.listeners).map(listenerText(address)).join(', ') || '-',
    ]),
  );
  const disagreements = topology.interfaces.flatMap((nic) =>
    nic.addresses.flatMap((address) =>
      (address.disagreements ?? []).map(
        (claim) =>
          `${address.privateAddress}: ${claimText(address)}, but ${claimText(claim)}; the former is used.`,
      ),
    ),
  );
  const unknown = topology.interfaces.flatMap((nic) =>
    nic.addresses.flatMap(({ privateAddress, publicUnknown }) => (publicUnknown ? [privateAddress] : [])),
  );
  const notes = [
    ...disagreements,
    ...(unknown.length > 0
      ? [
          `What stands in front of ${unknown.join(', ')} could not be found out: name it with --listen 'udp:ADDRESS as PUBLIC' or --advertise.`,
        ]
      : []),
    ...(topology.notes ?? []),
    ...warnings,
    ...planned.warnings,
  ];
  const options = Object.entries(topology.options ?? {});
  const lines = [
    `${topology.provider}, asked in ${askedMs} ms`,
    '',
    ...columns([['interface', 'private', 'public', 'where from', 'listener'], ...rows]),
    '',
    `Local networks: ${localNetworksText({ ...topology, localNetworks })}`,
    ...(options.length > 0
      ? [`Options of tags: ${options.map(([name, value]) => `${name}=${value}`).join(', ')}`]
      : []),
    ...(notes.length > 0 ? ['', ...notes.map((note) => `! ${note}`)] : []),
    '',
  ];
  return lines.map(harmlessInLine).join('\n');
}

function publicText({ publicAddress, publicUnknown }: AddressMapping): string {
  return publicAddress ?? (publicUnknown ? 'unknown' : 'none');
}

function claimText({ provenance, publicAddress }: Claim): string {
  return `${provenanceText[provenance]} says ${publicAddress ?? 'that no public address stands in front'}`;
}

function listenersOf({ privateAddress }: AddressMapping, listeners: readonly Listener[]): Listener[] {
  const address = normalizeHost(privateAddress);
  return listeners.filter(({ bound }) => normalizeHost(bound.address) === address);
}

/** `udp 5060`, and what it advertises where that is not the public address in front of it. */
function listenerText({ publicAddress }: AddressMapping): (listener: Listener) => string {
  return ({ transport, bound, advertised }) => {
    const plain =
      advertised === undefined
        ? publicAddress === undefined
        : advertised.address === publicAddress && (advertised.port === bound.port || advertised.port === 0);
    const as = advertised ? `as ${formatEndpoint(advertised)}` : 'as itself';
    return `${transport} ${bound.port}${plain ? '' : ` ${as}`}`;
  };
}
