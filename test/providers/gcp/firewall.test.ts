import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EffectiveFirewall, FirewallRule } from '../../../providers/gcp/api-answer.ts';
import { judge, type Traffic } from '../../../providers/gcp/firewall.ts';

const rule = (name: string, more: Partial<FirewallRule> = {}): FirewallRule => ({
  name,
  priority: 1000,
  action: 'allow',
  protocols: [{ protocol: 'udp', ports: [] }],
  sources: ['0.0.0.0/0'],
  sourcesNarrowed: false,
  destinations: [],
  targetTags: [],
  targetServiceAccounts: [],
  ...more,
});
const deny = (name: string, more: Partial<FirewallRule> = {}): FirewallRule =>
  rule(name, { action: 'deny', protocols: [{ protocol: 'all', ports: [] }], ...more });
const vpc = (...rules: FirewallRule[]): EffectiveFirewall => ({ rules, policies: [] });
const policy = (type: string, ...rules: FirewallRule[]) => ({ name: type.toLowerCase(), type, rules });
const udp = (...ports: string[]) => [{ protocol: 'udp', ports }];

const SIP: Traffic = {
  protocol: 'udp',
  ports: { from: 5060, to: 5060 },
  source: '0.0.0.0/0',
  destination: '10.0.0.15',
  tags: ['sip'],
  serviceAccounts: ['edge@project.iam'],
};
const RTP: Traffic = { ...SIP, ports: { from: 10_000, to: 20_000 } };
const SIX: Traffic = { ...SIP, source: '::/0', destination: '2600:1901::1' };

/** `5060 open by NAME`, for each stretch of ports. */
function judged(firewall: EffectiveFirewall, traffic: Traffic = SIP): string[] {
  return judge(firewall, traffic).map(({ ports, passage, rule: by, except }) => {
    const range = ports.from === ports.to ? ports.from : `${ports.from}-${ports.to}`;
    const others = except.length > 0 ? ` but ${except.map(({ name }) => name).join(' ')}` : '';
    return `${range} ${passage} by ${by?.name ?? 'the implied deny'}${others}`;
  });
}

