import type { Examination, Finding } from '../../src/discovery/finding.ts';
import type { Family } from '../../src/net/address.ts';
import type { RouteTable } from './api-answer.ts';
import { everywhere, listenerSubject, onePerInterface, type Target } from './target.ts';

/**
 * Whether what leaves a public address goes through the gateway that translates it. By any other way it leaves
 * with another source, or not at all.
 */
export function publicRouteFindings(targets: readonly Target[], tables: readonly RouteTable[]): Finding[] {
  return onePerInterface(targets)
    .filter(isPublic)
    .map((target) => judge(target, tables));
}

/** Listeners without any public address, which nobody on the internet reaches. */
export function publicAddressFindings({ listeners }: Examination, targets: readonly Target[]): Finding[] {
  const addresses = targets.flatMap(({ eni }) => eni.addresses.map((address) => ({ eni, ...address })));
  return listeners.flatMap((listener): Finding[] => {
    const { address, advertised } = listener;
    const found = addresses.find(({ privateAddress }) => privateAddress === address);
    if (!found) return [];
    const finding = { check: 'public-address', subject: listenerSubject(listener) } as const;
    if (found.publicAddress !== undefined) {
      const evidence = `${found.publicAddress} stands in front of ${address}.`;
      return [{ ...finding, verdict: 'pass', evidence }];
    }
    if (advertised !== undefined) {
      const evidence = `No public address stands in front of ${address}; it is advertised as ${advertised}, which the EC2 API cannot judge.`;
      return [{ ...finding, verdict: 'skip', evidence }];
    }
    return [
      {
        ...finding,
        verdict: 'warn',
        evidence: `No public address stands in front of ${address}: the internet does not reach it.`,
        remedy: `If it shall be reached: aws ec2 associate-address --network-interface-id ${found.eni.id} --private-ip-address ${address} --allocation-id $(aws ec2 allocate-address --query AllocationId --output text)`,
      },
    ];
  });
}

function isPublic({ eni, family }: Target): boolean {
  return family === 'ipv6' || eni.addresses.some(({ publicAddress }) => publicAddress !== undefined);
}

function judge({ eni, family }: Target, tables: readonly RouteTable[]): Finding {
  const to = everywhere(family);
  const finding = { check: 'public-route', subject: `${eni.subnetId} ${to}` } as const;
  const table =
    tables.find(({ subnetIds }) => subnetIds.includes(eni.subnetId)) ??
    tables.find(({ main, vpcId }) => main && vpcId === eni.vpcId);
  if (!table) {
    return { ...finding, verdict: 'skip', evidence: `The API told no route table of ${eni.subnetId}.` };
  }
  const where = `${table.id} of ${eni.subnetId}`;
  const route = table.routes.find((candidate) => candidate.to === to);
  const remedy = remedyFor(table, route !== undefined, family);
  if (!route) {
    return { ...finding, verdict: 'fail', evidence: `${where} has no route to ${to}.`, remedy };
  }
  if (!route.active) {
    const evidence = `${where} sends ${to} to ${route.target}, which is gone (blackhole).`;
    return { ...finding, verdict: 'fail', evidence, remedy };
  }
  if (/^(igw|cagw)-/.test(route.target)) {
    return { ...finding, verdict: 'pass', evidence: `${where} sends ${to} to ${route.target}.` };
  }
  if (/^(nat|eigw)-/.test(route.target)) {
    const how =
      family === 'ipv4' ? 'so answers leave with the address of the NAT gateway' : 'which lets nobody in';
    return {
      ...finding,
      verdict: 'fail',
      evidence: `${where} sends ${to} to ${route.target}, ${how}.`,
      remedy,
    };
  }
  return {
    ...finding,
    verdict: 'warn',
    evidence: `${where} sends ${to} to ${route.target}, which is no internet gateway: whether it keeps the public address, the EC2 API does not tell.`,
    remedy: `If nothing there is meant to look at the traffic: ${remedy}`,
  };
}

function remedyFor({ id, vpcId }: RouteTable, replace: boolean, family: Family): string {
  const destination = `--destination-${family === 'ipv4' ? 'cidr-block' : 'ipv6-cidr-block'} ${everywhere(family)}`;
  const gateway = `$(aws ec2 describe-internet-gateways --filters Name=attachment.vpc-id,Values=${vpcId} --query 'InternetGateways[0].InternetGatewayId' --output text)`;
  return `aws ec2 ${replace ? 'replace' : 'create'}-route --route-table-id ${id} ${destination} --gateway-id ${gateway}`;
}
