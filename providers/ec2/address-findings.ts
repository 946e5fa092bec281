import type { Finding } from '../../src/discovery/finding.ts';
import type { AddressMapping, Topology } from '../../src/discovery/topology.ts';
import type { ApiInterface } from './api-answer.ts';
import { mappingsOf, withApi } from './api-topology.ts';

/** Whether metadata and the API say the same of every private address. */
export function addressFindings(topology: Topology, interfaces: readonly ApiInterface[]): Finding[] {
  const here = topology.interfaces.flatMap((nic) => nic.addresses);
  const fromMetadata = here.filter(({ provenance }) => provenance === 'imds');
  if (fromMetadata.length === 0) {
    const evidence = 'Metadata told no address, so there is nothing to compare the API with.';
    return [{ check: 'api-addresses', verdict: 'skip', evidence }];
  }
  const told = new Map(interfaces.flatMap(mappingsOf).map((mapping) => [mapping.privateAddress, mapping]));
  const merged = withApi(topology, interfaces).interfaces.flatMap((nic) => nic.addresses);
  const known = new Set(here.map(({ privateAddress }) => privateAddress));
  return [
    ...fromMetadata.map(({ privateAddress }) =>
      compare(merged.find((mapping) => mapping.privateAddress === privateAddress)!, told),
    ),
    ...[...told.values()].filter(({ privateAddress }) => !known.has(privateAddress)).map(onlyInApi),
  ];
}

function compare(mapping: AddressMapping, told: ReadonlyMap<string, AddressMapping>): Finding {
  const { privateAddress, publicAddress, disagreements = [] } = mapping;
  const finding = { check: 'api-addresses', subject: privateAddress } as const;
  if (!told.has(privateAddress)) {
    return {
      ...finding,
      verdict: 'warn',
      evidence: `Metadata has ${privateAddress}, the EC2 API does not: the address was taken away moments ago, or the interface belongs to another account.`,
      remedy:
        'Run this again in a minute. An interface of another account is examined with the rights of that account.',
    };
  }
  const claim = disagreements.find(({ provenance }) => provenance === 'imds');
  if (!claim) {
    const front = publicAddress === undefined ? 'no public address' : publicAddress;
    const evidence = `Metadata and the EC2 API agree: ${front} in front of ${privateAddress}.`;
    return { ...finding, verdict: 'pass', evidence };
  }
  return {
    ...finding,
    verdict: 'warn',
    evidence: `Metadata says ${claim.publicAddress ?? 'none'}, the EC2 API says ${publicAddress ?? 'none'} stands in front of ${privateAddress}.`,
    remedy: `Metadata follows a change with some delay: run this again in a minute. If it stays so, say what is right: --listen 'udp:${privateAddress}:5060 as ${publicAddress ?? privateAddress}'`,
  };
}

function onlyInApi({ privateAddress }: AddressMapping): Finding {
  return {
    check: 'api-addresses',
    subject: privateAddress,
    verdict: 'warn',
    evidence: `The EC2 API has ${privateAddress}, metadata does not: nothing listens on it.`,
    remedy: 'It was added moments ago: run this again in a minute.',
  };
}
