import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ec2 } from '../../../providers/ec2.ts';
import type { DiscoveryError } from '../../../src/discovery/discovery-error.ts';
import type { Topology } from '../../../src/discovery/topology.ts';
import { type Ec2Surroundings, ec2Context, osInterface } from '../../support/ec2-surroundings.ts';
import { healthyAccount } from '../../support/fake-ec2-account.ts';
import { type FakeEc2Api, startFakeEc2Api, unauthorizedOperation } from '../../support/fake-ec2-api.ts';
import { startFakeImds } from '../../support/fake-imds.ts';
import { type ImdsTree, imdsDocument, type MachineDescription } from '../../support/fake-imds-document.ts';
import { PollingClock } from '../../support/polling-clock.ts';
import { quietLog } from '../../support/quiet-log.ts';

const MAC = '02:00:00:00:00:01';
const TRUTH: MachineDescription = {
  nics: [
    {
      mac: MAC,
      addresses: [{ private: '10.0.0.15', public: '203.0.113.5' }, { private: '10.0.0.16' }],
      ipv6s: ['2001:db8::15'],
      subnetCidr: '10.0.0.0/24',
      vpcCidrs: ['10.0.0.0/16'],
    },
  ],
};
/** The same machine, of which metadata tells no public address. */
const BARE = imdsDocument({
  nics: [{ ...TRUTH.nics[0]!, addresses: [{ private: '10.0.0.15' }, { private: '10.0.0.16' }] }],
});
const OFF: ImdsTree = { 'switched-off': '' };
const ENS5 = osInterface('ens5', MAC, '10.0.0.15', '10.0.0.16');

const startApi = (machine = TRUTH): Promise<FakeEc2Api> => {
  const account = healthyAccount(machine);
  return startFakeEc2Api({ account: () => account });
};

function discover(surroundings: Ec2Surroundings): Promise<Topology> {
  return ec2.discover(ec2Context(surroundings), new AbortController().signal);
}

const shown = ({ interfaces }: Topology): unknown[] =>
  interfaces.flatMap(({ addresses }) =>
    addresses.map((mapping) => [mapping.privateAddress, mapping.publicAddress, mapping.provenance]),
  );

const VPC_NOTE =
  "The instance metadata service is switched off. The addresses are those that the EC2 API told. The VPC's other networks are not known without metadata: name those that are reached by private addresses with --local-network.";

test('with metadata switched off the API tells everything', async () => {
  await using imds = await startFakeImds({ document: OFF });
  await using api = await startApi();
  const topology = await discover({
    imds,
    api,
    interfaces: [ENS5],
    dmi: { board_asset_tag: 'i-0123456789abcdef0' },
  });
  assert.deepEqual(topology, {
    provider: 'ec2',
    interfaces: [
      {
        mac: MAC,
        osName: 'ens5',
        id: 'eni-0020000000001',
        addresses: [
          { privateAddress: '10.0.0.15', publicAddress: '203.0.113.5', provenance: 'api' },
          { privateAddress: '10.0.0.16', provenance: 'api' },
          { privateAddress: '2001:db8::15', provenance: 'api' },
        ],
        subnets: ['10.0.0.0/24'],
      },
    ],
    localNetworks: ['10.0.0.0/24'],
    notes: [VPC_NOTE],
  });
  assert.equal(api.calls[0]?.parameters['Filter.1.Name'], 'attachment.instance-id');
});

test('with metadata switched off and no firmware that tells the instance, its MACs do', async () => {
  await using imds = await startFakeImds({ document: OFF });
  await using api = await startApi();
  const topology = await discover({ imds, api, interfaces: [ENS5] });
  assert.deepEqual(shown(topology)[0], ['10.0.0.15', '203.0.113.5', 'api']);
  assert.equal(api.calls[0]?.parameters['Filter.1.Name'], 'mac-address');
});

test('where neither answers, the error names both, and what to do about each', async () => {
  await using imds = await startFakeImds({ document: OFF });
  await using api = await startApi();
  api.fault = ({ action }) => unauthorizedOperation(action);
  await assert.rejects(discover({ imds, api, interfaces: [ENS5] }), (error: DiscoveryError) => {
    assert.equal(error.code, 'discovery.metadata-forbidden');
    assert.match(error.message, /^PUT .*came 403.*--http-endpoint enabled/);
    assert.match(
      error.message,
      /The EC2 API was asked in its place: ec2:DescribeNetworkInterfaces: .*lack that right.*\{"Version":"2012-10-17","Statement":\[\{"Effect":"Allow","Action":\["ec2:DescribeNetworkInterfaces"\],"Resource":"\*"\}\]\}/,
    );
    return true;
  });
});

