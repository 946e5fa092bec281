import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Finding } from '../../src/discovery/finding.ts';
import type { AddressMapping, NetworkInterface, Topology } from '../../src/discovery/topology.ts';
import type { Machine, Patient, PatientConfiguration } from '../../src/doctor/patient.ts';
import type { Family } from '../../src/net/address.ts';
import type { Listener } from '../../src/net/listener.ts';
import type { OsInterface } from '../../src/net/os-interfaces.ts';
import type { Route } from '../../src/net/routes.ts';
import { ManualClock } from '../support/manual-clock.ts';

export const pair: readonly AddressMapping[] = [
  { privateAddress: '10.0.0.15', publicAddress: '203.0.113.5', provenance: 'imds' },
  { privateAddress: '10.0.1.15', publicAddress: '203.0.113.7', provenance: 'imds' },
];

/** Two interfaces with one address each, as most tests want it. */
export function twoCards(addresses: readonly AddressMapping[] = pair): Topology {
  const nics = ['ens5', 'ens6'].map(
    (osName, index): NetworkInterface => ({
      osName,
      mac: `02:00:00:00:00:0${index}`,
      addresses: addresses.filter(({ privateAddress }) => privateAddress.startsWith(`10.0.${index}.`)),
      subnets: [`10.0.${index}.0/24`],
    }),
  );
  return { provider: 'ec2', interfaces: nics, localNetworks: ['10.0.0.0/16'] };
}

export function osInterface(name: string, address: string, prefixLength = 24): OsInterface {
  const family: Family = address.includes(':') ? 'ipv6' : 'ipv4';
  return { name, mac: '02:00:00:00:00:00', internal: false, addresses: [{ address, prefixLength, family }] };
}

export function udp(address: string, advertised?: string, port = 5060): Listener {
  return {
    transport: 'udp',
    bound: { address, port: 5060 },
    advertised: advertised === undefined ? undefined : { address: advertised, port },
  };
}

export interface FakePatient extends Partial<Omit<Patient, 'configuration' | 'machine'>> {
  readonly configuration?: Partial<PatientConfiguration>;
  readonly machine?: Partial<Machine>;
  readonly interfaces?: readonly OsInterface[];
  readonly dmi?: Readonly<Record<string, string>>;
}

/** A machine of EC2 with two interfaces on which all is well, but for what is given. */
export function fakePatient(fake: FakePatient = {}): Patient {
  const { configuration, machine, interfaces, dmi, ...rest } = fake;
  return {
    context: {
      facts: {
        dmi: dmi ?? { sys_vendor: 'Amazon EC2' },
        interfaces: interfaces ?? [osInterface('ens5', '10.0.0.15'), osInterface('ens6', '10.0.1.15')],
      },
      clock: new ManualClock(),
      log: { debug: () => {}, info: () => {}, warn: () => {} },
      env: {},
      configuration: undefined,
    },
    providers: [],
    warnings: [],
    topology: twoCards(),
    exchanges: [],
    listeners: [],
    configuration: {
      provider: 'auto',
      aliases: [],
      rtpPorts: { from: 10_000, to: 20_000 },
      stateDirectory: '/nonexistent',
      media: 'auto',
      udp: 'auto',
      ...configuration,
    },
    machine: {
      root: '/nonexistent',
      uid: 0,
      routeFrom: (source) => ownWay[source],
      routingRules: () => [{ priority: 32_766, table: 254 }],
      resolve: () => Promise.reject(new Error('no such name')),
      ...machine,
    },
    ...rest,
  };
}

const ownWay: Readonly<Record<string, Route>> = {
  '10.0.0.15': { device: 'ens5', gateway: '10.0.0.1', table: 254 },
  '10.0.1.15': { device: 'ens6', gateway: '10.0.1.1', table: 106 },
};

/** Files of a machine below `root`, by path. */
export function layOut(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

/** `VERDICT SUBJECT` of each finding. */
export function judged(findings: readonly Finding[]): string[] {
  return findings.map(({ verdict, subject }) => (subject === undefined ? verdict : `${verdict} ${subject}`));
}
