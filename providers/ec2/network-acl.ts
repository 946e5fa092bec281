import type { Finding } from '../../src/discovery/finding.ts';
import type { Family } from '../../src/net/address.ts';
import type { AclEntry, NetworkAcl } from './api-answer.ts';
import { allPorts, callerPorts, type PortRange, showPorts, within, without } from './port-range.ts';
import { everywhere, onePerInterface, type Target } from './target.ts';

/**
 * Whether the network ACL of each target's subnet lets packets through. ACLs remember no connection, so both
 * directions are looked at; rules count by their number and the first that fits decides (VPC user guide,
 * "Network ACL rules").
 */
export function networkAclFindings(targets: readonly Target[], acls: readonly NetworkAcl[]): Finding[] {
  const outbound = onePerInterface(targets).map((target) => ({
    ...target,
    subject: `${target.eni.subnetId} ${everywhere(target.family)}`,
    protocol: 'udp' as const,
    ports: callerPorts,
  }));
  // Interfaces in one subnet go out by one ACL.
  const subnets = [...new Map(outbound.map((target) => [target.subject, target])).values()];
  return [
    ...targets.map((target) => judge(target, acls, false)),
    ...subnets.map((target) => judge(target, acls, true)),
  ];
}

function judge(target: Target, acls: readonly NetworkAcl[], egress: boolean): Finding {
  const { eni, family, protocol, ports, subject } = target;
  const finding = { check: egress ? 'network-acl-outbound' : 'network-acl', subject } as const;
  const acl = acls.find(({ subnetIds }) => subnetIds.includes(eni.subnetId));
  if (!acl) {
    const evidence = `The API told no network ACL of ${eni.subnetId}.`;
    return { ...finding, verdict: 'skip', evidence };
  }
  const entries = acl.entries
    .filter((entry) => entry.egress === egress && applies(entry, family, protocol))
    .toSorted((a, b) => a.number - b.number);
  const { denied, partly, refused } = decide(entries, ports, family);
  const where = `${acl.id} of ${eni.subnetId}`;
  const way = egress ? 'out to' : 'in from';
  const what = `${protocol} ${showPorts([ports])}`;
  if (denied.length === 0 && refused.length === 0) {
    return { ...finding, verdict: 'pass', evidence: `${where} lets ${what} ${way} ${everywhere(family)}.` };
  }
  if (denied.length === 0) {
    return {
      ...finding,
      verdict: 'warn',
      evidence: `${where} lets ${what} ${way} ${everywhere(family)}, except ${refused.map(showEntry).join(', ')}.`,
      remedy: `If that is not meant: aws ec2 delete-network-acl-entry --network-acl-id ${acl.id} ${egress ? '--egress' : '--ingress'} --rule-number ${refused[0]!.number}`,
    };
  }
  const onlyPartly = partly.reduce((left, entry) => without(left, portsOf(entry)), denied).length === 0;
  const exceptions = partly.length === 0 ? '' : ` It lets some through: ${partly.map(showEntry).join(', ')}.`;
  return {
    ...finding,
    verdict: onlyPartly ? 'warn' : 'fail',
    evidence: `${where} does not let ${protocol} ${showPorts(denied)} ${way} ${everywhere(family)}: ${becauseOf(entries, denied)}.${exceptions}${egress ? ' Answers and media go to such ports, and an ACL remembers no connection.' : ''}`,
    remedy: denied
      .map((range) =>
        createEntry(acl, { ...target, ports: range }, egress, firstDenier(entries, range, family)),
      )
      .join(' && '),
  };
}

interface Decision {
  /** Ports that not everybody gets through on. */
  readonly denied: readonly PortRange[];
  /** Rules that let some through before. */
  readonly partly: readonly AclEntry[];
  /** Rules that refuse some, before others are let through. */
  readonly refused: readonly AclEntry[];
}

function decide(entries: readonly AclEntry[], ports: PortRange, family: Family): Decision {
  let undecided: PortRange[] = [ports];
  const denied: PortRange[] = [];
  const partly: AclEntry[] = [];
  const refused: AclEntry[] = [];
  for (const entry of entries) {
    const hit = within(undecided, portsOf(entry));
    if (hit.length === 0) continue;
    if (entry.cidr !== everywhere(family)) {
      (entry.allow ? partly : refused).push(entry);
      continue;
    }
    undecided = without(undecided, portsOf(entry));
    if (!entry.allow) denied.push(...hit);
  }
  return { denied: [...denied, ...undecided], partly, refused };
}

function applies({ cidr, protocol }: AclEntry, family: Family, wanted: 'udp' | 'tcp'): boolean {
  const numbers = { udp: '17', tcp: '6' };
  return cidr.includes(':') === (family === 'ipv6') && ['-1', numbers[wanted]].includes(protocol);
}

function portsOf({ protocol, ports }: AclEntry): PortRange {
  return protocol === '-1' || !ports ? allPorts : ports;
}

/** The rule that every ACL ends with. */
const LAST_RULE = 32767;

function firstDenier(entries: readonly AclEntry[], range: PortRange, family: Family): number {
  const found = entries.find(
    (entry) =>
      !entry.allow && entry.cidr === everywhere(family) && within([range], portsOf(entry)).length > 0,
  );
  return found?.number ?? LAST_RULE;
}

function becauseOf(entries: readonly AclEntry[], denied: readonly PortRange[]): string {
  const rule = entries.find(
    (entry) => !entry.allow && denied.some((range) => within([range], portsOf(entry)).length > 0),
  );
  if (!rule || rule.number >= LAST_RULE) return 'no rule allows it';
  return `rule ${rule.number} denies it`;
}

function showEntry(entry: AclEntry): string {
  return `rule ${entry.number} ${entry.allow ? 'allows' : 'denies'} ${entry.cidr}`;
}

/** A rule right before the one that denies. */
function createEntry(
  { id, entries }: NetworkAcl,
  { protocol, ports, family }: Target,
  egress: boolean,
  before: number,
): string {
  const taken = new Set(entries.filter((entry) => entry.egress === egress).map(({ number }) => number));
  let number = Math.min(before, LAST_RULE) - 1;
  while (number > 1 && taken.has(number)) number--;
  const source = family === 'ipv4' ? '--cidr-block 0.0.0.0/0' : '--ipv6-cidr-block ::/0';
  return `aws ec2 create-network-acl-entry --network-acl-id ${id} ${egress ? '--egress' : '--ingress'} --rule-number ${number} --protocol ${protocol} --port-range From=${ports.from},To=${ports.to} ${source} --rule-action allow`;
}
