import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { azure } from '../../providers/azure.ts';
import { providers } from '../../providers/index.ts';
import { selectProvider } from '../../src/discovery/detect.ts';
import type { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import type { OsInterface } from '../../src/net/os-interfaces.ts';
import { type AzureRequest, startFakeAzure } from '../support/fake-azure.ts';
import {
  type AzureDocuments,
  type AzureNicDescription,
  azureDocuments,
} from '../support/fake-azure-document.ts';
import type { Fault } from '../support/fake-server.ts';
import { ImpatientClock } from '../support/impatient-clock.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { contextOf, fixture, pairs, type Surroundings } from './azure/surroundings.ts';

const TAG = '7783-7084-3265-9085-8269-3286-77';
const never = (): AbortSignal => new AbortController().signal;

async function discoverFrom(documents: AzureDocuments, surroundings?: Surroundings): Promise<Topology> {
  await using imds = await startFakeAzure({ documents });
  return await azure.discover(contextOf(imds, surroundings), never());
}

async function discoverWith(
  fault: (request: AzureRequest, count: number) => Fault | undefined,
): Promise<{ topology?: Topology; error?: DiscoveryError; requests: readonly AzureRequest[] }> {
  await using imds = await startFakeAzure({ documents: ONE_NIC });
  imds.fault = fault;
  try {
    return { topology: await azure.discover(contextOf(imds), never()), requests: imds.requests };
  } catch (error) {
    return { error: error as DiscoveryError, requests: imds.requests };
  }
}

const NIC: AzureNicDescription = {
  mac: '00:0d:3a:f8:06:ec',
  addresses: [{ private: '10.0.0.4', public: '203.0.113.5' }],
  subnetCidr: '10.0.0.0/24',
};
const ONE_NIC = azureDocuments({ nics: [NIC] });

for (const [what, dmi, name] of [
  ['a VM of Azure', { sys_vendor: 'Microsoft Corporation', chassis_asset_tag: TAG }, 'azure'],
  ['a VM of Azure that tells nothing else', { chassis_asset_tag: TAG }, 'azure'],
  [
    'Hyper-V under a desk',
    {
      sys_vendor: 'Microsoft Corporation',
      product_name: 'Virtual Machine',
      bios_vendor: 'American Megatrends Inc.',
      board_vendor: 'Microsoft Corporation',
      chassis_vendor: 'Microsoft Corporation',
      chassis_asset_tag: '1234-5678-9012-3456-7890-1234-56',
    },
    'local',
  ],
  [
    'Hyper-V without a tag',
    { sys_vendor: 'Microsoft Corporation', product_name: 'Virtual Machine' },
    'local',
  ],
  ['a Surface', { sys_vendor: 'Microsoft Corporation', product_name: 'Surface Pro 9' }, 'local'],
  ['a tag that only begins alike', { chassis_asset_tag: `${TAG}0` }, 'local'],
  ['a tag in another field', { board_asset_tag: TAG }, 'local'],
] as const) {
  test(`${what} is ${name}`, () => {
    assert.equal(selectProvider(providers, 'auto', { dmi, interfaces: [] }).name, name);
  });
}

/** Every recording, made into the whole documents that a machine would serve, and what must come out. */
const network = (nics: unknown): AzureDocuments => ({ instance: { network: { interface: nics } } });
const firstNic = (fixture('instance-network.json') as { interface: unknown[] }).interface[0];
const balanced = (file: string, privateAddresses: readonly string[]): AzureDocuments => ({
  ...azureDocuments({
    nics: [{ mac: NIC.mac, addresses: privateAddresses.map((address) => ({ private: address })) }],
  }),
  loadbalancer: fixture(file),
});
type Row = [AzureDocuments, (topology: Topology, documents: AzureDocuments) => void];
const nicPairs = (...expected: (string | undefined)[][][]): Row[1] => {
  return ({ interfaces }) => assert.deepEqual(interfaces.map(pairs), expected);
};
const RECORDINGS: Record<string, Row | undefined> = {
  'instance-one-nic-basic-sku.json': [
    { instance: fixture('instance-one-nic-basic-sku.json') },
    (topology) =>
      assert.deepEqual(topology, {
        provider: 'azure',
        interfaces: [
          {
            mac: '00:0d:3a:04:75:98',
            addresses: [{ privateAddress: '10.0.0.4', publicAddress: '104.46.124.81', provenance: 'imds' }],
            subnets: ['10.0.0.0/24'],
          },
        ],
        localNetworks: ['10.0.0.0/24'],
      }),
  ],
  'instance-network.json': [
    { instance: { network: fixture('instance-network.json') } },
    nicPairs([['10.0.0.4', '104.46.124.81']]),
  ],
  'issue44314-standard-sku-empty-public.json': [
    { instance: { network: fixture('issue44314-standard-sku-empty-public.json') } },
    ({ interfaces, notes = [] }) => {
      const address = { privateAddress: '10.0.8.5', provenance: 'imds', publicUnknown: true };
      assert.deepEqual(interfaces[0]?.addresses, [address]);
      assert.match(notes.join(), /in front of 10\.0\.8\.5 .*names no subscription, resource group and VM/);
    },
  ],
  'secondary-interface-no-ip.json': [
    network([firstNic, fixture('secondary-interface-no-ip.json')]),
    nicPairs([['10.0.0.4', '104.46.124.81']], []),
  ],
  'secondary-interface-no-public.json': [
    network([firstNic, fixture('secondary-interface-no-public.json')]),
    ({ interfaces, localNetworks }) => {
      assert.deepEqual(interfaces.map(pairs), [[['10.0.0.4', '104.46.124.81']], [['10.0.1.5', undefined]]]);
      assert.equal(interfaces[1]?.addresses[0]?.publicUnknown, true);
      assert.deepEqual(localNetworks, ['10.0.0.0/24', '10.0.1.0/24']);
    },
  ],
  'talos-network-interface.json': [
    network(fixture('talos-network-interface.json')),
    nicPairs([
      ['172.18.1.10', '1.2.3.4'],
      ['fd00::10', undefined],
    ]),
  ],
  'talos-loadbalancer.json': [
    balanced('talos-loadbalancer.json', ['172.18.1.10', 'fd00::10']),
    nicPairs([
      ['172.18.1.10', '20.10.5.34'],
      ['fd00::10', '2603:1020:10:5::34'],
    ]),
  ],
  'doc-loadbalancer.json': [
    balanced('doc-loadbalancer.json', ['10.1.0.4', 'ace:cab:deca:deed::1']),
    // The second has rules of the load balancer only: nothing stands in front of it one to one.
    nicPairs([
      ['10.1.0.4', '51.0.0.1'],
      ['ace:cab:deca:deed::1', undefined],
    ]),
  ],
  'issue535-loadbalancer.json': [
    balanced('issue535-loadbalancer.json', ['10.240.0.2', '20.20.20.20']),
    // 100.100.100.100 was put there by whoever redacted it; as an address it is a carrier's private one.
    nicPairs([
      ['10.240.0.2', undefined],
      ['20.20.20.20', undefined],
    ]),
  ],
  'spec-compute-2021-11-15.json': [
    {
      instance: {
        ...(fixture('spec-compute-2021-11-15.json') as object),
        network: { interface: [firstNic] },
      },
    },
    ({ interfaces, options }) => {
      assert.deepEqual(interfaces.map(pairs), [[['10.0.0.4', '104.46.124.81']]]);
      assert.equal(options, undefined);
    },
  ],
  'talos-compute.json': [
    { instance: { compute: fixture('talos-compute.json'), network: { interface: [firstNic] } } },
    nicPairs([['10.0.0.4', '104.46.124.81']]),
  ],
};
/** Read by tests of their own. */
const ELSEWHERE = ['doc-scheduledevents-freeze.json', 'error-missing-api-version.json'];
const files = readdirSync(new URL('../fixtures/metadata/azure/', import.meta.url));
for (const file of files.filter((name) => name.endsWith('.json') && !ELSEWHERE.includes(name))) {
  test(`the recording ${file}`, async () => {
    const row = RECORDINGS[file];
    assert.ok(row, 'no test reads this recording');
    const [documents, judge] = row;
    judge(await discoverFrom(documents), documents);
  });
}

test('the interfaces or the load balancer tell the public address; two that differ are both shown', async () => {
  const documents = azureDocuments({ nics: [NIC] }, 'loadbalancer');
  assert.deepEqual(pairs((await discoverFrom(documents)).interfaces[0]), [['10.0.0.4', '203.0.113.5']]);
  const other = azureDocuments(
    { nics: [{ ...NIC, addresses: [{ private: '10.0.0.4', public: '203.0.113.9' }] }] },
    'loadbalancer',
  );
  const both = await discoverFrom({ ...ONE_NIC, loadbalancer: other.loadbalancer });
  assert.deepEqual(both.interfaces[0]?.addresses, [
    {
      privateAddress: '10.0.0.4',
      publicAddress: '203.0.113.5',
      provenance: 'imds',
      disagreements: [{ provenance: 'imds', publicAddress: '203.0.113.9' }],
    },
  ]);
});

test('two interfaces, a secondary address and IPv6 in brackets, each with its own public address', async () => {
  const { interfaces, localNetworks, notes } = await discoverFrom(
    azureDocuments(
      {
        nics: [
          {
            ...NIC,
            addresses: [
              { private: '10.0.0.4', public: '203.0.113.5' },
              { private: '10.0.0.5', public: '203.0.113.6' },
              { private: 'fd00::4', public: '2603:1020::4' },
            ],
          },
          {
            mac: '000d3af806ed',
            addresses: [{ private: '10.0.1.4', public: '203.0.113.7' }],
            subnetCidr: '10.0.1.0/24',
          },
        ],
      },
      'loadbalancer',
    ),
  );
  assert.deepEqual(interfaces.map(pairs), [
    [
      ['10.0.0.4', '203.0.113.5'],
      ['10.0.0.5', '203.0.113.6'],
      ['fd00::4', '2603:1020::4'],
    ],
    [['10.0.1.4', '203.0.113.7']],
  ]);
  assert.deepEqual(localNetworks, ['10.0.0.0/24', '10.0.1.0/24']);
  assert.equal(notes, undefined);
});

test('joined by MAC in every spelling; of two devices with one MAC the one with the addresses wins', async () => {
  const os = (name: string, mac: string, ...addresses: string[]): OsInterface => ({
    name,
    mac,
    internal: false,
    addresses: addresses.map((address) => ({ address, prefixLength: 24, family: 'ipv4' })),
  });
  const interfaces = [
    os('enP51s1', '00:0d:3a:f8:06:ec', '169.254.9.9'),
    os('eth0', '00:0d:3a:f8:06:ec', '10.0.0.4'),
    os('eth1', '00:0d:3a:f8:06:ed', '10.0.1.4'),
  ];
  const second = { mac: '00-0D-3A-F8-06-ED', addresses: [{ private: '10.0.1.4', public: '203.0.113.6' }] };
  // In the order of the metadata, which says nothing, the second card comes first.
  const topology = await discoverFrom(azureDocuments({ nics: [second, NIC] }), { interfaces });
  assert.deepEqual(
    topology.interfaces.map(({ osName, mac }) => [osName, mac]),
    [
      ['eth0', '00:0d:3a:f8:06:ec'],
      ['eth1', '00:0d:3a:f8:06:ed'],
    ],
  );
  const [unplugged] = (await discoverFrom(ONE_NIC, { interfaces: [] })).interfaces;
  assert.equal(unplugged?.osName, undefined);
});

test('tags named cloudsip-… are options, in any case; others and unusable ones are not', async () => {
  const tags = {
    'cloudsip-log-level': 'debug',
    'CloudSIP-Domain': ' example.com ',
    team: 'voice',
    'cloudsip-bad name': 'x',
    'cloudsip-realm': 'a\nb',
    'cloudsip-alias': 'x'.repeat(1025),
  };
  const { options, notes } = await discoverFrom(azureDocuments({ nics: [NIC], tags }));
  assert.deepEqual(options, { 'log-level': 'debug', domain: 'example.com' });
  assert.equal(notes?.length, 3);
  assert.match(notes[0]!, /"cloudsip-bad name" sets no option/);
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`cloudsip-o${index}`, 'v']));
  const bounded = await discoverFrom(azureDocuments({ nics: [NIC], tags: many }));
  assert.equal(Object.keys(bounded.options ?? {}).length, 64);
});

