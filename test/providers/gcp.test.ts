import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gcp } from '../../providers/gcp.ts';
import { planListeners } from '../../src/identity/listener-plan.ts';
import { startFakeGce } from '../support/fake-gce.ts';
import { type GceNic, type GceTree, gceDocument } from '../support/fake-gce-document.ts';
import type { Fault, SeenRequest } from '../support/fake-server.ts';
import { contextOf, discoverFrom, failureOf, NIC, ONE_NIC, os, pairs, recording } from './gcp/gcp-machine.ts';

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];

test('a recorded machine with all its keys', async () => {
  assert.deepEqual(await discoverFrom(recording('recursive-all-keys.json')), {
    provider: 'gcp',
    interfaces: [
      {
        mac: '42:01:0a:80:00:13',
        id: 'nic0',
        addresses: [{ privateAddress: '10.128.0.19', publicAddress: '34.69.160.1', provenance: 'imds' }],
        subnets: ['10.128.0.0/20'],
        mtu: 1460,
      },
    ],
    localNetworks: ['10.128.0.0/20', ...PRIVATE],
  });
});

test('a recorded machine without a netmask, whose id exceeds what a JSON number carries', async () => {
  const document = recording('recursive-default-scopes.json');
  await using gce = await startFakeGce(document);
  const id = await fetch(`${gce.url}/computeMetadata/v1/instance/id`, {
    headers: { 'Metadata-Flavor': 'Google' },
  });
  assert.equal(await id.text(), '3910564293633576924', 'the fake serves every digit');
  const { interfaces, notes } = await gcp.discover(contextOf(gce.url), new AbortController().signal);
  assert.deepEqual(interfaces.map(pairs), [['10.10.0.2 → 10.10.10.10']]);
  assert.deepEqual([interfaces[0]?.subnets, interfaces[0]?.mtu, notes], [[], undefined, undefined]);
});

test('a recorded machine with IPv6 and a forwarded address, which both arrive as they are', async () => {
  const networkInterfaces = recording('network-interfaces-ipv6-forwarded.json');
  const { interfaces } = await discoverFrom({ instance: { networkInterfaces } });
  assert.deepEqual(interfaces.map(pairs), [
    ['172.16.0.4 → 35.1.2.3', 'fd20:172:1610:7003:0:1::', '172.16.0.230'],
  ]);
});