const CASES: [what: string, firewall: EffectiveFirewall, traffic: Traffic, verdicts: string[]][] = [
  ['nothing is let in that no rule allows', vpc(), SIP, ['5060 closed by the implied deny']],
  ['a rule for all ports', vpc(rule('a')), SIP, ['5060 open by a']],
  ['a rule for this port', vpc(rule('a', { protocols: udp('5060') })), SIP, ['5060 open by a']],
  [
    'a rule for its number',
    vpc(rule('a', { protocols: [{ protocol: '17', ports: [] }] })),
    SIP,
    ['5060 open by a'],
  ],
  [
    'a rule for all protocols',
    vpc(rule('a', { protocols: [{ protocol: 'all', ports: [] }] })),
    SIP,
    ['5060 open by a'],
  ],
  [
    'a rule for another port',
    vpc(rule('a', { protocols: udp('5061') })),
    SIP,
    ['5060 closed by the implied deny'],
  ],
  [
    'a rule for TCP',
    vpc(rule('a', { protocols: [{ protocol: 'tcp', ports: [] }] })),
    SIP,
    ['5060 closed by the implied deny'],
  ],
  [
    'the smaller priority goes first',
    vpc(deny('no', { priority: 900 }), rule('yes')),
    SIP,
    ['5060 closed by no'],
  ],
  [
    'and so it does for the allow',
    vpc(deny('no', { priority: 1100 }), rule('yes')),
    SIP,
    ['5060 open by yes'],
  ],
  ['deny wins a tie', vpc(rule('yes'), deny('no')), SIP, ['5060 closed by no']],
  [
    'a rule for another tag',
    vpc(rule('a', { targetTags: ['web'] })),
    SIP,
    ['5060 closed by the implied deny'],
  ],
  ['a rule for our tag', vpc(rule('a', { targetTags: ['web', 'sip'] })), SIP, ['5060 open by a']],
  [
    'a rule for another account',
    vpc(rule('a', { targetServiceAccounts: ['x@y'] })),
    SIP,
    ['5060 closed by the implied deny'],
  ],
  [
    'a rule for our account',
    vpc(rule('a', { targetServiceAccounts: ['edge@project.iam'] })),
    SIP,
    ['5060 open by a'],
  ],
  [
    'a rule for another address of ours',
    vpc(rule('a', { destinations: ['10.0.1.0/24'] })),
    SIP,
    ['5060 closed by the implied deny'],
  ],
  [
    'some senders only',
    vpc(rule('a', { sources: ['198.51.100.0/24'] })),
    SIP,
    ['5060 partly by the implied deny but a'],
  ],
  [
    'the two halves of the internet',
    vpc(rule('a', { sources: ['0.0.0.0/1', '128.0.0.0/1'] })),
    SIP,
    ['5060 open by a'],
  ],
  [
    'senders by a tag',
    vpc(rule('a', { sources: [], sourcesNarrowed: true })),
    SIP,
    ['5060 partly by the implied deny but a'],
  ],
  [
    'some senders kept out',
    vpc(deny('no', { priority: 1, sources: ['192.0.2.0/24'] }), rule('yes')),
    SIP,
    ['5060 open by yes but no'],
  ],
  [
    'a neighbour, by his subnet',
    vpc(rule('a', { sources: ['10.0.0.0/8'] })),
    { ...SIP, source: '10.0.0.0/24' },
    ['5060 open by a'],
  ],
  ['IPv6 is not IPv4', vpc(rule('a')), SIX, ['5060 closed by the implied deny']],
  ['IPv6 by a rule of its own', vpc(rule('a'), rule('b', { sources: ['::/0'] })), SIX, ['5060 open by b']],
  [
    'a range with a hole in it',
    vpc(rule('a', { protocols: udp('10000-15000', '15002-20000') })),
    RTP,
    ['10000-15000 open by a', '15001 closed by the implied deny', '15002-20000 open by a'],
  ],
  [
    'a range that is let in by two rules',
    vpc(rule('a', { protocols: udp('10000-15000') }), rule('b', { protocols: udp('15001-20000') })),
    RTP,
    ['10000-15000 open by a', '15001-20000 open by b'],
  ],
  [
    'a range of which a rule lets in half',
    vpc(rule('a', { protocols: udp('1-14999') })),
    RTP,
    ['10000-14999 open by a', '15000-20000 closed by the implied deny'],
  ],
  [
    'a hierarchical policy goes before all',
    { ...vpc(rule('yes')), policies: [policy('HIERARCHY', deny('no'))] },
    SIP,
    ['5060 closed by no'],
  ],
  [
    'one that hands over',
    {
      ...vpc(rule('yes')),
      policies: [policy('HIERARCHY', deny('no', { priority: 2000 }), rule('on', { action: 'goto_next' }))],
    },
    SIP,
    ['5060 open by yes'],
  ],
  [
    'the organisation before the folder',
    { ...vpc(), policies: [policy('HIERARCHY', rule('yes')), policy('HIERARCHY', deny('no'))] },
    SIP,
    ['5060 open by yes'],
  ],
  [
    "the network's policy comes after its rules",
    { ...vpc(rule('yes')), policies: [policy('NETWORK', deny('no'))] },
    SIP,
    ['5060 open by yes'],
  ],
  [
    'and is asked where they say nothing',
    { ...vpc(), policies: [policy('NETWORK', rule('yes'))] },
    SIP,
    ['5060 open by yes'],
  ],
  [
    'or goes before them',
    { ...vpc(rule('yes')), policies: [policy('NETWORK', deny('no'))], policiesFirst: true },
    SIP,
    ['5060 closed by no'],
  ],
  [
    'the global before the regional one',
    { ...vpc(), policies: [policy('NETWORK_REGIONAL', deny('no')), policy('NETWORK', rule('yes'))] },
    SIP,
    ['5060 open by yes'],
  ],
  [
    'a rule that has the traffic inspected lets it in',
    vpc(rule('a', { action: 'inspect' })),
    SIP,
    ['5060 open by a'],
  ],
  [
    'a rule whose ports are garbage',
    vpc(rule('a', { protocols: udp('x-y') })),
    SIP,
    ['5060 closed by the implied deny'],
  ],
];

for (const [what, firewall, traffic, verdicts] of CASES) {
  test(what, () => assert.deepEqual(judged(firewall, traffic), verdicts));
}
