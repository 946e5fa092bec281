import type { Writable } from 'node:stream';
import type { AddressMapping, Claim, Topology } from '../discovery/topology.ts';
import { formatEndpoint, normalizeHost } from '../net/address.ts';
import { type Listener, listenerKey } from '../net/listener.ts';
import {
  askCloud,
  type CloudQuestion,
  listenersFor,
  type PlannedListeners,
  questionContext,
} from './cloud-question.ts';
import { columns } from './columns.ts';
import type { Configuration } from './configuration.ts';
import { localNetworksText, provenanceText } from './status-table.ts';

export interface DiscoverInvocation {
  readonly configuration: Configuration;
  readonly arguments: readonly string[];
  readonly warnings: readonly string[];
}

export interface DiscoverIo extends Omit<CloudQuestion, 'configuration'> {
  readonly stdout: Writable;
}

/**
 * `cloudsip discover`: what the agent would find and where it would listen. Returns the exit code: 0, or 1 where
 * no listener can be planned. Rejects with a `DiscoveryError` where the cloud gives no answer.
 */
export async function runDiscoverCommand(invocation: DiscoverInvocation, io: DiscoverIo): Promise<number> {
  const { configuration } = invocation;
  const question: CloudQuestion = { ...io, configuration };
  const context = questionContext(question);
  const startedAt = performance.now();
  const topology = await askCloud(question, context);
  const askedMs = Math.round(performance.now() - startedAt);
  const planned = listenersFor(topology, configuration, context);
  const warnings = [...invocation.warnings, ...planned.warnings];
  const found: Found = { topology, localNetworks: configuration.localNetworks, askedMs, planned, warnings };
  io.stdout.write(
    invocation.arguments.includes('--json')
      ? `${JSON.stringify(discoveryJson(found), null, 2)}\n`
      : discoveryText(found),
  );
  if (!planned.error) return 0;
  io.stderr.write(`cloudsip: ${planned.error.message}\n`);
  return 1;
}

export interface Found {
  readonly topology: Topology;
  /** Configured ones, besides those of the topology. */
  readonly localNetworks: readonly string[];
  readonly askedMs: number;
  readonly planned: PlannedListeners;
  readonly warnings: readonly string[];
}

/** The shape that docs/doctor.md promises: every key is there, and nothing is null but what is unknown. */
export function discoveryJson({ topology, localNetworks, askedMs, planned, warnings }: Found): object {
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
    localNetworks: [...topology.localNetworks, ...localNetworks],
    options: topology.options ?? {},
    notes: topology.notes ?? [],
    warnings,
  };
}

/** The same for a person. */
export function discoveryText({ topology, localNetworks, askedMs, planned, warnings }: Found): string {
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
  ];
  const options = Object.entries(topology.options ?? {});
  return [
    `${topology.provider}, asked in ${askedMs} ms`,
    '',
    ...columns([['interface', 'private', 'public', 'where from', 'listener'], ...rows]),
    '',
    `Local networks: ${localNetworksText({ ...topology, localNetworks: [...topology.localNetworks, ...localNetworks] })}`,
    ...(options.length > 0
      ? [`Options of tags: ${options.map(([name, value]) => `${name}=${value}`).join(', ')}`]
      : []),
    ...(notes.length > 0 ? ['', ...notes.map((note) => `! ${note}`)] : []),
    '',
  ].join('\n');
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