test('a document without interfaces is an error that says so', async () => {
  const error = await failureOf(discoverFrom({ instance: recording('summary.json') }));
  assert.equal(error.code, 'discovery.metadata-failed');
  assert.match(error.message, /network-interfaces\/: expected the machine's network interfaces, came 404/);
});

test('several interfaces are joined with the operating system by MAC', async () => {
  const second: GceNic = { ...NIC, mac: '42:01:0a:00:01:0f', ip: '10.0.1.15', external: null };
  const { interfaces } = await discoverFrom(gceDocument({ nics: [NIC, second] }), {
    interfaces: [
      os('lo', '00:00:00:00:00:00', '127.0.0.1'),
      os('ens5', '42:01:0a:00:01:0f', '10.0.1.15'),
      os('ens4.100', NIC.mac, '192.168.100.1'),
      os('ens4', NIC.mac, '10.0.0.15'),
    ],
  });
  assert.deepEqual(
    interfaces.map(({ id, osName, addresses }) => [id, osName, addresses]),
    [
      ['nic0', 'ens4', [{ privateAddress: '10.0.0.15', publicAddress: '203.0.113.5', provenance: 'imds' }]],
      ['nic1', 'ens5', [{ privateAddress: '10.0.1.15', provenance: 'imds' }]],
    ],
  );
});

test('of an alias range those addresses count that the interface or a local route has', async () => {
  const nics = [{ ...NIC, aliases: ['10.4.0.0/24', '10.5.0.7/32', '10.6.0.9'] }];
  const { interfaces } = await discoverFrom(gceDocument({ nics }), {
    interfaces: [
      os('lo', '00:00:00:00:00:00', '127.0.0.1', '10.5.0.7'),
      os('ens4', NIC.mac, '10.0.0.15', '10.4.0.3'),
      // The bridge of a container runtime stands in the range too, and nobody wants to be served there.
      os('cbr0', '0e:00:00:00:00:01', '10.4.0.1'),
    ],
  });
  assert.deepEqual(pairs(interfaces[0]), ['10.0.0.15 → 203.0.113.5', '10.4.0.3', '10.5.0.7']);
});

test('forwarded and target-instance addresses get listeners without "as" where the system has them', async () => {
  const nics = [{ ...NIC, forwarded: ['203.0.113.9', '10.0.0.200'], targetInstance: ['203.0.113.10'] }];
  const topology = await discoverFrom(gceDocument({ nics }));
  assert.deepEqual(pairs(topology.interfaces[0]).slice(1), ['203.0.113.9', '10.0.0.200', '203.0.113.10']);
  const { listeners, warnings } = planListeners(topology, { listen: [], transports: ['udp'] }, [
    '10.0.0.15',
    '203.0.113.9',
    '10.0.0.200',
  ]);
  assert.deepEqual(
    listeners.map(({ bound, advertised }) => [bound.address, advertised?.address]),
    [
      ['10.0.0.15', '203.0.113.5'],
      ['203.0.113.9', undefined],
      ['10.0.0.200', undefined],
    ],
  );
  assert.match(warnings.join(), /203\.0\.113\.10 belongs to this machine according to gcp/);
});

test('an IPv6-only interface has no external address to look for', async () => {
  const nics = [{ mac: NIC.mac, ipv6s: ['2600:1901:0:1::'] }];
  const { interfaces, notes } = await discoverFrom(gceDocument({ nics }));
  assert.deepEqual([pairs(interfaces[0]), notes], [['2600:1901:0:1::'], undefined]);
});

test("attributes named cloudsip-… are options, the instance's before the project's", async () => {
  const { options, notes } = await discoverFrom(
    gceDocument({
      nics: [NIC],
      attributes: { 'cloudsip-domain': 'sip.example.com\n', 'startup-script': '#!/bin/sh', 'ssh-keys': 'a' },
      projectAttributes: {
        'cloudsip-domain': 'example.org',
        'cloudsip-realm': 'example.com',
        'cloudsip-long': 'x'.repeat(2000),
        'cloudsip-__proto__': 'x',
      },
    }),
  );
  assert.deepEqual(Object.entries(options ?? {}), [
    ['domain', 'sip.example.com'],
    ['realm', 'example.com'],
  ]);
  assert.deepEqual(notes, [
    'The tag "cloudsip-__proto__" sets no option: after "cloudsip-" it must have letters, digits and hyphens.',
    'The tag "cloudsip-long" sets no option: its value must be one line of at most 1024 characters.',
  ]);
});

test('values of other attributes are never asked for', async () => {
  const attributes = { 'ssh-keys': 'root:ssh-rsa AAAA', 'cloudsip-domain': 'example.com' };
  await using gce = await startFakeGce(gceDocument({ nics: [NIC], attributes }));
  await gcp.discover(contextOf(gce.url), new AbortController().signal);
  const paths = gce.requests.map(({ path }) => path.replace('/computeMetadata/v1/', ''));
  assert.deepEqual(paths.sort(), [
    'instance/attributes/',
    'instance/attributes/cloudsip-domain',
    'instance/network-interfaces/?recursive=true&alt=json',
    'project/attributes/',
  ]);
});

for (const [name, env] of [
  ['GCE_METADATA_HOST without a scheme', (host: string) => ({ GCE_METADATA_HOST: host })],
  ['GCE_METADATA_HOST with one', (host: string) => ({ GCE_METADATA_HOST: `http://${host}` })],
  ['GCE_METADATA_IP before it', (host: string) => ({ GCE_METADATA_IP: host, GCE_METADATA_HOST: 'nowhere' })],
] as const) {
  test(`the server's address: ${name}`, async () => {
    await using gce = await startFakeGce(ONE_NIC);
    const context = contextOf(gce.url, { env: env(gce.url.replace('http://', '')) });
    const topology = await gcp.discover(context, new AbortController().signal);
    assert.equal(topology.provider, 'gcp');
  });
}

const PATH = '/computeMetadata/v1/instance/network-interfaces/?recursive=true&alt=json';
const DOCUMENT = '[{"ip":"10.0.0.15","mac":"42:01:0a:00:00:0f","accessConfigs":[]}]';
const flavored = (body: string): Fault => ({ status: 200, headers: { 'Metadata-Flavor': 'Google' }, body });

async function withFault(fault: (request: SeenRequest, count: number) => Fault | undefined) {
  await using gce = await startFakeGce(ONE_NIC);
  gce.fault = (request, count) => (request.path === PATH ? fault(request, count) : undefined);
  return await gcp.discover(contextOf(gce.url), new AbortController().signal);
}

const FAULTS: [what: string, fault: Fault, code: string, message: RegExp][] = [
  ['403', { status: 403 }, 'discovery.metadata-forbidden', /came 403: .* GKE run cloudsip with hostNetwork/],
  ['401', { status: 401 }, 'discovery.metadata-unauthorized', /came 401/],
  ['410', { status: 410 }, 'discovery.metadata-failed', /came 410/],
  ['404', { status: 404 }, 'discovery.metadata-failed', /came 404/],
  ['503 for ever', { status: 503, headers: { 'Retry-After': '0' } }, 'discovery.metadata-throttled', /503/],
  ['429 for ever', { status: 429 }, 'discovery.metadata-throttled', /429/],
  ['an answer that is cut off', 'cut', 'discovery.metadata-unreachable', /cut off/],
  ['a closed connection', 'reset', 'discovery.metadata-unreachable', /ECONNRESET/],
  ['garbage', flavored('<html>'), 'discovery.metadata-garbled', /expected JSON, came "<html>"/],
  ['another shape', flavored('{"ip":1}'), 'discovery.metadata-garbled', /expected a list/],
  ['an empty list', flavored('[]'), 'discovery.metadata-garbled', /one network interface at least/],
  [
    'a megabyte',
    flavored(`[${' '.repeat(1_048_576)}]`),
    'discovery.metadata-too-large',
    /at most 65536 bytes/,
  ],
  [
    'a bad address',
    flavored(DOCUMENT.replace('10.0.0.15', '10.0.0.300')),
    'discovery.metadata-garbled',
    /\[0\]\.ip: expected an IP address, came "10\.0\.0\.300"/,
  ],
  [
    'a bad MAC',
    flavored(DOCUMENT.replace('42:01', 'xx')),
    'discovery.metadata-garbled',
    /\.mac: expected a MAC/,
  ],
  [
    'a bad external address',
    flavored(DOCUMENT.replace('[]', '[{"externalIp":"::1"}]')),
    'discovery.metadata-garbled',
    /accessConfigs\[0\]\.externalIp/,
  ],
  [
    'a bad netmask',
    flavored(DOCUMENT.replace('"mac"', '"subnetmask":"255.0.255.0","mac"')),
    'discovery.metadata-garbled',
    /subnetmask: expected a netmask/,
  ],
  [
    'a bad alias',
    flavored(DOCUMENT.replace('"mac"', '"ipAliases":["/24"],"mac"')),
    'discovery.metadata-garbled',
    /ipAliases\[0\]: expected an address or a range/,
  ],
];

for (const [what, fault, code, message] of FAULTS) {
  test(`${what} is a clear error`, async () => {
    const error = await failureOf(withFault(() => fault));
    assert.equal(error.name, 'DiscoveryError');
    assert.equal(error.code, code);
    assert.match(error.message, message);
  });
}

test("a server without the flavour is not Google's, whatever it says", async () => {
  const body = DOCUMENT;
  const wrong = { status: 200, headers: { 'Metadata-Flavor': 'Imitation' }, body };
  const error = await failureOf(withFault(() => wrong));
  assert.equal(error.code, 'discovery.metadata-garbled');
  assert.match(error.message, /came 200 with "Imitation"/);
});

test('503 and a cut-off answer are tried again', async () => {
  const faults: Fault[] = [{ status: 503 }, 'cut', 'reset'];
  const { interfaces } = await withFault((_request, count) => faults[count - 1]);
  assert.deepEqual(interfaces.map(pairs), [['10.0.0.15 → 203.0.113.5']]);
});

test('a server that takes the request and keeps silent is given up within its time', async () => {
  await using gce = await startFakeGce(ONE_NIC);
  gce.fault = () => 'hang';
  const { ManualClock } = await import('../support/manual-clock.ts');
  const clock = new ManualClock();
  const failure = failureOf(gcp.discover(contextOf(gce.url, { clock }), new AbortController().signal));
  await gce.asked(({ path }) => path === PATH);
  clock.advance(5000);
  assert.equal((await failure).code, 'discovery.metadata-timeout');
});

test('an alias range of which the machine has no address is left out', async () => {
  const tree: GceTree = gceDocument({ nics: [{ ...NIC, aliases: ['10.4.0.0/24'] }] });
  assert.deepEqual(pairs((await discoverFrom(tree)).interfaces[0]), ['10.0.0.15 → 203.0.113.5']);
});
