import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ec2 } from '../../../providers/ec2.ts';
import { DiscoveryError } from '../../../src/discovery/discovery-error.ts';
import type { Topology } from '../../../src/discovery/topology.ts';
import { ec2Context } from '../../support/ec2-surroundings.ts';
import { type FakeImds, startFakeImds } from '../../support/fake-imds.ts';
import { type ImdsTree, imdsDocument } from '../../support/fake-imds-document.ts';
import { ManualClock } from '../../support/manual-clock.ts';

// Every recorded document is served as the cloud serves it, and read by the provider over real sockets.

const directory = new URL('../../fixtures/metadata/ec2/', import.meta.url);
const recorded = (name: string): string => readFileSync(new URL(name, directory), 'utf8');
const json = <Value = ImdsTree>(name: string): Value => JSON.parse(recorded(name)) as Value;

/** Puts a text at a path of a tree that can be changed. */
function put(tree: Record<string, unknown>, path: string, text: string): void {
  const names = path.split('/').filter((name) => name !== '');
  const last = names.pop()!;
  let node = tree;
  for (const name of names) {
    if (typeof node[name] !== 'object') node[name] = {};
    node = node[name] as Record<string, unknown>;
  }
  node[last] = text;
}

/** The defaults of the vendor's own mock: paths, and the values that belong to them. */
function mockDefaults(): ImdsTree {
  const { metadata } = json<{
    metadata: { paths: Record<string, string>; values: Record<string, unknown> };
  }>('mock-default-values.json');
  const tree: Record<string, unknown> = {};
  for (const [name, path] of Object.entries(metadata.paths)) {
    const value = metadata.values[name];
    if (typeof value === 'string') put(tree, path.replace('/latest/meta-data/', ''), value);
  }
  return tree as ImdsTree;
}

function textAssociations(): ImdsTree {
  const tree: Record<string, unknown> = { 'local-ipv4s': '172.30.0.0\n172.30.0.1' };
  for (const [path, text] of Object.entries(json<Record<string, string>>('text-associations.json'))) {
    put(tree, path, text);
  }
  return { mac: MAC, network: { interfaces: { macs: { [MAC]: tree as ImdsTree } } } };
}

const MAC = '02:00:00:00:00:01';
const MACHINE = imdsDocument({
  nics: [{ mac: MAC, addresses: [{ private: '10.0.0.15', public: '203.0.113.5' }] }],
});
const inner = (mac: string, tree: ImdsTree): ImdsTree => ({
  mac,
  network: { interfaces: { macs: { [mac]: tree } } },
});

const shown = ({ interfaces }: Topology): string[] =>
  interfaces.flatMap(({ addresses }) =>
    addresses.map(({ privateAddress, publicAddress }) => `${privateAddress} ${publicAddress ?? '-'}`),
  );

const ONE = ['10.0.0.15 203.0.113.5'];
/** For each document: how it is served, and what is found or which error ends it. */
const DOCUMENTS: Record<string, { serve: (imds: FakeImds) => void; found: string[] | string }> = {
  'two-nics.json': {
    serve: (imds) => (imds.document = json('two-nics.json')),
    found: ['172.3.3.15 13.59.77.202', '2600:1f16:aeb:b20b:9d87:a4af:5cc9:73dc -', '172.3.3.16 -'],
  },
  'secondary-addresses.json': {
    serve: (imds) => (imds.document = json('secondary-addresses.json')),
    found: [
      '172.31.44.13 18.218.219.181',
      '172.31.45.70 -',
      '2600:1f16:292:100:c187:593c:4349:136 -',
      '2600:1f16:292:100:f153:12a3:c37c:11f9 -',
      '2600:1f16:292:100:f152:2222:3333:4444 -',
    ],
  },
  'ipv6-only-two-nics.json': {
    serve: (imds) => (imds.document = { network: { interfaces: json('ipv6-only-two-nics.json') } }),
    found: [
      '2600:1f16:67f:f201:6613:29a2:dbf7:2f1f -',
      '2600:1f16:67f:f201:8d2e:4d1f:9e80:4ab9 -',
    ].toReversed(),
  },
  'second-nic.json': {
    serve: (imds) => (imds.document = inner('0a:75:69:92:e2:16', json('second-nic.json'))),
    found: [
      '172.31.47.221 -',
      '2600:1f16:292:100:c187:593c:4349:136 -',
      '2600:1f16:292:100:f153:12a3:c37c:11f9 -',
    ],
  },
  'text-associations.json': {
    serve: (imds) => (imds.document = textAssociations()),
    found: ['172.30.0.0 54.0.0.0', '172.30.0.1 54.0.0.1'],
  },
  // Its association leads from the public address to itself; the single pair leaves no doubt.
  'mock-default-values.json': {
    serve: (imds) => (imds.document = mockDefaults()),
    found: ['172.16.34.43 192.0.2.54', '2001:db8:8:4::2 -'],
  },
  // Another program's summary: nothing in it is where a metadata service has it.
  'summary.json': {
    serve: (imds) => (imds.document = json('summary.json')),
    found: 'discovery.metadata-garbled',
  },
  '400.xhtml': {
    serve: (imds) => (imds.fault = () => ({ status: 400, body: recorded('400.xhtml') })),
    found: 'discovery.metadata-failed',
  },
  '401.xhtml': {
    serve: (imds) =>
      (imds.fault = ({ method }) =>
        method === 'GET' ? { status: 401, body: recorded('401.xhtml') } : undefined),
    found: 'discovery.metadata-unauthorized',
  },
  '404.xhtml': {
    serve: (imds) =>
      (imds.fault = ({ path }) =>
        path.endsWith('/public-ipv4s') || path.includes('/tags/')
          ? { status: 404, body: recorded('404.xhtml') }
          : undefined),
    found: ONE,
  },
  // What announces or identifies stands beside the machine, and takes nothing from what is found.
  'instance-identity.json': { serve: (imds) => (imds.dynamic = json('instance-identity.json')), found: ONE },
  'spot-instance-action.json': {
    serve: (imds) =>
      (imds.document = { ...MACHINE, spot: { 'instance-action': recorded('spot-instance-action.json') } }),
    found: ONE,
  },
  'rebalance.json': {
    serve: (imds) =>
      (imds.document = {
        ...MACHINE,
        events: { recommendations: { rebalance: recorded('rebalance.json') } },
      }),
    found: ONE,
  },
  'maintenance-scheduled.json': {
    serve: (imds) =>
      (imds.document = {
        ...MACHINE,
        events: { maintenance: { scheduled: recorded('maintenance-scheduled.json') } },
      }),
    found: ONE,
  },
  'target-lifecycle-state.txt': {
    serve: (imds) =>
      (imds.document = {
        ...MACHINE,
        autoscaling: { 'target-lifecycle-state': recorded('target-lifecycle-state.txt') },
      }),
    found: ONE,
  },
};

