import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AclEntry, ApiInterface, GroupRule, RouteTable } from '../../../providers/ec2/api-answer.ts';
import { networkAclFindings } from '../../../providers/ec2/network-acl.ts';
import { publicRouteFindings } from '../../../providers/ec2/public-route.ts';
import { securityGroupFindings } from '../../../providers/ec2/security-group.ts';
import { targetsOf } from '../../../providers/ec2/target.ts';
import type { Finding } from '../../../src/discovery/finding.ts';

const ENI: ApiInterface = {
  id: 'eni-1',
  mac: '02:00:00:00:00:01',
  ownerId: '123456789012',
  deviceIndex: 0,
  networkCard: 0,
  subnetId: 'subnet-1',
  vpcId: 'vpc-1',
  groups: ['sg-1', 'sg-2'],
  addresses: [{ privateAddress: '10.0.0.15', publicAddress: '203.0.113.5' }],
  ipv6s: ['2001:db8::15'],
};

const targets = (transport: string, address = '10.0.0.15') =>
  targetsOf(
    {
      topology: { provider: 'ec2', interfaces: [], localNetworks: [] },
      listeners: [{ transport, address, port: 5060 }],
      rtpPorts: { from: 10000, to: 20000 },
    },
    [ENI],
  );

const verdicts = (findings: readonly Finding[]): string => findings.map(({ verdict }) => verdict).join(' ');

const rule = (protocol: string, from: number, to: number, peer = '0.0.0.0/0', more = {}): GroupRule => ({
  groupId: 'sg-1',
  egress: false,
  protocol,
  from,
  to,
  peer,
  ...more,
});
const OUT = rule('-1', -1, -1, '0.0.0.0/0', { egress: true });
const SIP = rule('udp', 5060, 5060);
const RTP = rule('udp', 10000, 20000);

/** Verdicts of the listener, the RTP range and what goes out, over IPv4. */
const GROUPS: [what: string, rules: GroupRule[], verdicts: string][] = [
  ['open', [SIP, RTP, OUT], 'pass pass pass'],
  ['everything open', [rule('-1', -1, -1), OUT], 'pass pass pass'],
  ['UDP by its number', [rule('17', 0, 65535), OUT], 'pass pass pass'],
  ['two groups together', [SIP, { ...RTP, groupId: 'sg-2' }, OUT], 'pass pass pass'],
  ['two ranges together', [SIP, rule('udp', 10000, 14999), rule('udp', 15000, 20000), OUT], 'pass pass pass'],
  ['port 5060 closed', [RTP, OUT], 'fail pass pass'],
  ['TCP in place of UDP', [rule('tcp', 5060, 5060), RTP, OUT], 'fail pass pass'],
  ['RTP closed', [SIP, OUT], 'pass fail pass'],
  ['half of RTP closed', [SIP, rule('udp', 10000, 15000), OUT], 'pass fail pass'],
  ['IPv6 alone', [rule('udp', 5060, 5060, '::/0'), rule('udp', 10000, 20000, '::/0'), OUT], 'fail fail pass'],
  ['a group that is not ours', [{ ...SIP, groupId: 'sg-3' }, RTP, OUT], 'fail pass pass'],
  ['the trunk alone', [rule('udp', 5060, 5060, '198.51.100.0/24'), RTP, OUT], 'warn pass pass'],
  ['a prefix list', [rule('udp', 5060, 5060, 'pl-0123'), RTP, OUT], 'warn pass pass'],
  ['another group', [rule('udp', 5060, 5060, 'sg-9'), RTP, OUT], 'warn pass pass'],
  [
    'half open, half narrow',
    [SIP, rule('udp', 10000, 15000), rule('udp', 15001, 20000, '10.0.0.0/8'), OUT],
    'pass warn pass',
  ],
  ['half narrow, half closed', [SIP, rule('udp', 10000, 15000, '10.0.0.0/8'), OUT], 'pass fail pass'],
  ['nothing out', [SIP, RTP], 'pass pass warn'],
  ['only DNS out', [SIP, RTP, rule('udp', 53, 53, '0.0.0.0/0', { egress: true })], 'pass pass warn'],
];
for (const [what, rules, expected] of GROUPS) {
  test(`groups: ${what}`, () => {
    assert.equal(verdicts(securityGroupFindings(targets('udp'), rules)), expected);
  });
}

