import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { Ec2Answer } from '../../../providers/ec2/api-answer.ts';
import { askEc2 } from '../../../providers/ec2/ask-ec2.ts';
import type { DiscoveryError } from '../../../src/discovery/discovery-error.ts';
import { type Ec2Surroundings, ec2Context, osInterface } from '../../support/ec2-surroundings.ts';
import { type FakeEc2Account, healthyAccount } from '../../support/fake-ec2-account.ts';
import { fakeAccessKey, startFakeEc2Api, unauthorizedOperation } from '../../support/fake-ec2-api.ts';
import { startFakeImds } from '../../support/fake-imds.ts';
import { listen } from '../../support/fake-server.ts';
import { ManualClock } from '../../support/manual-clock.ts';

// The SDK is the real one, in the real child process.

const MAC = '02:00:00:00:00:01';
const INSTANCE = 'i-0123456789abcdef0';
const MACHINE = {
  nics: [
    {
      mac: MAC,
      addresses: [{ private: '10.0.0.15', public: '203.0.113.5' }, { private: '10.0.0.16' }],
      ipv6s: ['2001:db8::15'],
    },
    {
      mac: '02:00:00:00:00:02',
      networkCard: 1,
      addresses: [{ private: '10.0.1.15', carrier: '155.146.1.2' }],
    },
  ],
};
const HEALTHY = healthyAccount(MACHINE);

function ask(
  surroundings: Ec2Surroundings,
  { diagnosis = false, instanceId = INSTANCE as string | null } = {},
): Promise<Ec2Answer> {
  const place = instanceId === null ? {} : { instanceId };
  const region = surroundings.env && 'AWS_REGION' in surroundings.env ? undefined : 'eu-west-3';
  const options = { diagnosis, signal: new AbortController().signal };
  return askEc2(ec2Context(surroundings), { ...place, ...(region && { region }) }, options);
}

const startApi = (account: FakeEc2Account = HEALTHY) => startFakeEc2Api({ account: () => account });

function refusalIn({ interfaces }: Ec2Answer): { code: string; message: string } {
  assert.ok('refusal' in interfaces, JSON.stringify(interfaces));
  return interfaces.refusal;
}

test('the interfaces of the instance, with elastic and carrier addresses, primary one first', async () => {
  await using api = await startApi();
  const { interfaces, rules } = await ask({ api });
  assert.ok('items' in interfaces);
  assert.deepEqual(interfaces.items, [
    {
      id: 'eni-0020000000001',
      mac: MAC,
      ownerId: '123456789012',
      deviceIndex: 0,
      networkCard: 0,
      subnetId: 'subnet-0',
      vpcId: 'vpc-0123456789abcdef0',
      groups: ['sg-0123456789abcdef0'],
      addresses: [
        { privateAddress: '10.0.0.15', publicAddress: '203.0.113.5' },
        { privateAddress: '10.0.0.16' },
      ],
      ipv6s: ['2001:db8::15'],
    },
    {
      id: 'eni-0020000000002',
      mac: '02:00:00:00:00:02',
      ownerId: '123456789012',
      deviceIndex: 1,
      networkCard: 1,
      subnetId: 'subnet-1',
      vpcId: 'vpc-0123456789abcdef0',
      groups: ['sg-0123456789abcdef0'],
      addresses: [{ privateAddress: '10.0.1.15', publicAddress: '155.146.1.2' }],
      ipv6s: [],
    },
  ]);
  assert.equal(rules, undefined);
  const [call] = api.calls;
  assert.equal(api.calls.length, 1);
  assert.deepEqual([call?.region, call?.accessKeyId], ['eu-west-3', fakeAccessKey.id]);
  assert.equal(call?.parameters['Filter.1.Name'], 'attachment.instance-id');
  assert.equal(call?.parameters['Filter.1.Value.1'], INSTANCE);
});

test('without the id of the instance its MACs are asked for', async () => {
  await using api = await startApi();
  const interfaces = [
    osInterface('ens6', '02:00:00:00:00:02', '10.0.1.15'),
    osInterface('lo', '00:00:00:00:00:00'),
  ];
  const answer = await ask({ api, interfaces }, { instanceId: null });
  assert.ok('items' in answer.interfaces);
  assert.deepEqual(
    answer.interfaces.items.map(({ mac }) => mac),
    ['02:00:00:00:00:02'],
  );
});

test('a diagnosis asks every call, page by page', async () => {
  const nics = Array.from({ length: 7 }, (_, index) => ({
    mac: `02:00:00:00:00:0${index}`,
    addresses: [{ private: `10.0.${index}.15` }],
  }));
  await using api = await startApi(healthyAccount({ nics }));
  api.pageSize = 3;
  const { interfaces, rules, acls, routeTables } = await ask({ api }, { diagnosis: true });
  assert.ok('items' in interfaces && rules && 'items' in rules && acls && 'items' in acls);
  assert.ok(routeTables && 'items' in routeTables);
  assert.deepEqual([interfaces.items.length, rules.items.length], [7, 6]);
  assert.deepEqual([acls.items.length, routeTables.items.length], [1, 1]);
  assert.deepEqual(acls.items[0]?.subnetIds.length, 7);
  assert.equal(routeTables.items[0]?.main, true);
  const pages = api.calls.filter(({ action }) => action === 'DescribeNetworkInterfaces');
  assert.deepEqual(
    pages.map(({ parameters }) => parameters['NextToken']),
    [undefined, 'page-3', 'page-6'],
  );
});

