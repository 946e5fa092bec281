import type { Finding } from '../../src/discovery/finding.ts';
import type { GroupRule } from './api-answer.ts';
import { allPorts, callerPorts, type PortRange, showPorts, within, without } from './port-range.ts';
import { everywhere, onePerInterface, type Target } from './target.ts';

const MAX_SHOWN = 8;

/**
 * Whether the groups of each target's interface let the internet in. Groups only allow, and all of an
 * interface's groups count together (EC2 user guide, "Security group rules").
 */
export function securityGroupFindings(targets: readonly Target[], rules: readonly GroupRule[]): Finding[] {
  return [
    ...targets.map((target) => inbound(target, rules)),
    ...onePerInterface(targets).map((target) => outbound(target, rules)),
  ];
}

function inbound(target: Target, rules: readonly GroupRule[]): Finding {
  const { eni, family, protocol, ports, subject } = target;
  const { guarded, closed, peers } = coverage(target, ports, rules, false);
  const what = `${protocol} ${showPorts([ports])}`;
  const groups = eni.groups.join(', ') || 'no group';
  const finding = { check: 'security-group', subject } as const;
  if (guarded.length === 0) {
    const evidence = `${groups} of ${eni.id} let in ${what} from ${everywhere(family)}.`;
    return { ...finding, verdict: 'pass', evidence };
  }
  if (closed.length === 0) {
    return {
      ...finding,
      verdict: 'warn',
      evidence: `${groups} of ${eni.id} let in ${protocol} ${showPorts(guarded)} not from ${everywhere(family)}, but from ${peers} alone.`,
      remedy: `If others shall reach it too: ${authorize(target, guarded, 'ingress')}`,
    };
  }
  const missing = `${protocol} ${showPorts(closed)}`;
  const narrower = peers === '' ? '' : ` What is let in, is from ${peers}.`;
  return {
    ...finding,
    verdict: 'fail',
    evidence: `${groups} of ${eni.id} let in nothing on ${missing} over ${family === 'ipv4' ? 'IPv4' : 'IPv6'}.${narrower}`,
    remedy: authorize(target, closed, 'ingress'),
  };
}

/** Answers go out by themselves, since groups remember connections; what we begin ourselves needs a rule. */
function outbound(target: Target, rules: readonly GroupRule[]): Finding {
  const { eni, family } = target;
  const { guarded, peers } = coverage({ ...target, protocol: 'udp' }, callerPorts, rules, true);
  const finding = { check: 'security-group-outbound', subject: `${eni.id} ${everywhere(family)}` } as const;
  const what = `udp ${showPorts([callerPorts])}`;
  const groups = eni.groups.join(', ') || 'no group';
  if (guarded.length === 0)
    return { ...finding, verdict: 'pass', evidence: `${groups} let out ${what} to ${everywhere(family)}.` };
  const only = peers === '' ? '' : ` Some is let out to ${peers}.`;
  return {
    ...finding,
    verdict: 'warn',
    evidence: `${groups} do not let out ${what} to ${everywhere(family)}: calls that leave from here, and media to a caller who has not sent any yet, are dropped.${only}`,
    remedy: authorize({ ...target, protocol: 'udp' }, guarded, 'egress'),
  };
}

interface Coverage {
  /** Ports that are not open to everybody. */
  readonly guarded: readonly PortRange[];
  /** Ports that are open to nobody. */
  readonly closed: readonly PortRange[];
  /** To whom else ports are open. */
  readonly peers: string;
}

function coverage(
  { eni, family, protocol }: Target,
  ports: PortRange,
  rules: readonly GroupRule[],
  egress: boolean,
): Coverage {
  const numbers = { udp: '17', tcp: '6' };
  const applying = rules.filter(
    (rule) =>
      rule.egress === egress &&
      eni.groups.includes(rule.groupId) &&
      ['-1', protocol, numbers[protocol]].includes(rule.protocol) &&
      within([ports], rangeOf(rule)).length > 0 &&
      // A CIDR counts for its own family; groups and prefix lists may hold either.
      (!rule.peer.includes('/') || rule.peer.includes(':') === (family === 'ipv6')),
  );
  const wide = applying.filter((rule) => rule.peer === everywhere(family));
  const narrow = applying.filter((rule) => rule.peer !== everywhere(family));
  const leftByWide = wide.reduce((left, rule) => without(left, rangeOf(rule)), [ports] as PortRange[]);
  const closed = narrow.reduce((left, rule) => without(left, rangeOf(rule)), leftByWide);
  const peers = [...new Set(narrow.map((rule) => rule.peer))];
  const rest = peers.length > MAX_SHOWN ? ` and ${peers.length - MAX_SHOWN} more` : '';
  return { guarded: leftByWide, closed, peers: peers.slice(0, MAX_SHOWN).join(', ') + rest };
}

function rangeOf({ protocol, from, to }: GroupRule): PortRange {
  return protocol === '-1' || from < 0 ? allPorts : { from, to };
}

function authorize(
  { eni, family, protocol }: Target,
  ranges: readonly PortRange[],
  direction: 'ingress' | 'egress',
): string {
  const peers = family === 'ipv4' ? 'IpRanges=[{CidrIp=0.0.0.0/0}]' : 'Ipv6Ranges=[{CidrIpv6=::/0}]';
  const permissions = ranges.map(
    ({ from, to }) => `'IpProtocol=${protocol},FromPort=${from},ToPort=${to},${peers}'`,
  );
  return `aws ec2 authorize-security-group-${direction} --group-id ${eni.groups[0] ?? 'GROUP'} --ip-permissions ${permissions.join(' ')}`;
}
