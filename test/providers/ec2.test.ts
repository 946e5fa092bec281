import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ec2 } from '../../providers/ec2.ts';
import type { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { NetworkInterface, Topology } from '../../src/discovery/topology.ts';
import type { Clock } from '../../src/net/clock.ts';
import type { OsInterface } from '../../src/net/os-interfaces.ts';
import { type FakeImds, startFakeImds } from '../support/fake-imds.ts';
import { type ImdsTree, imdsDocument, type NicDescription } from '../support/fake-imds-document.ts';
import type { Fault, SeenRequest } from '../support/fake-server.ts';
import { ImpatientClock } from '../support/impatient-clock.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

const fixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/metadata/ec2/${name}`, import.meta.url), 'utf8');
const recording = (name: string): ImdsTree => JSON.parse(fixture(name)) as ImdsTree;

interface Surroundings {
  readonly interfaces?: readonly OsInterface[];
  readonly clock?: Clock;
  readonly env?: Record<string, string>;
}

function contextOf(
  imds: Pick<FakeImds, 'url'>,
  { interfaces = [], clock, env }: Surroundings = {},
): DiscoveryContext {
  return {
    facts: { dmi: {}, interfaces },
    // The retries' waits, but neither the connect time-out (1 s) nor the call's (5 s).
    clock: clock ?? new ImpatientClock(900),
    log: quietLog(),
    env: env ?? { AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.url },
    configuration: undefined,
  };
}

async function discoverFrom(document: ImdsTree, surroundings?: Surroundings): Promise<Topology> {
  await using imds = await startFakeImds({ document });
  return await ec2.discover(contextOf(imds, surroundings), new AbortController().signal);
}

async function discoverWith(
  fault: (request: SeenRequest, count: number) => Fault | undefined,
): Promise<{ topology?: Topology; error?: DiscoveryError; requests: readonly SeenRequest[] }> {
  await using imds = await startFakeImds({ document: ONE_NIC });
  imds.fault = fault;
  try {
    const topology = await ec2.discover(contextOf(imds), new AbortController().signal);
    return { topology, requests: imds.requests };
  } catch (error) {
    return { error: error as DiscoveryError, requests: imds.requests };
  }
}

const pairs = (nic: NetworkInterface | undefined): (string | undefined)[][] =>
  (nic?.addresses ?? []).map(({ privateAddress, publicAddress }) => [privateAddress, publicAddress]);

const NIC: NicDescription = {
  mac: '02:00:00:00:00:01',
  addresses: [{ private: '10.0.0.15', public: '203.0.113.5' }],
  subnetCidr: '10.0.0.0/24',
  vpcCidrs: ['10.0.0.0/16'],
};
const ONE_NIC = imdsDocument({ nics: [NIC] });

test('a recorded machine with secondary addresses and IPv6', async () => {
  const topology = await discoverFrom(recording('secondary-addresses.json'));
  assert.deepEqual(topology, {
    provider: 'ec2',
    interfaces: [
      {
        mac: '0a:07:84:3d:6e:38',
        id: 'eni-0d6335689899ce9cc',
        addresses: [
          { privateAddress: '172.31.44.13', publicAddress: '18.218.219.181', provenance: 'imds' },
          { privateAddress: '172.31.45.70', provenance: 'imds' },
          { privateAddress: '2600:1f16:292:100:c187:593c:4349:136', provenance: 'imds' },
          { privateAddress: '2600:1f16:292:100:f153:12a3:c37c:11f9', provenance: 'imds' },
          { privateAddress: '2600:1f16:292:100:f152:2222:3333:4444', provenance: 'imds' },
        ],
        subnets: ['172.31.32.0/20', '2600:1f16:292:100::/64'],
      },
    ],
    localNetworks: ['172.31.0.0/16', '2600:1f16:292:100::/56', '172.31.32.0/20', '2600:1f16:292:100::/64'],
  });
});

test('a recorded machine with two interfaces, the second without a public address', async () => {
  const { interfaces } = await discoverFrom(recording('two-nics.json'));
  assert.deepEqual(
    interfaces.map((nic) => [nic.mac, pairs(nic)]),
    [
      [
        '06:17:04:d7:26:09',
        [
          ['172.3.3.15', '13.59.77.202'],
          ['2600:1f16:aeb:b20b:9d87:a4af:5cc9:73dc', undefined],
        ],
      ],
      ['06:17:04:d7:26:08', [['172.3.3.16', undefined]]],
    ],
  );
});

test('a recorded IPv6-only machine: no IPv4 anywhere, the primary interface first', async () => {
  const document = {
    mac: '02:7c:03:b8:5c:af',
    network: { interfaces: recording('ipv6-only-two-nics.json') },
  };
  const topology = await discoverFrom(document);
  assert.deepEqual(
    topology.interfaces.map((nic) => [nic.mac, pairs(nic), nic.subnets]),
    [
      [
        '02:7c:03:b8:5c:af',
        [['2600:1f16:67f:f201:6613:29a2:dbf7:2f1f', undefined]],
        ['2600:1f16:67f:f201::/64'],
      ],
      [
        '02:6b:df:a2:4b:2b',
        [['2600:1f16:67f:f201:8d2e:4d1f:9e80:4ab9', undefined]],
        ['2600:1f16:67f:f201::/64'],
      ],
    ],
  );
  assert.deepEqual(topology.localNetworks, [
    '192.168.0.0/20',
    '2600:1f16:67f:f200::/56',
    '2600:1f16:67f:f201::/64',
  ]);
});

test('each secondary private address has its own public one', async () => {
  const { interfaces } = await discoverFrom(
    imdsDocument({
      nics: [
        {
          mac: '02:00:00:00:00:01',
          addresses: [
            { private: '10.10.2.50' },
            { private: '10.10.2.60', public: '54.241.193.4' },
            { private: '10.10.2.70', public: '54.183.71.63' },
          ],
        },
      ],
    }),
  );
  assert.deepEqual(pairs(interfaces[0]), [
    ['10.10.2.50', undefined],
    ['10.10.2.60', '54.241.193.4'],
    ['10.10.2.70', '54.183.71.63'],
  ]);
});

test('the primary interface comes first, then network cards, then devices; a premature 0 comes last', async () => {
  const nic = (last: string, networkCard: number, deviceNumber: number): NicDescription => ({
    mac: `02:00:00:00:00:${last}`,
    networkCard,
    deviceNumber,
    addresses: [],
  });
  const { interfaces } = await discoverFrom(
    imdsDocument({
      mac: '02:00:00:00:00:0e',
      nics: [nic('0a', 0, 0), nic('0b', 1, 1), nic('0c', 0, 2), nic('0d', 0, 1), nic('0e', 0, 0)],
    }),
  );
  assert.deepEqual(
    interfaces.map(({ mac }) => mac.slice(-1)),
    ['e', 'd', 'c', 'a', 'b'],
  );
});

test('an interface of another account is mapped like any other', async () => {
  const foreign = {
    ...NIC,
    mac: '02:00:00:00:00:02',
    ownerId: '999999999999',
    addresses: [{ private: '10.9.0.4', public: '203.0.113.9' }],
  };
  const { interfaces } = await discoverFrom(imdsDocument({ nics: [NIC, foreign] }));
  assert.deepEqual(pairs(interfaces[1]), [['10.9.0.4', '203.0.113.9']]);
});

test('the operating system is joined by MAC, and by address where several have the same MAC', async () => {
  const os = (name: string, mac: string, address: string): OsInterface => ({
    name,
    mac,
    internal: false,
    addresses: [{ address, prefixLength: 24, family: 'ipv4' }],
  });
  const interfaces = [
    os('ens6', '02:00:00:00:00:02', '10.0.0.15'),
    os('ens5.100', NIC.mac, '192.168.100.1'),
    os('ens5', NIC.mac, '10.0.0.15'),
  ];
  assert.equal((await discoverFrom(ONE_NIC, { interfaces })).interfaces[0]?.osName, 'ens5');
  const [hotPlugged] = (await discoverFrom(ONE_NIC, { interfaces: interfaces.slice(0, 1) })).interfaces;
  assert.equal(hotPlugged?.osName, undefined);
  assert.deepEqual(pairs(hotPlugged), [['10.0.0.15', '203.0.113.5']]);
});

test('without associations only a single pair is believed', async () => {
  const mac = '02:00:00:00:00:01';
  const machine = (item: ImdsTree): ImdsTree => ({ mac, network: { interfaces: { macs: { [mac]: item } } } });
  const one = await discoverFrom(machine({ 'local-ipv4s': '10.0.0.1', 'public-ipv4s': '203.0.113.1' }));
  assert.deepEqual(pairs(one.interfaces[0]), [['10.0.0.1', '203.0.113.1']]);
  const two = await discoverFrom(
    machine({ 'local-ipv4s': ['10.0.0.1', '10.0.0.2'], 'public-ipv4s': '203.0.113.1' }),
  );
  assert.deepEqual(pairs(two.interfaces[0]), [
    ['10.0.0.1', undefined],
    ['10.0.0.2', undefined],
  ]);
});

test('an interface that is detached while it is read is left out', async () => {
  await using imds = await startFakeImds({
    document: imdsDocument({ nics: [NIC, { ...NIC, mac: '02:00:00:00:00:02' }] }),
  });
  imds.fault = ({ path }) => (path.endsWith('02:00:00:00:00:02/') ? { status: 404 } : undefined);
  const { interfaces } = await ec2.discover(contextOf(imds), new AbortController().signal);
  assert.deepEqual(
    interfaces.map(({ mac }) => mac),
    [NIC.mac],
  );
});

test('the session token is asked for with its lifetime, without forwarding headers, and sent along', async () => {
  const { requests } = await discoverWith(() => undefined);
  const [put, ...gets] = requests;
  assert.equal(put?.method, 'PUT');
  assert.equal(put?.headers['x-aws-ec2-metadata-token-ttl-seconds'], '300');
  assert.equal(put?.headers['x-forwarded-for'], undefined);
  assert.ok(gets.length > 5);
  for (const get of gets) assert.match(String(get.headers['x-aws-ec2-metadata-token']), /^token-/, get.path);
});

test('a token that expires midway is renewed once for all that used it', async () => {
  await using imds = await startFakeImds({ document: ONE_NIC });
  imds.fault = ({ path }) => {
    if (
      path.endsWith('/local-ipv4s') &&
      imds.requests.filter(({ method }) => method === 'PUT').length === 1
    ) {
      imds.expireTokens();
    }
    return undefined;
  };
  const { interfaces } = await ec2.discover(contextOf(imds), new AbortController().signal);
  assert.deepEqual(pairs(interfaces[0]), [['10.0.0.15', '203.0.113.5']]);
  assert.equal(imds.requests.filter(({ method }) => method === 'PUT').length, 2);
});

const body401 = fixture('401.xhtml');
const ANSWERS: [
  what: string,
  fault: (request: SeenRequest) => Fault | undefined,
  code: string,
  words: RegExp,
][] = [
  [
    'a service that refuses every token',
    ({ method }) => (method === 'GET' ? { status: 401, body: body401 } : undefined),
    'discovery.metadata-unauthorized',
    /came 401 although the session token is fresh/,
  ],
  [
    'a service that is switched off',
    () => ({ status: 403 }),
    'discovery.metadata-forbidden',
    /^PUT .*\/latest\/api\/token: .*403.*--http-endpoint enabled/,
  ],
  [
    'a service that is switched off midway',
    ({ path }) => (path.endsWith('/mac') ? { status: 403 } : undefined),
    'discovery.metadata-forbidden',
    /^GET .*\/meta-data\/mac: .*--http-endpoint enabled/,
  ],
  [
    'another web server',
    () => ({ status: 404, body: fixture('404.xhtml') }),
    'discovery.metadata-failed',
    /came 404/,
  ],
  [
    'a token that is a page',
    ({ method }) => (method === 'PUT' ? { status: 200, body: body401 } : undefined),
    'discovery.metadata-garbled',
    /expected a session token/,
  ],
  [
    'addresses that are none',
    ({ path }) =>
      path.endsWith('/local-ipv4s')
        ? { status: 200, body: '\u0000\u0001<b>10.0.0.300</b>'.repeat(99) }
        : undefined,
    'discovery.metadata-garbled',
    /local-ipv4s: expected an IP address, came "\\u0000/,
  ],
  [
    'networks that are none',
    ({ path }) => (path.endsWith('/vpc-ipv4-cidr-blocks') ? { status: 200, body: '10.0.0.0' } : undefined),
    'discovery.metadata-garbled',
    /vpc-ipv4-cidr-blocks: expected a network such as 10\.0\.0\.0\/24, came "10\.0\.0\.0"/,
  ],
  [
    'a public address that is a path',
    ({ path }) => (path.endsWith('/ipv4-associations/') ? { status: 200, body: '../../iam' } : undefined),
    'discovery.metadata-garbled',
    /ipv4-associations\/: expected an IP address/,
  ],
  [
    'no interfaces',
    ({ path }) => (path.endsWith('/macs/') ? { status: 200, body: '\n' } : undefined),
    'discovery.metadata-garbled',
    /expected 1 to 256 network interfaces, came 0/,
  ],
  [
    'a megabyte',
    ({ path }) => (path.endsWith('/macs/') ? { status: 200, body: 'x'.repeat(1_048_576) } : undefined),
    'discovery.metadata-too-large',
    /at most 65536 bytes/,
  ],
  ['a service that throttles for ever', () => ({ status: 503 }), 'discovery.metadata-throttled', /came 503/],
];
for (const [what, fault, code, words] of ANSWERS) {
  test(`${what} is ${code}`, async () => {
    const { error } = await discoverWith(fault);
    assert.equal(error?.code, code, String(error));
    assert.match(error.message, words);
    assert.ok(error.message.length < 600);
  });
}

for (const trouble of [
  { status: 503, headers: { 'Retry-After': '0' } },
  { status: 500 },
  'cut',
  'reset',
] as const) {
  test(`${JSON.stringify(trouble)} once to each question changes nothing`, async () => {
    const { topology } = await discoverWith((_request, count) => (count === 1 ? trouble : undefined));
    assert.deepEqual(pairs(topology?.interfaces[0]), [['10.0.0.15', '203.0.113.5']]);
  });
}

test('a token that never comes although the connection stands points at the hop limit', async () => {
  await using imds = await startFakeImds({ document: ONE_NIC });
  const clock = new ManualClock();
  const asked = Promise.withResolvers<void>();
  imds.fault = () => {
    asked.resolve();
    return 'hang';
  };
  const discovery = ec2.discover(contextOf(imds, { clock }), new AbortController().signal);
  await asked.promise;
  clock.advance(5000);
  await assert.rejects(discovery, (error: DiscoveryError) => {
    assert.equal(error.code, 'discovery.metadata-timeout');
    assert.match(error.message, /hop limit is 1.*--http-put-response-hop-limit 2/);
    return true;
  });
  assert.equal(clock.pending, 0);
});

test('the mode of the endpoint must be one of two', async () => {
  const context = contextOf({ url: '' }, { env: { AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: 'both' } });
  await assert.rejects(ec2.discover(context, new AbortController().signal), {
    code: 'discovery.endpoint',
    message: 'AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE must be IPv4 or IPv6, not "both".',
  });
});

test("the default endpoints are the vendor's", async () => {
  const abort = new AbortController();
  abort.abort();
  const table: [Record<string, string>, string][] = [
    [{}, 'http://169.254.169.254/latest/api/token'],
    [{ AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: 'IPv6' }, 'http://[fd00:ec2::254]/latest/api/token'],
  ];
  for (const [env, url] of table) {
    await assert.rejects(
      ec2.discover(contextOf({ url: '' }, { env }), abort.signal),
      (error: DiscoveryError) => {
        assert.equal(error.code, 'discovery.aborted');
        assert.ok(error.message.includes(`PUT ${url}:`), error.message);
        return true;
      },
    );
  }
});

test('watching tells of a public address that changes', async () => {
  await using imds = await startFakeImds({ document: ONE_NIC });
  const clock = new ManualClock();
  const abort = new AbortController();
  const context = contextOf(imds, { clock });
  const known = await ec2.discover(context, abort.signal);
  const changed = Promise.withResolvers<Topology>();
  ec2.watch(context, changed.resolve, abort.signal, known);
  imds.document = imdsDocument({
    nics: [{ ...NIC, addresses: [{ private: '10.0.0.15', public: '203.0.113.77' }] }],
  });
  clock.advance(16_500);
  const topology = await changed.promise;
  assert.deepEqual(pairs(topology.interfaces[0]), [['10.0.0.15', '203.0.113.77']]);
  abort.abort();
  assert.equal(clock.pending, 0);
});
