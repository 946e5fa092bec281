import type { protos } from '@google-cloud/compute';
import { normalizeHost } from '../../src/net/address.ts';
import type {
  ApiInstance,
  ApiInterface,
  EffectiveFirewall,
  FirewallProtocol,
  FirewallRule,
} from './api-answer.ts';

type Wire = typeof protos.google.cloud.compute.v1;
type Given<Name extends keyof Wire> = InstanceType<
  Extract<Wire[Name], abstract new (...args: never) => unknown>
>;
/** The SDK's interfaces, in which everything may be absent or null. */
type Loose<Type> = { readonly [Key in keyof Type]?: Type[Key] | null };

/** Of the SDK's shapes what cloudsip goes by. */
export function instanceOf(found: Loose<Given<'Instance'>>, project: string, zone: string): ApiInstance {
  return {
    name: found.name ?? '',
    project,
    zone,
    tags: found.tags?.items ?? [],
    serviceAccounts: (found.serviceAccounts ?? []).flatMap(({ email }) => email ?? []),
    interfaces: (found.networkInterfaces ?? []).map(interfaceOf),
  };
}

function interfaceOf(nic: Loose<Given<'NetworkInterface'>>): ApiInterface {
  const external = (nic.accessConfigs ?? []).map(({ natIP }) => natIP).find((natIP) => natIP);
  const ipv6s = [
    nic.ipv6Address,
    ...(nic.ipv6AccessConfigs ?? []).map(({ externalIpv6 }) => externalIpv6),
  ].filter((address) => typeof address === 'string' && address !== '') as string[];
  return {
    name: nic.name ?? '',
    ...(nic.networkIP && { address: nic.networkIP }),
    ...(external && { external }),
    ipv6s: [...new Set(ipv6s.map(normalizeHost))],
    aliases: (nic.aliasIpRanges ?? []).flatMap(({ ipCidrRange }) => ipCidrRange ?? []),
    network: nic.network ?? '',
  };
}

export function firewallOf(found: Loose<Given<'InstancesGetEffectiveFirewallsResponse'>>): EffectiveFirewall {
  return {
    rules: (found.firewalls ?? []).flatMap(ruleOf),
    policies: (found.firewallPolicys ?? []).map((policy) => ({
      name: policy.displayName || policy.shortName || policy.name || '',
      type: String(policy.type ?? ''),
      rules: (policy.rules ?? []).flatMap(policyRuleOf),
    })),
  };
}

function ruleOf(rule: Loose<Given<'Firewall'>>): FirewallRule[] {
  if (rule.disabled || rule.direction !== 'INGRESS') return [];
  const allowed = rule.allowed ?? [];
  const listed = allowed.length > 0 ? allowed : (rule.denied ?? []);
  const sources = rule.sourceRanges ?? [];
  return [
    {
      name: rule.name ?? '',
      priority: rule.priority ?? 1000,
      action: allowed.length > 0 ? 'allow' : 'deny',
      protocols: listed.map(({ IPProtocol, ports }) => protocolOf(IPProtocol, ports)),
      sources,
      // Ranges and tags are alternatives: where ranges are given, they are the narrower half of the truth.
      sourcesNarrowed:
        sources.length === 0 &&
        [rule.sourceTags, rule.sourceServiceAccounts].some((list) => (list ?? []).length > 0),
      destinations: rule.destinationRanges ?? [],
      targetTags: rule.targetTags ?? [],
      targetServiceAccounts: rule.targetServiceAccounts ?? [],
    },
  ];
}

function policyRuleOf(rule: Loose<Given<'FirewallPolicyRule'>>): FirewallRule[] {
  if (rule.disabled || rule.direction !== 'INGRESS') return [];
  const match = rule.match ?? {};
  const lists = [
    match.srcAddressGroups,
    match.srcFqdns,
    match.srcNetworks,
    match.srcRegionCodes,
    match.srcSecureTags,
    match.srcThreatIntelligences,
  ];
  const networkType = match.srcNetworkType ?? match.srcNetworkContext;
  return [
    {
      name: rule.ruleName || String(rule.priority ?? ''),
      priority: rule.priority ?? 0,
      action: actionOf(rule.action ?? ''),
      protocols: (match.layer4Configs ?? []).map(({ ipProtocol, ports }) => protocolOf(ipProtocol, ports)),
      sources: match.srcIpRanges ?? [],
      // In a policy they are joined by "and": a range beside them says no more than "at most these".
      sourcesNarrowed:
        lists.some((list) => (list ?? []).length > 0) || Boolean(networkType && networkType !== 'INTERNET'),
      destinations: match.destIpRanges ?? [],
      targetTags: [],
      targetServiceAccounts: rule.targetServiceAccounts ?? [],
    },
  ];
}

function protocolOf(
  protocol: string | null | undefined,
  ports: string[] | null | undefined,
): FirewallProtocol {
  return { protocol: (protocol ?? 'all').toLowerCase(), ports: ports ?? [] };
}

function actionOf(text: string): FirewallRule['action'] {
  if (text === 'allow' || text === 'goto_next') return text;
  return text === 'apply_security_profile_group' ? 'inspect' : 'deny';
}
