import type { Examination, ExaminedListener, Finding } from '../../src/discovery/finding.ts';
import type { NetworkInterface } from '../../src/discovery/topology.ts';
import { type Family, familyOf, formatEndpoint } from '../../src/net/address.ts';
import { scopeOf } from '../../src/net/address-scope.ts';
import type { ApiInstance, GcpAnswer } from './api-answer.ts';
import { type DecidingRule, type FirewallVerdict, judge, type Traffic } from './firewall.ts';

interface Wanted {
  readonly subject: string;
  readonly protocol: 'udp' | 'tcp';
  readonly ports: { readonly from: number; readonly to: number };
  readonly source: string;
  readonly destination: string;
  readonly interfaceName: string;
}

const EVERYBODY: Readonly<Record<Family, string>> = { ipv4: '0.0.0.0/0', ipv6: '::/0' };

/** What the firewall in force does to each listener, and to media at each address that has one. */
export function firewallFindings(
  instance: ApiInstance,
  firewalls: NonNullable<GcpAnswer['firewalls']>,
  { topology, listeners, rtpPorts }: Examination,
): Finding[] {
  const owner = (address: string): NetworkInterface | undefined =>
    topology.interfaces.find((nic) => nic.addresses.some((each) => each.privateAddress === address));
  const wanted = listeners.flatMap((listener): Wanted[] => {
    const nic = owner(listener.address);
    if (!nic?.id) return [];
    const { address: destination, port } = listener;
    const protocol = listener.transport === 'udp' ? 'udp' : 'tcp';
    const sources = sendersTo(listener, nic);
    return sources.map((source) => ({
      subject: `${listener.transport} ${formatEndpoint({ address: destination, port })}`,
      protocol,
      ports: { from: port, to: port },
      source,
      destination,
      interfaceName: nic.id!,
    }));
  });
  const media = new Map(
    wanted.map((each) => [
      `${each.destination} ${each.source}`,
      {
        ...each,
        protocol: 'udp' as const,
        ports: rtpPorts,
        subject: `rtp ${formatEndpoint({ address: each.destination, port: rtpPorts.from })}-${rtpPorts.to}`,
      },
    ]),
  );
  return [...wanted, ...media.values()].map((each) => findingOf(each, instance, firewalls));
}

/** Everybody where the address is reached from the internet, else who is in the subnet. */
function sendersTo({ address, advertised }: ExaminedListener, nic: NetworkInterface): string[] {
  const family = familyOf(address)!;
  if (advertised !== undefined || scopeOf(address) === 'public') return [EVERYBODY[family]];
  return nic.subnets.filter((subnet) => familyOf(subnet.split('/')[0]!) === family);
}

function findingOf(
  wanted: Wanted,
  instance: ApiInstance,
  firewalls: NonNullable<GcpAnswer['firewalls']>,
): Finding {
  const { subject, interfaceName, source, destination, protocol, ports } = wanted;
  const finding = { check: 'firewall', subject } as const;
  const found = firewalls[interfaceName];
  if (!found || 'refusal' in found) {
    const why = found ? found.refusal.message : `the API tells of no interface ${interfaceName}`;
    return {
      ...finding,
      verdict: 'skip',
      evidence: `The firewall of ${interfaceName} could not be read: ${why}.`,
    };
  }
  const { tags, serviceAccounts } = instance;
  const traffic: Traffic = { protocol, ports, source, destination, tags, serviceAccounts };
  const verdicts = judge(found.value, traffic);
  const worst =
    verdicts.find(({ passage }) => passage === 'closed') ??
    verdicts.find(({ passage }) => passage === 'partly') ??
    verdicts[0]!;
  const unsure =
    found.value.policies.some(({ type }) => type.startsWith('NETWORK')) &&
    found.value.policiesFirst === undefined
      ? ' The order of policies and VPC rules could not be asked (compute.networks.get) and is taken for the usual one.'
      : '';
  const evidence = `${sentenceOf(worst, wanted)}${unsure}`;
  if (worst.passage === 'open') return { ...finding, verdict: 'pass', evidence };
  return {
    ...finding,
    verdict: worst.passage === 'closed' ? 'fail' : 'warn',
    evidence,
    remedy: remedyFor(worst, wanted, instance),
  };
}

function sentenceOf({ passage, rule, except, ports }: FirewallVerdict, wanted: Wanted): string {
  const what = `${wanted.protocol} ${range(ports)} from ${wanted.source} at ${wanted.interfaceName}`;
  const by = rule ? `by ${named(rule)}` : 'by the deny that ends every list, since no rule allows it';
  const others = except.map(
    (each) => `${named(each)} (${each.sources.slice(0, 5).join(', ') || 'by tags or lists'})`,
  );
  if (passage === 'open') {
    const kept = others.length > 0 ? `, but for ${others.join(' and ')}` : '';
    const inspected = rule?.action === 'inspect' ? ', once its security profiles have had their say' : '';
    return `${what} is let in ${by}${inspected}${kept}.`;
  }
  if (passage === 'closed') return `${what} is dropped ${by}.`;
  return `${what} is let in by ${others.join(' and ')} alone; everybody else is dropped ${by}.`;
}

function named({ name, priority, policy }: DecidingRule): string {
  const rule = `rule ${name} (priority ${priority})`;
  return policy
    ? `${rule} of the ${policy.type.toLowerCase().replace('_', ' ')} policy ${policy.name}`
    : rule;
}

/** The command that opens what is closed: before the rule that closes it, for this machine alone. */
function remedyFor(
  { rule, ports }: FirewallVerdict,
  { protocol, source, interfaceName }: Wanted,
  { tags, serviceAccounts, project, interfaces }: ApiInstance,
): string {
  if (rule?.policy) {
    return `The rule stands in a policy that goes before the network's own rules: whoever keeps it has to let this in by a rule of a smaller priority:\n  gcloud compute ${scopeOfPolicy(rule.policy.type)} rules create ${Math.max(0, rule.priority - 1)} --firewall-policy=${rule.policy.name} --direction=INGRESS --action=allow --layer4-configs=${protocol}:${range(ports)} --src-ip-ranges=${source}`;
  }
  const url = interfaces.find(({ name }) => name === interfaceName)?.network ?? 'default';
  const [, networkProject = project] = /projects\/([^/]+)\//.exec(url) ?? [];
  const target = tags[0]
    ? ` --target-tags=${tags[0]}`
    : serviceAccounts[0]
      ? ` --target-service-accounts=${serviceAccounts[0]}`
      : '';
  const priority = rule ? ` --priority=${Math.max(0, rule.priority - 1)}` : '';
  const name = `cloudsip-${protocol}-${ports.from}${source.includes(':') ? '-ipv6' : ''}`;
  return `Let it in:\n  gcloud compute firewall-rules create ${name} --project=${networkProject} --network=${url.split('/').at(-1)} --direction=INGRESS --allow=${protocol}:${range(ports)} --source-ranges=${source}${target}${priority}`;
}

function scopeOfPolicy(type: string): string {
  return type === 'HIERARCHY' ? 'firewall-policies' : 'network-firewall-policies';
}

function range({ from, to }: { from: number; to: number }): string {
  return from === to ? String(from) : `${from}-${to}`;
}