async function outcome(prepare: (imds: FakeImds) => void): Promise<string[] | string> {
  await using imds = await startFakeImds({ document: MACHINE });
  prepare(imds);
  try {
    return shown(await ec2.discover(ec2Context({ imds }), new AbortController().signal));
  } catch (error) {
    if (!(error instanceof DiscoveryError)) throw error;
    assert.match(error.message, /expected .*, came /);
    return error.code;
  }
}

test('every recorded document has its row here', () => {
  const files = readdirSync(directory).filter((name) => name !== 'SOURCES.md');
  assert.deepEqual(Object.keys(DOCUMENTS).sort(), files.sort());
});

for (const [name, { serve, found }] of Object.entries(DOCUMENTS)) {
  test(`${name} is read`, async () => assert.deepEqual(await outcome(serve), found));
}

const TROUBLES: [what: string, fault: FakeImds['fault'], found: string[] | string][] = [
  ['401 once', ({ method }, count) => (method === 'GET' && count === 1 ? { status: 401 } : undefined), ONE],
  ['403', () => ({ status: 403 }), 'discovery.metadata-forbidden'],
  [
    '429 with Retry-After once',
    (_request, count) => (count === 1 ? { status: 429, headers: { 'Retry-After': '0' } } : undefined),
    ONE,
  ],
  [
    '429 with Retry-After an hour',
    () => ({ status: 429, headers: { 'Retry-After': '3600' } }),
    'discovery.metadata-throttled',
  ],
  ['503 once', (_request, count) => (count === 1 ? { status: 503 } : undefined), ONE],
  ['503 for ever', () => ({ status: 503 }), 'discovery.metadata-throttled'],
  ['an answer cut in the middle', () => 'cut', 'discovery.metadata-unreachable'],
  ['a broken connection', () => 'reset', 'discovery.metadata-unreachable'],
  ['garbage', () => ({ status: 200, body: '\u0000\u00ff<<<{{{' }), 'discovery.metadata-garbled'],
  [
    'a megabyte',
    ({ method }) => (method === 'GET' ? { status: 200, body: 'a'.repeat(1_048_576) } : undefined),
    'discovery.metadata-too-large',
  ],
  [
    'a megabyte of tags',
    ({ path }) =>
      path.endsWith('/tags/instance/') ? { status: 200, body: 'a'.repeat(1_048_576) } : undefined,
    'discovery.metadata-too-large',
  ],
];
for (const [what, fault, found] of TROUBLES) {
  test(`${what} ends in a topology or in an error that says why`, async () => {
    assert.deepEqual(await outcome((imds) => (imds.fault = fault)), found);
  });
}

for (const fault of ['hang', 'trickle'] as const) {
  test(`a service that is too slow (${fault}) ends within the time of a call`, async () => {
    await using imds = await startFakeImds({ document: MACHINE });
    const clock = new ManualClock();
    const slow = Promise.withResolvers<void>();
    imds.fault = ({ path }) => {
      if (!path.endsWith('/local-ipv4s')) return undefined;
      slow.resolve();
      return fault;
    };
    const discovery = ec2.discover(ec2Context({ imds, clock }), new AbortController().signal);
    await slow.promise;
    clock.advance(5000);
    await assert.rejects(discovery, { code: 'discovery.metadata-timeout' });
    assert.equal(clock.pending, 0);
  });
}
