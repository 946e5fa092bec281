import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ec2 } from '../../../providers/ec2.ts';
import type { Examination, Finding } from '../../../src/discovery/finding.ts';
import { type Ec2Surroundings, ec2Context } from '../../support/ec2-surroundings.ts';
import { type FakeEc2Account, healthyAccount } from '../../support/fake-ec2-account.ts';
import { type FakeEc2Api, startFakeEc2Api, unauthorizedOperation } from '../../support/fake-ec2-api.ts';
import { startFakeImds } from '../../support/fake-imds.ts';
import { imdsDocument, type MachineDescription } from '../../support/fake-imds-document.ts';

const MACHINE: MachineDescription = {
  nics: [
    {
      mac: '02:00:00:00:00:01',
      addresses: [{ private: '10.0.0.15', public: '203.0.113.5' }],
      ipv6s: ['2001:db8::15'],
    },
    { mac: '02:00:00:00:00:02', addresses: [{ private: '10.0.1.15', public: '203.0.113.7' }] },
  ],
};
const HEALTHY = healthyAccount(MACHINE);
const LISTENERS: Examination['listeners'] = [
  { transport: 'udp', address: '10.0.0.15', port: 5060, advertised: '203.0.113.5' },
  { transport: 'udp', address: '10.0.1.15', port: 5060, advertised: '203.0.113.7' },
  { transport: 'udp', address: '2001:db8::15', port: 5060 },
];

interface Case {
  readonly account?: FakeEc2Account;
  readonly listeners?: Examination['listeners'];
  readonly fault?: FakeEc2Api['fault'];
  readonly env?: Ec2Surroundings['env'];
}

async function examine({
  account = HEALTHY,
  listeners = LISTENERS,
  fault,
  env,
}: Case): Promise<readonly Finding[]> {
  await using imds = await startFakeImds({ document: imdsDocument(MACHINE) });
  await using api = await startFakeEc2Api({ account: () => account });
  if (fault) api.fault = fault;
  const context = ec2Context({ imds, api, ...(env && { env }) });
  const { signal } = new AbortController();
  const topology = await ec2.discover(context, signal);
  const examination = { topology, listeners, rtpPorts: { from: 10000, to: 20000 } };
  return await ec2.examine!(context, examination, signal);
}

const troubles = (findings: readonly Finding[]): string[] =>
  findings
    .filter(({ verdict }) => verdict !== 'pass')
    .map(({ check, subject = '', verdict }) => `${verdict} ${check} ${subject}`.trim());

test('a healthy machine: everything that matters was looked at, and all of it is well', async () => {
  const findings = await examine({});
  assert.deepEqual(troubles(findings), []);
  const seen = findings.map(({ check, subject }) => `${check} ${subject}`);
  assert.deepEqual(seen, [
    'rights ec2:DescribeNetworkInterfaces',
    'rights ec2:DescribeSecurityGroupRules',
    'rights ec2:DescribeNetworkAcls',
    'rights ec2:DescribeRouteTables',
    'api-addresses 10.0.0.15',
    'api-addresses 2001:db8::15',
    'api-addresses 10.0.1.15',
    'public-address udp:10.0.0.15:5060',
    'public-address udp:10.0.1.15:5060',
    'security-group udp:10.0.0.15:5060',
    'security-group udp:10.0.1.15:5060',
    'security-group udp:[2001:db8::15]:5060',
    'security-group rtp eni-0020000000001 IPv4',
    'security-group rtp eni-0020000000002 IPv4',
    'security-group rtp eni-0020000000001 IPv6',
    'security-group-outbound eni-0020000000001 0.0.0.0/0',
    'security-group-outbound eni-0020000000002 0.0.0.0/0',
    'security-group-outbound eni-0020000000001 ::/0',
    'network-acl udp:10.0.0.15:5060',
    'network-acl udp:10.0.1.15:5060',
    'network-acl udp:[2001:db8::15]:5060',
    'network-acl rtp eni-0020000000001 IPv4',
    'network-acl rtp eni-0020000000002 IPv4',
    'network-acl rtp eni-0020000000001 IPv6',
    'network-acl-outbound subnet-0 0.0.0.0/0',
    'network-acl-outbound subnet-1 0.0.0.0/0',
    'network-acl-outbound subnet-0 ::/0',
    'public-route subnet-0 0.0.0.0/0',
    'public-route subnet-1 0.0.0.0/0',
    'public-route subnet-0 ::/0',
  ]);
});