test('the header is sent, the version named, nothing is forwarded', async () => {
  const { requests } = await discoverWith(() => undefined);
  assert.deepEqual(
    requests.map(({ method, path, query }) => `${method} ${path} ${query.get('api-version')}`).sort(),
    ['GET /metadata/instance 2021-08-01', 'GET /metadata/loadbalancer 2020-10-01'],
  );
  for (const { headers } of requests) {
    assert.equal(headers['metadata'], 'true');
    assert.equal(headers['x-forwarded-for'], undefined);
  }
});

test('a version that is refused is replaced by one that is understood, and remembered', async () => {
  await using imds = await startFakeAzure({ documents: ONE_NIC });
  // Azure Stack.
  imds.versions = ['2018-10-01', '2019-06-01'];
  const context = contextOf(imds);
  const topology = await azure.discover(context, never());
  assert.deepEqual(pairs(topology.interfaces[0]), [['10.0.0.4', '203.0.113.5']]);
  assert.equal(imds.requests.length, 4);
  await azure.discover(context, never());
  assert.deepEqual(
    imds.requests.slice(4).map(({ query }) => query.get('api-version')),
    ['2019-06-01', '2019-06-01'],
  );
});

test('where all understood versions are newer the oldest of them serves, as the recorded refusal lists them', async () => {
  const body = JSON.stringify(fixture('error-missing-api-version.json'));
  const { topology, requests } = await discoverWith((_request, count) =>
    count === 1 ? { status: 400, body } : undefined,
  );
  assert.equal(topology, undefined, '2024-03-15 is not among the versions of the stand-in');
  assert.ok(requests.some(({ query }) => query.get('api-version') === '2024-03-15'));
});

