import { readFileSync } from 'node:fs';
import { gcp } from '../../../providers/gcp.ts';
import type { DiscoveryError } from '../../../src/discovery/discovery-error.ts';
import type { DiscoveryContext } from '../../../src/discovery/provider.ts';
import type { NetworkInterface, Topology } from '../../../src/discovery/topology.ts';
import type { Clock } from '../../../src/net/clock.ts';
import type { OsInterface } from '../../../src/net/os-interfaces.ts';
import { startFakeGce } from '../../support/fake-gce.ts';
import { type GceNic, type GceTree, gceDocument, parseGceDocument } from '../../support/fake-gce-document.ts';
import { ImpatientClock } from '../../support/impatient-clock.ts';
import { quietLog } from '../../support/quiet-log.ts';

export const NIC: GceNic = {
  mac: '42:01:0a:00:00:0f',
  ip: '10.0.0.15',
  subnetmask: '255.255.255.0',
  external: '203.0.113.5',
};
export const ONE_NIC: GceTree = gceDocument({ nics: [NIC] });

export interface Surroundings {
  readonly interfaces?: readonly OsInterface[];
  readonly clock?: Clock;
  readonly env?: Record<string, string | undefined>;
}

export function contextOf(
  url: string,
  { interfaces = [], clock, env }: Surroundings = {},
): DiscoveryContext & { readonly log: ReturnType<typeof quietLog> } {
  return {
    facts: { dmi: {}, interfaces },
    // The retries' waits, but neither the connect time-out (1 s) nor the call's (5 s).
    clock: clock ?? new ImpatientClock(900),
    log: quietLog(),
    env: { GCE_METADATA_HOST: url.replace('http://', ''), ...env },
    configuration: undefined,
  };
}

export async function discoverFrom(document: GceTree, surroundings?: Surroundings): Promise<Topology> {
  await using gce = await startFakeGce(document);
  return await gcp.discover(contextOf(gce.url, surroundings), new AbortController().signal);
}

export async function failureOf(promise: Promise<unknown>): Promise<DiscoveryError> {
  try {
    await promise;
  } catch (error) {
    return error as DiscoveryError;
  }
  throw new Error('it succeeded');
}

export function recording(name: string): GceTree {
  const path = new URL(`../../fixtures/metadata/gcp/${name}`, import.meta.url);
  return parseGceDocument(readFileSync(path, 'utf8'));
}

export function os(name: string, mac: string, ...addresses: string[]): OsInterface {
  return {
    name,
    mac,
    internal: name === 'lo',
    addresses: addresses.map((address) => ({
      address,
      prefixLength: address.includes(':') ? 128 : 32,
      family: address.includes(':') ? 'ipv6' : 'ipv4',
    })),
  };
}

/** `private → public` for each address. */
export function pairs(nic: NetworkInterface | undefined): string[] {
  return (nic?.addresses ?? []).map(({ privateAddress, publicAddress }) =>
    publicAddress === undefined ? privateAddress : `${privateAddress} → ${publicAddress}`,
  );
}