test('a missing right is named with the least policy, and what it hides is not called good', async () => {
  const findings = await examine({
    fault: ({ action }) =>
      action === 'DescribeSecurityGroupRules' ? unauthorizedOperation(action) : undefined,
  });
  assert.deepEqual(troubles(findings), ['fail rights ec2:DescribeSecurityGroupRules', 'skip security-group']);
  const { evidence, remedy } = findings.find(({ verdict }) => verdict === 'fail')!;
  assert.match(evidence, /UnauthorizedOperation/);
  const policy = JSON.parse(/\{.*\}$/.exec(remedy ?? '')?.[0] ?? '') as {
    Statement: { Action: string[]; Resource: string }[];
  };
  assert.deepEqual(policy.Statement, [
    {
      Effect: 'Allow',
      Action: [
        'ec2:DescribeNetworkAcls',
        'ec2:DescribeNetworkInterfaces',
        'ec2:DescribeRouteTables',
        'ec2:DescribeSecurityGroupRules',
      ],
      Resource: '*',
    },
  ]);
});

test('without credentials, without an answer, and with the wrong region: one finding that says so', async () => {
  const none = await examine({ env: { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined } });
  assert.deepEqual(troubles(none), ['skip rights ec2:DescribeNetworkInterfaces']);
  assert.match(none[0]?.remedy ?? '', /^To have that checked: Attach a role/);
  assert.match(
    none[0]?.evidence ?? '',
    /has no credentials, so .* not asked whether security groups, network ACLs/,
  );
  const keyless = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
  const nobodys = await examine({ env: { ...keyless, AWS_PROFILE: 'nobodys' } });
  assert.deepEqual(troubles(nobodys), ['warn rights ec2:DescribeNetworkInterfaces']);
  const refused = await examine({ fault: () => ({ status: 401, code: 'AuthFailure' }) });
  assert.deepEqual(troubles(refused), ['warn rights ec2:DescribeNetworkInterfaces']);
  const broken = await examine({ fault: () => 'reset', env: { AWS_MAX_ATTEMPTS: '1' } });
  assert.deepEqual(troubles(broken), ['warn api ec2:DescribeNetworkInterfaces']);
  const empty = await examine({ account: { ...HEALTHY, interfaces: [] } });
  assert.deepEqual(troubles(empty), ['warn api']);
  assert.match(empty.at(-1)?.evidence ?? '', /no interface of i-0123456789abcdef0 in eu-central-1/);
});

test('an address that the API tells differently is shown with both words', async () => {
  const [first, second] = HEALTHY.interfaces;
  const moved = {
    ...first!,
    addresses: [{ private: '10.0.0.15', public: '203.0.113.99' }, { private: '10.0.0.99' }],
  };
  const taken = { ...second!, addresses: [{ private: '10.0.1.15' }] };
  const findings = await examine({
    account: { ...HEALTHY, interfaces: [moved, taken] },
    listeners: LISTENERS.map(({ transport, address, port }) => ({ transport, address, port })),
  });
  assert.deepEqual(troubles(findings), [
    'warn api-addresses 10.0.0.15',
    'warn api-addresses 10.0.1.15',
    'warn api-addresses 10.0.0.99',
    'warn public-address udp:10.0.1.15:5060',
  ]);
  const evidence = findings.map((finding) => finding.evidence).join('\n');
  assert.match(
    evidence,
    /Metadata says 203\.0\.113\.5, the EC2 API says 203\.0\.113\.99 stands in front of 10\.0\.0\.15/,
  );
  assert.match(
    evidence,
    /Metadata says 203\.0\.113\.7, the EC2 API says none stands in front of 10\.0\.1\.15/,
  );
});

test('a listener on an address that the API does not know is said to be unexamined', async () => {
  const listeners = [{ transport: 'udp', address: '10.9.9.9', port: 5060 }];
  assert.deepEqual(troubles(await examine({ listeners })), ['skip security-group udp:10.9.9.9:5060']);
});

test('with metadata switched off the API is asked all the same', async () => {
  await using imds = await startFakeImds({ document: { 'switched-off': '' } });
  await using api = await startFakeEc2Api({ account: () => HEALTHY });
  const context = ec2Context({ imds, api, dmi: { board_asset_tag: 'i-0123456789abcdef0' } });
  const { signal } = new AbortController();
  const topology = await ec2.discover(context, signal);
  const examination = { topology, listeners: LISTENERS, rtpPorts: { from: 10000, to: 20000 } };
  assert.deepEqual(troubles(await ec2.examine!(context, examination, signal)), ['skip api-addresses']);
});