test('groups: evidence and remedy name ports, peers and the command', () => {
  const closed = securityGroupFindings(targets('udp'), [SIP, rule('udp', 10000, 15000), OUT])[1];
  assert.equal(closed?.evidence, 'sg-1, sg-2 of eni-1 let in nothing on udp 15001-20000 over IPv4.');
  assert.equal(
    closed?.remedy,
    "aws ec2 authorize-security-group-ingress --group-id sg-1 --ip-permissions 'IpProtocol=udp,FromPort=15001,ToPort=20000,IpRanges=[{CidrIp=0.0.0.0/0}]'",
  );
  const [narrow] = securityGroupFindings(targets('tls'), [rule('tcp', 5060, 5060, '198.51.100.0/24')]);
  assert.equal(
    narrow?.evidence,
    'sg-1, sg-2 of eni-1 let in tcp 5060 not from 0.0.0.0/0, but from 198.51.100.0/24 alone.',
  );
  const [six] = securityGroupFindings(targets('udp', '2001:db8::15'), [SIP]);
  assert.equal(six?.verdict, 'fail');
  assert.match(six?.remedy ?? '', /Ipv6Ranges=\[\{CidrIpv6=::\/0\}\]/);
});

const entry = (number: number, allow: boolean, more: Partial<AclEntry> = {}): AclEntry => ({
  number,
  egress: false,
  allow,
  protocol: '-1',
  cidr: '0.0.0.0/0',
  ...more,
});
const LAST = [entry(32767, false), entry(32767, false, { egress: true })];
const ALL_OUT = entry(100, true, { egress: true });
const udp = (from: number, to: number): Partial<AclEntry> => ({ protocol: '17', ports: { from, to } });

const ACLS: [what: string, entries: AclEntry[], verdicts: string][] = [
  ['the default one', [entry(100, true), ALL_OUT], 'pass pass pass'],
  [
    'what is needed',
    [entry(100, true, udp(5060, 5060)), entry(110, true, udp(10000, 20000)), ALL_OUT],
    'pass pass pass',
  ],
  ['a denial before', [entry(90, false, udp(5060, 5060)), entry(100, true), ALL_OUT], 'fail pass pass'],
  [
    'a denial that comes too late',
    [entry(100, true), entry(110, false, udp(5060, 5060)), ALL_OUT],
    'pass pass pass',
  ],
  ['rules out of order', [entry(110, false, udp(5060, 5060)), entry(100, true), ALL_OUT], 'pass pass pass'],
  [
    'a denial of half the media',
    [entry(90, false, udp(15000, 30000)), entry(100, true), ALL_OUT],
    'pass fail pass',
  ],
  [
    'TCP alone',
    [entry(100, true, { protocol: '6', ports: { from: 0, to: 65535 } }), ALL_OUT],
    'fail fail pass',
  ],
  ['IPv6 alone', [entry(100, true, { cidr: '::/0' }), ALL_OUT], 'fail fail pass'],
  [
    'one network refused',
    [entry(90, false, { cidr: '192.0.2.0/24' }), entry(100, true), ALL_OUT],
    'warn warn pass',
  ],
  ['one network let in', [entry(100, true, { cidr: '198.51.100.0/24' }), ALL_OUT], 'warn warn pass'],
  ['nothing out', [entry(100, true)], 'pass pass fail'],
  [
    'ephemeral ports out alone',
    [entry(100, true), entry(100, true, { egress: true, ...udp(32768, 65535) })],
    'pass pass fail',
  ],
  [
    'callers’ ports out',
    [entry(100, true), entry(100, true, { egress: true, ...udp(1024, 65535) })],
    'pass pass pass',
  ],
];
for (const [what, entries, expected] of ACLS) {
  test(`network ACL: ${what}`, () => {
    const acls = [{ id: 'acl-1', subnetIds: ['subnet-1'], entries: [...entries, ...LAST] }];
    assert.equal(verdicts(networkAclFindings(targets('udp'), acls)), expected);
  });
}