const ANSWERS: [string, (request: AzureRequest) => Fault | undefined, code: string, words: RegExp][] = [
  ['a service that is switched off', () => ({ status: 403 }), 'discovery.metadata-forbidden', /came 403/],
  [
    'another web server',
    () => ({ status: 404 }),
    'discovery.metadata-garbled',
    /instance: expected an object/,
  ],
  [
    'a refusal without versions',
    () => ({ status: 400, body: '{}' }),
    'discovery.metadata-failed',
    /came 400/,
  ],
  [
    'a refusal that lists no versions',
    () => ({ status: 400, body: '{"newest-versions":["../..",7,null]}' }),
    'discovery.metadata-failed',
    /came 400/,
  ],
  [
    'a page',
    () => ({ status: 200, body: '<html>\u0000' }),
    'discovery.metadata-garbled',
    /came "<html>\\u0000"/,
  ],
  ['a list', () => ({ status: 200, body: '[1]' }), 'discovery.metadata-garbled', /expected an object/],
  ['null', () => ({ status: 200, body: 'null' }), 'discovery.metadata-garbled', /expected an object/],
  [
    'no interfaces',
    ({ path }) =>
      path.endsWith('/instance') ? { status: 200, body: '{"network":{"interface":{}}}' } : undefined,
    'discovery.metadata-garbled',
    /1 to 64 network interfaces, came 0/,
  ],
  [
    'an interface without a MAC',
    ({ path }) =>
      path.endsWith('/instance') ? { status: 200, body: '{"network":{"interface":[{}]}}' } : undefined,
    'discovery.metadata-garbled',
    /expected a MAC address/,
  ],
  [
    'an address that is none',
    ({ path }) =>
      path.endsWith('/instance')
        ? {
            status: 200,
            body: '{"network":{"interface":[{"macAddress":"000D3AF806EC","ipv4":{"ipAddress":[{"privateIpAddress":"1.2.3.4; rm"}]}}]}}',
          }
        : undefined,
    'discovery.metadata-garbled',
    /expected an IPv4 address, came "1\.2\.3\.4; rm"/,
  ],
  [
    'a megabyte',
    () => ({ status: 200, body: 'x'.repeat(1_048_576) }),
    'discovery.metadata-too-large',
    /262144/,
  ],
  ['a service that throttles for ever', () => ({ status: 429 }), 'discovery.metadata-throttled', /came 429/],
  ['a service that is down', () => ({ status: 503 }), 'discovery.metadata-throttled', /came 503/],
  ['half an answer each time', () => 'cut', 'discovery.metadata-unreachable', /cut off/],
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
  { status: 429, headers: { 'Retry-After': '1' } },
  { status: 410 },
  { status: 503, headers: { 'Retry-After': '0' } },
  { status: 500 },
  'cut',
  'reset',
] as const) {
  test(`${JSON.stringify(trouble)} once to each question changes nothing`, async () => {
    const { topology } = await discoverWith((_request, count) => (count === 1 ? trouble : undefined));
    assert.deepEqual(pairs(topology?.interfaces[0]), [['10.0.0.4', '203.0.113.5']]);
  });
}

