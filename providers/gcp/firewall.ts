import type { EffectiveFirewall, FirewallRule } from './api-answer.ts';
import { type Cover, coverOf } from './cidr-cover.ts';

/** Packets whose way in is looked at. */
export interface Traffic {
  readonly protocol: 'udp' | 'tcp';
  /** Both ends included. */
  readonly ports: { readonly from: number; readonly to: number };
  /** CIDR of who sends them: `0.0.0.0/0` is everybody. */
  readonly source: string;
  /** The private address that they arrive at: the firewall stands behind the translation. */
  readonly destination: string;
  /** Of the instance, which rules are aimed at. */
  readonly tags: readonly string[];
  readonly serviceAccounts: readonly string[];
}

/** What becomes of a part of the traffic. */
export interface FirewallVerdict {
  readonly ports: { readonly from: number; readonly to: number };
  /** `partly`: some senders are let in, not all of `source`. */
  readonly passage: 'open' | 'partly' | 'closed';
  /** The rule that decided; absent for the implied deny at the end. */
  readonly rule?: DecidingRule;
  /** For `partly`: the rules that let some in. For `open`: those that keep some out. */
  readonly except: readonly DecidingRule[];
}

export interface DecidingRule extends Pick<FirewallRule, 'name' | 'priority' | 'action' | 'sources'> {
  /** The policy that it stands in; absent for a VPC firewall rule. */
  readonly policy?: { readonly name: string; readonly type: string };
}

interface Stage {
  readonly policy?: { readonly name: string; readonly type: string };
  readonly rules: readonly FirewallRule[];
}

const PROTOCOL_NUMBERS = { udp: '17', tcp: '6' } as const;

/** One verdict for each stretch of the ports that is treated alike, in their order. */
export function judge(firewall: EffectiveFirewall, traffic: Traffic): FirewallVerdict[] {
  const stages = stagesOf(firewall);
  const verdicts: FirewallVerdict[] = [];
  for (const ports of stretches(stages, traffic)) {
    const verdict = judgeStretch(stages, { ...traffic, ports });
    const last = verdicts.at(-1);
    const alike =
      last &&
      JSON.stringify([last.passage, last.rule, last.except]) ===
        JSON.stringify([verdict.passage, verdict.rule, verdict.except]);
    if (alike) verdicts[verdicts.length - 1] = { ...last, ports: { from: last.ports.from, to: ports.to } };
    else verdicts.push(verdict);
  }
  return verdicts;
}

/**
 * "Evaluation order for firewall policies and rules": hierarchical policies, those of the system, then the VPC rules
 * before the network's policies, or after them where the network says so. Which comes first in each kind is the order of the answer.
 */
function stagesOf({ rules, policies, policiesFirst = false }: EffectiveFirewall): Stage[] {
  const of = (...types: string[]): Stage[] =>
    types.flatMap((type) =>
      policies
        .filter((policy) => policy.type === type)
        .map(({ name, rules: own }) => ({ policy: { name, type }, rules: inOrder(own) })),
    );
  const network = of('NETWORK', 'NETWORK_REGIONAL');
  const vpc: Stage = { rules: inOrder(rules) };
  return [
    ...of('HIERARCHY', 'SYSTEM_GLOBAL', 'SYSTEM_REGIONAL'),
    ...(policiesFirst ? [...network, vpc] : [vpc, ...network]),
  ];
}

/** "A deny rule overrides an allow rule of the same priority." */
function inOrder(rules: readonly FirewallRule[]): FirewallRule[] {
  const rank = (rule: FirewallRule): number => (rule.action === 'deny' ? 0 : 1);
  return rules.toSorted((a, b) => a.priority - b.priority || rank(a) - rank(b));
}

function judgeStretch(stages: readonly Stage[], traffic: Traffic): FirewallVerdict {
  const { ports } = traffic;
  const letIn: DecidingRule[] = [];
  const keptOut: DecidingRule[] = [];
  for (const { policy, rules } of stages) {
    for (const rule of rules) {
      const cover = matchOf(rule, traffic);
      if (cover === 'none') continue;
      const { name, priority, action, sources } = rule;
      const deciding = { name, priority, action, sources, ...(policy && { policy }) };
      if (cover === 'some') {
        if (action === 'deny') keptOut.push(deciding);
        else if (action !== 'goto_next') letIn.push(deciding);
        continue;
      }
      if (action === 'goto_next') break;
      if (action !== 'deny') return { ports, passage: 'open', rule: deciding, except: keptOut };
      const passage = letIn.length > 0 ? 'partly' : 'closed';
      return { ports, passage, rule: deciding, except: letIn };
    }
  }
  // The implied rule of every network, which no list shows.
  return { ports, passage: letIn.length > 0 ? 'partly' : 'closed', except: letIn };
}

/** How many of the senders a rule is about. */
function matchOf(rule: FirewallRule, traffic: Traffic): Cover {
  const { targetTags, targetServiceAccounts, destinations, protocols, sources, sourcesNarrowed } = rule;
  if (targetTags.length > 0 && !targetTags.some((tag) => traffic.tags.includes(tag))) return 'none';
  if (
    targetServiceAccounts.length > 0 &&
    !targetServiceAccounts.some((account) => traffic.serviceAccounts.includes(account))
  ) {
    return 'none';
  }
  if (destinations.length > 0 && coverOf(destinations, traffic.destination) !== 'all') return 'none';
  const speaks = protocols.some(({ protocol, ports }) => {
    if (!['all', traffic.protocol, PROTOCOL_NUMBERS[traffic.protocol]].includes(protocol)) return false;
    return ports.length === 0 || ports.some((range) => includes(range, traffic.ports));
  });
  if (protocols.length > 0 && !speaks) return 'none';
  const cover = sources.length === 0 ? 'all' : coverOf(sources, traffic.source);
  return sourcesNarrowed && cover === 'all' ? 'some' : cover;
}

/** The ports cut at every place where a rule begins or ends. */
function stretches(stages: readonly Stage[], { ports }: Traffic): { from: number; to: number }[] {
  const cuts = new Set([ports.from]);
  for (const { rules } of stages) {
    for (const range of rules.flatMap((rule) => rule.protocols.flatMap((each) => each.ports))) {
      const [from, to] = endsOf(range);
      for (const cut of [from, to + 1]) if (cut > ports.from && cut <= ports.to) cuts.add(cut);
    }
  }
  const begins = [...cuts].sort((a, b) => a - b);
  return begins.map((from, index) => ({ from, to: (begins[index + 1] ?? ports.to + 1) - 1 }));
}

function includes(range: string, ports: { from: number; to: number }): boolean {
  const [from, to] = endsOf(range);
  return from <= ports.from && to >= ports.to;
}

/** `10000-20000` → [10000, 20000]; what is no range takes in nothing. */
function endsOf(range: string): [from: number, to: number] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range.trim());
  if (!match) return [1, 0];
  return [Number(match[1]), Number(match[2] ?? match[1])];
}