test('network ACL: evidence and remedy name the rule, the ports and a number that is free', () => {
  const entries = [entry(90, false, udp(5060, 5060)), entry(89, true, udp(1, 1)), entry(100, true), ALL_OUT];
  const [denied] = networkAclFindings(targets('udp'), [{ id: 'acl-1', subnetIds: ['subnet-1'], entries }]);
  assert.equal(
    denied?.evidence,
    'acl-1 of subnet-1 does not let udp 5060 in from 0.0.0.0/0: rule 90 denies it.',
  );
  assert.equal(
    denied?.remedy,
    'aws ec2 create-network-acl-entry --network-acl-id acl-1 --ingress --rule-number 88 --protocol udp --port-range From=5060,To=5060 --cidr-block 0.0.0.0/0 --rule-action allow',
  );
  const outward = networkAclFindings(targets('udp'), [
    { id: 'acl-1', subnetIds: ['subnet-1'], entries: [entry(100, true), ...LAST] },
  ]).at(-1);
  assert.match(
    outward?.evidence ?? '',
    /does not let udp 1024-65535 out to 0\.0\.0\.0\/0: no rule allows it/,
  );
  assert.match(outward?.remedy ?? '', /--egress --rule-number 32766/);
});

test('network ACL: a subnet without one is not called good', () => {
  assert.equal(verdicts(networkAclFindings(targets('udp'), [])), 'skip skip skip');
});

const table = (target: string | undefined, more: Partial<RouteTable> = {}, to = '0.0.0.0/0'): RouteTable => ({
  id: 'rtb-1',
  vpcId: 'vpc-1',
  subnetIds: ['subnet-1'],
  main: false,
  routes: target === undefined ? [] : [{ to, target, active: true }],
  ...more,
});
const MAIN = { subnetIds: [], main: true };
const ROUTES: [what: string, tables: RouteTable[], verdict: string, evidence: RegExp][] = [
  ['to the internet gateway', [table('igw-1')], 'pass', /sends 0\.0\.0\.0\/0 to igw-1/],
  ['to a carrier gateway', [table('cagw-1')], 'pass', /cagw-1/],
  ['by the main table', [table('igw-1', MAIN)], 'pass', /igw-1/],
  [
    'by its own table before the main one',
    [table('igw-1', MAIN), table('nat-1')],
    'fail',
    /address of the NAT gateway/,
  ],
  [
    'by the main table of another VPC',
    [table('igw-1', { ...MAIN, vpcId: 'vpc-2' })],
    'skip',
    /no route table/,
  ],
  ['nowhere', [table(undefined)], 'fail', /has no route to 0\.0\.0\.0\/0/],
  [
    'to a gateway that is gone',
    [table('igw-1', { routes: [{ to: '0.0.0.0/0', target: 'igw-1', active: false }] })],
    'fail',
    /blackhole/,
  ],
  ['to a firewall', [table('vpce-1')], 'warn', /no internet gateway/],
];
for (const [what, tables, verdict, evidence] of ROUTES) {
  test(`route: ${what}`, () => {
    const [finding, ...more] = publicRouteFindings(targets('udp'), tables);
    assert.deepEqual([finding?.verdict, more.length], [verdict, 0]);
    assert.match(finding?.evidence ?? '', evidence);
    assert.equal(finding?.remedy === undefined, verdict === 'pass' || verdict === 'skip');
  });
}

test('route: IPv6 needs the internet gateway; the egress-only one lets nobody in', () => {
  const six = targets('udp', '2001:db8::15');
  assert.equal(verdicts(publicRouteFindings(six, [table('igw-1', {}, '::/0')])), 'pass');
  assert.equal(verdicts(publicRouteFindings(six, [table('eigw-1', {}, '::/0')])), 'fail');
  assert.equal(verdicts(publicRouteFindings(six, [table('igw-1')])), 'fail');
});

test('route: without a public address none is needed', () => {
  const inner = targets('udp').map((target) => ({
    ...target,
    eni: { ...ENI, addresses: [{ privateAddress: '10.0.0.15' }] },
  }));
  assert.deepEqual(publicRouteFindings(inner, [table('nat-1')]), []);
});

test('a listener on all addresses is looked at on every interface that has one', () => {
  const both = targetsOf(
    {
      topology: { provider: 'ec2', interfaces: [], localNetworks: [] },
      listeners: [{ transport: 'udp', address: '0.0.0.0', port: 5060 }],
      rtpPorts: { from: 10000, to: 20000 },
    },
    [ENI, { ...ENI, id: 'eni-2', addresses: [{ privateAddress: '10.0.1.15' }] }],
  );
  assert.deepEqual(
    both.map(({ subject, eni }) => `${subject} at ${eni.id}`),
    [
      'udp:0.0.0.0:5060 at eni-1',
      'udp:0.0.0.0:5060 at eni-2',
      'rtp eni-1 IPv4 at eni-1',
      'rtp eni-2 IPv4 at eni-2',
    ],
  );
});