test('an API that knows no interface of this machine says what to check', async () => {
  await using imds = await startFakeImds({ document: OFF });
  await using api = await startApi();
  const interfaces = [osInterface('eth0', '02:42:ac:11:00:02', '172.17.0.2')];
  await assert.rejects(discover({ imds, api, interfaces }), /came none. Check that AWS_REGION/);
});

test('what metadata lacks comes from the API, and what metadata said is kept beside it', async () => {
  await using imds = await startFakeImds({ document: BARE });
  await using api = await startApi();
  const { interfaces, localNetworks, notes } = await discover({ imds, api, interfaces: [ENS5] });
  assert.deepEqual(interfaces[0]?.addresses, [
    {
      privateAddress: '10.0.0.15',
      publicAddress: '203.0.113.5',
      provenance: 'api',
      disagreements: [{ provenance: 'imds' }],
    },
    { privateAddress: '10.0.0.16', provenance: 'imds' },
    { privateAddress: '2001:db8::15', provenance: 'imds' },
  ]);
  assert.deepEqual([localNetworks, notes], [['10.0.0.0/16', '10.0.0.0/24'], undefined]);
});

test("a carrier's address is not expected in metadata, so that is no disagreement", async () => {
  const placement = { 'availability-zone': 'us-east-1-wl1-bos-wlz-1' };
  await using imds = await startFakeImds({ document: { ...BARE, placement } });
  const carrier = [{ private: '10.0.0.15', carrier: '155.146.1.2' }];
  const account = healthyAccount({ nics: [{ ...TRUTH.nics[0]!, addresses: [] }] });
  await using api = await startFakeEc2Api({
    account: () => ({
      ...account,
      interfaces: account.interfaces.map((eni) => ({ ...eni, addresses: carrier })),
    }),
  });
  const { interfaces } = await discover({ imds, api, env: { AWS_REGION: undefined } });
  assert.deepEqual(interfaces[0]?.addresses[0], {
    privateAddress: '10.0.0.15',
    publicAddress: '155.146.1.2',
    provenance: 'api',
  });
  assert.equal(api.calls[0]?.region, 'us-east-1');
});

test("where a carrier's address cannot be learned, that is said, and another source may fill it in", async () => {
  const placement = { 'availability-zone': 'us-east-1-wl1-bos-wlz-1', region: 'us-east-1' };
  await using imds = await startFakeImds({ document: { ...BARE, placement } });
  await using api = await startApi();
  api.fault = ({ action }) => unauthorizedOperation(action);
  const { interfaces, notes } = await discover({ imds, api });
  assert.deepEqual(
    interfaces[0]?.addresses.map(({ publicUnknown }) => publicUnknown),
    [true, true, undefined],
  );
  assert.match(notes?.join() ?? '', /^Metadata tells of no public address, and the EC2 API.*lack that right/);
});

test('a machine without public addresses and without credentials asks no API', async () => {
  await using imds = await startFakeImds({ document: BARE });
  await using api = await startApi();
  const env = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
  const topology = await discover({ imds, api, env });
  assert.deepEqual([shown(topology)[0], topology.notes], [['10.0.0.15', undefined, 'imds'], undefined]);
  assert.equal(api.calls.length, 0);
});

test('watching asks the API once for the same metadata, and its silence takes no address away', async () => {
  await using imds = await startFakeImds({ document: BARE });
  await using api = await startApi();
  const clock = new PollingClock(13_000);
  const log = quietLog();
  const abort = new AbortController();
  const context = ec2Context({ imds, api, clock, log, interfaces: [ENS5] });
  const known = await ec2.discover(context, abort.signal);
  const changes: Topology[] = [];
  ec2.watch(context, (topology) => changes.push(topology), abort.signal, known);
  await clock.nextWait();
  for (let poll = 0; poll < 3; poll++) await clock.passWait();
  // The start asked, and the watching once.
  assert.equal(api.calls.length, 2);
  api.fault = ({ action }) => unauthorizedOperation(action);
  clock.advance(300_000);
  await clock.nextWait();
  assert.equal(api.calls.length, 3);
  assert.deepEqual(changes, []);
  assert.deepEqual(
    log.lines.map(({ message }) => message),
    ['discovery fails; the last known topology stays in use'],
  );
  api.fault = () => undefined;
  const moved = healthyAccount({
    nics: [{ ...TRUTH.nics[0]!, addresses: [{ private: '10.0.0.15', public: '203.0.113.77' }] }],
  });
  api.account = () => moved;
  clock.advance(300_000);
  await clock.nextWait();
  assert.deepEqual(changes.map(shown)[0]?.[0], ['10.0.0.15', '203.0.113.77', 'api']);
  abort.abort();
  assert.equal(clock.pending, 0);
});