const balancerTroubles: [Fault, code: string][] = [
  [{ status: 500 }, 'discovery.metadata-failed'],
  [{ status: 200, body: '<html>' }, 'discovery.metadata-garbled'],
  [
    {
      status: 200,
      body: '{"loadbalancer":{"publicIpAddresses":[{"frontendIpAddress":"1.2.3.4 x","privateIpAddress":"10.0.0.4"}]}}',
    },
    'discovery.metadata-garbled',
  ],
];
for (const [trouble, code] of balancerTroubles) {
  test(`${JSON.stringify(trouble)} from the load balancer's metadata matters to who depends on it alone`, async () => {
    await using imds = await startFakeAzure({ documents: ONE_NIC });
    imds.fault = ({ path }) => (path === '/metadata/loadbalancer' ? trouble : undefined);
    const topology = await azure.discover(contextOf(imds), never());
    assert.deepEqual(pairs(topology.interfaces[0]), [['10.0.0.4', '203.0.113.5']]);
    imds.documents = azureDocuments({ nics: [NIC] }, 'nobody');
    await assert.rejects(azure.discover(contextOf(imds), never()), { code });
  });
}

/** Waits that are over at once are those between two attempts: no time-out is among them. */
class WaitingClock extends ImpatientClock {
  override schedule(callback: () => void, delayMs: number): object {
    return [1100, 2200, 4400, 8800, 17_600, 34_000].includes(delayMs)
      ? super.schedule(callback, delayMs)
      : {};
  }
}