test('a call without the right is a refusal of its own; the others are answered', async () => {
  await using api = await startApi();
  api.fault = ({ action }) => (action === 'DescribeNetworkAcls' ? unauthorizedOperation(action) : undefined);
  const { rules, acls, routeTables } = await ask({ api }, { diagnosis: true });
  assert.deepEqual(acls, {
    refusal: {
      action: 'ec2:DescribeNetworkAcls',
      code: 'discovery.api-forbidden',
      message:
        'ec2:DescribeNetworkAcls: expected an answer, came UnauthorizedOperation: the credentials of this machine lack that right',
    },
  });
  assert.ok(rules && 'items' in rules && routeTables && 'items' in routeTables);
});

test('throttling is waited out', async () => {
  await using api = await startApi();
  api.fault = (_call, count) => (count <= 2 ? { status: 503, code: 'RequestLimitExceeded' } : undefined);
  assert.ok('items' in (await ask({ api })).interfaces);
  assert.equal(api.calls.length, 3);
});

for (const [what, fault, code, words] of [
  ['throttling for ever', { status: 503, code: 'RequestLimitExceeded' }, 'discovery.api-failed', /too often/],
  [
    'an expired token',
    { status: 400, code: 'ExpiredTokenException' },
    'discovery.api-credentials',
    /not accepted/,
  ],
  ['an unknown key', { status: 401, code: 'AuthFailure' }, 'discovery.api-credentials', /not accepted/],
  [
    'an error of the service',
    { status: 500, code: 'InternalError' },
    'discovery.api-failed',
    /InternalError/,
  ],
  ['a broken connection', 'reset', 'discovery.api-failed', /ECONNRESET/],
  ['an answer that is cut off', 'cut', 'discovery.api-failed', /came/],
  ['the page of a hotel', 'garbage', 'discovery.api-failed', /came/],
] as const) {
  test(`${what} is ${code}`, async () => {
    await using api = await startApi();
    api.fault = () => fault;
    const answer = await ask({ api });
    const refusal = refusalIn(answer);
    assert.equal(refusal.code, code, refusal.message);
    assert.match(refusal.message, words);
    assert.ok(refusal.message.length < 400, refusal.message);
  });
}

test('no answer at all ends within its time', async () => {
  await using api = await startApi();
  const asked = Promise.withResolvers<void>();
  api.fault = () => {
    asked.resolve();
    return 'hang';
  };
  const clock = new ManualClock();
  const answer = ask({ api, clock });
  await asked.promise;
  clock.advance(20_000);
  await assert.rejects(answer, (error: DiscoveryError) => error.code === 'discovery.api-timeout');
  assert.equal(clock.pending, 0);
});

test('without credentials, and without a region, that is what is said', async () => {
  await using api = await startApi();
  const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
  const anonymous = refusalIn(await ask({ api, env: none }));
  assert.equal(anonymous.code, 'discovery.api-credentials');
  assert.match(anonymous.message, /^ec2:DescribeNetworkInterfaces: expected an answer, came no credentials/);
  const lost = refusalIn(await ask({ api, env: { AWS_REGION: undefined } }));
  assert.match(lost.message, /the region is not known; set AWS_REGION/);
  assert.equal(api.calls.length, 0);
});

test("the role's credentials come from metadata", async () => {
  await using api = await startApi();
  const credentials = {
    Code: 'Success',
    Type: 'AWS-HMAC',
    AccessKeyId: fakeAccessKey.id,
    SecretAccessKey: fakeAccessKey.secret,
    Token: 'session',
    Expiration: new Date(Date.now() + 3_600_000).toISOString(),
  };
  await using imds = await startFakeImds({
    document: { iam: { 'security-credentials': { sip: JSON.stringify(credentials) } } },
  });
  const env = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
  assert.ok('items' in (await ask({ api, imds, env })).interfaces);
});

test('AWS_ENDPOINT_URL serves too, and a proxy is used unless NO_PROXY says otherwise', async () => {
  await using api = await startApi();
  const asked: string[] = [];
  const proxy = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(502).end();
  });
  await using listening = await listen(proxy);
  const HTTP_PROXY = listening.url;
  const env = {
    AWS_ENDPOINT_URL_EC2: undefined,
    AWS_ENDPOINT_URL: api.url,
    HTTP_PROXY,
    AWS_MAX_ATTEMPTS: '1',
  };
  refusalIn(await ask({ api, env }));
  assert.deepEqual([asked, api.calls.length], [[`${api.url}/`], 0]);
  assert.ok('items' in (await ask({ api, env: { ...env, NO_PROXY: '127.0.0.1' } })).interfaces);
  assert.equal(asked.length, 1);
});
