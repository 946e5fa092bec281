import type { Finding } from '../discovery/finding.ts';
import type { AddressMapping, NetworkInterface } from '../discovery/topology.ts';
import { familyOf, normalizeHost } from '../net/address.ts';
import { parseCidr } from '../net/cidr.ts';
import type { Patient } from './patient.ts';

const check = 'bound-address';

/** Whether the operating system has every address that the cloud gave to this machine. */
export function checkBoundAddresses({ topology, context }: Patient): Finding[] {
  if (!topology) return [];
  const owned = new Set(
    context.facts.interfaces.flatMap((nic) => nic.addresses.map(({ address }) => normalizeHost(address))),
  );
  const findings = topology.interfaces.flatMap((nic) =>
    nic.addresses
      .filter(({ privateAddress }) => !owned.has(normalizeHost(privateAddress)))
      .map((mapping) => missing(mapping, nic)),
  );
  if (findings.length > 0) return findings;
  const count = topology.interfaces.reduce((sum, nic) => sum + nic.addresses.length, 0);
  const evidence = `The operating system has ${count === 1 ? 'the one address' : `all ${count} addresses`} that ${topology.provider} tells.`;
  return [{ check, verdict: 'pass', evidence }];
}

function missing({ privateAddress, publicAddress }: AddressMapping, nic: NetworkInterface): Finding {
  const lost = publicAddress === undefined ? '' : `, so nobody answers at ${publicAddress}`;
  if (nic.osName === undefined) {
    return {
      check,
      subject: privateAddress,
      // Without a public address it may be meant for something else, a container for instance.
      verdict: publicAddress === undefined ? 'warn' : 'fail',
      evidence: `The operating system shows no interface with MAC ${nic.mac} that is up, which has ${privateAddress} according to the cloud${lost}.`,
      remedy: `Find it with "ip link" by its MAC and bring it up: ip link set NAME up, then ip address add ${privateAddress}/${prefixOf(privateAddress, nic)} dev NAME`,
    };
  }
  return {
    check,
    subject: privateAddress,
    verdict: publicAddress === undefined ? 'warn' : 'fail',
    evidence: `${nic.osName} has ${privateAddress} according to the cloud, but not in the operating system${lost}.`,
    remedy: `Configure it; the running agent takes it up by itself:\n  ip address add ${privateAddress}/${prefixOf(privateAddress, nic)} dev ${nic.osName}`,
  };
}

function prefixOf(address: string, { subnets }: NetworkInterface): string {
  const subnet = subnets.find((cidr) => parseCidr(cidr)?.contains(address));
  return subnet?.split('/')[1] ?? (familyOf(address) === 'ipv4' ? '32' : '128');
}