test('410 is waited out for a minute, and not for longer', async () => {
  const clock = new WaitingClock(60_000);
  await using imds = await startFakeAzure({ documents: ONE_NIC });
  imds.fault = ({ path }) => (path === '/metadata/instance' ? { status: 410 } : undefined);
  await assert.rejects(azure.discover(contextOf(imds, { clock }), never()), (error: DiscoveryError) => {
    assert.equal(error.code, 'discovery.metadata-failed');
    assert.match(error.message, /came 410 for more than a minute/);
    return true;
  });
  const waitedMs = clock.waits.reduce((sum, ms) => sum + ms, 0);
  assert.ok(waitedMs > 60_000 && waitedMs < 70_000, `${waitedMs} ms`);
});

test('a silent service is an error in time', async () => {
  await using imds = await startFakeAzure({ documents: ONE_NIC });
  const clock = new ManualClock();
  const asked = Promise.withResolvers<void>();
  imds.fault = ({ path }) => {
    if (path === '/metadata/instance') asked.resolve();
    return 'hang';
  };
  const discovery = azure.discover(contextOf(imds, { clock }), never());
  await asked.promise;
  clock.advance(10_000);
  await assert.rejects(discovery, { code: 'discovery.metadata-timeout' });
  assert.equal(clock.pending, 0);
});

test('the fifth request within a second waits for its turn', async () => {
  await using imds = await startFakeAzure({ documents: ONE_NIC });
  const clock = new ManualClock();
  const context = contextOf(imds, { clock });
  await azure.discover(context, never());
  await azure.discover(context, never());
  assert.equal(imds.requests.length, 4);
  const third = azure.discover(context, never());
  while (clock.pending < 2) await new Promise(setImmediate);
  assert.equal(imds.requests.length, 4);
  clock.advance(1000);
  await third;
  assert.equal(imds.requests.length, 6);
  assert.equal(clock.pending, 0);
});

test('the default endpoint is the link-local one', async () => {
  const abort = new AbortController();
  abort.abort();
  const context = { ...contextOf({ url: '' }), env: {} };
  await assert.rejects(azure.discover(context, abort.signal), (error: DiscoveryError) => {
    assert.equal(error.code, 'discovery.aborted');
    assert.match(
      error.message,
      /^GET http:\/\/169\.254\.169\.254\/metadata\/instance\?api-version=2021-08-01:/,
    );
    return true;
  });
});

test('watching tells of a public address that changes', async () => {
  await using imds = await startFakeAzure({ documents: ONE_NIC });
  const clock = new ManualClock();
  const abort = new AbortController();
  const context = contextOf(imds, { clock });
  const known = await azure.discover(context, abort.signal);
  const changed = Promise.withResolvers<Topology>();
  azure.watch(context, changed.resolve, abort.signal, known);
  imds.documents = azureDocuments({
    nics: [{ ...NIC, addresses: [{ private: '10.0.0.4', public: '203.0.113.77' }] }],
  });
  clock.advance(16_500);
  assert.deepEqual(pairs((await changed.promise).interfaces[0]), [['10.0.0.4', '203.0.113.77']]);
  abort.abort();
  assert.equal(clock.pending, 0);
});
