import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DiscoveryContext, Provider } from '../../src/discovery/provider.ts';
import { withStun } from '../../src/discovery/stun-cross-check.ts';
import { parseStunServer } from '../../src/discovery/stun-server.ts';
import type { AddressMapping, Topology } from '../../src/discovery/topology.ts';
import { type FakeStun, startFakeStun, stunAnswer } from '../support/fake-stun.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

const PUBLIC = '203.0.113.5';
const seenAs =
  (address: string): FakeStun['answer'] =>
  (request, { port }) => [stunAnswer(request, { address, port })];

const topologyOf = (...addresses: AddressMapping[]): Topology => ({
  provider: 'cloud',
  interfaces: [{ mac: '02:00:00:00:00:01', addresses, subnets: ['127.0.0.0/8'] }],
  localNetworks: [],
  notes: ['The cloud names no public addresses.'],
});
const unknown = (privateAddress: string): AddressMapping => ({
  privateAddress,
  provenance: 'imds',
  publicUnknown: true,
});

/** A cloud whose answers and changes are the test's. */
function cloudOf(
  topology: Topology,
): Provider & { topology: Topology; tell?: (next: Topology) => void; known?: Topology | undefined } {
  const cloud = {
    topology,
    name: 'cloud',
    detect: () => true,
    discover: () => Promise.resolve(cloud.topology),
    watch(
      _context: DiscoveryContext,
      changed: (next: Topology) => void,
      _signal: AbortSignal,
      known?: Topology,
    ) {
      cloud.tell = changed;
      cloud.known = known;
    },
  } as ReturnType<typeof cloudOf>;
  return cloud;
}

interface Scene extends AsyncDisposable {
  readonly cloud: ReturnType<typeof cloudOf>;
  readonly provider: Provider;
  readonly clock: ManualClock;
  readonly context: DiscoveryContext & { readonly log: ReturnType<typeof quietLog> };
  readonly servers: readonly FakeStun[];
  discover(): Promise<Topology>;
}

async function scene(topology: Topology, answer: FakeStun['answer'] = seenAs(PUBLIC)): Promise<Scene> {
  const servers = [await startFakeStun(answer), await startFakeStun(answer)];
  const cloud = cloudOf(topology);
  const provider = withStun(
    cloud,
    servers.map(({ text }) => parseStunServer(text)!),
  );
  const clock = new ManualClock();
  const context = {
    facts: { dmi: {}, interfaces: [] },
    clock,
    log: quietLog(),
    env: {},
    configuration: undefined,
  };
  return {
    cloud,
    provider,
    clock,
    context,
    servers,
    discover: () => provider.discover(context, new AbortController().signal),
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) await server[Symbol.asyncDispose]();
    },
  };
}

const shown = (topology: Topology): string[] =>
  topology.interfaces.flatMap((nic) =>
    nic.addresses.map(
      (each) =>
        `${each.privateAddress} ${each.publicUnknown ? '?' : (each.publicAddress ?? '-')} ${each.provenance}`,
    ),
  );

describe('at the start', () => {
  test('only what the cloud does not know is asked about, each address from itself', async () => {
    await using stage = await scene(
      topologyOf(
        unknown('127.0.0.2'),
        { privateAddress: '127.0.0.3', provenance: 'imds' },
        { privateAddress: '127.0.0.4', publicAddress: '198.51.100.4', provenance: 'imds' },
      ),
    );
    const topology = await stage.discover();
    assert.deepEqual(shown(topology), [
      `127.0.0.2 ${PUBLIC} stun`,
      '127.0.0.3 - imds',
      '127.0.0.4 198.51.100.4 imds',
    ]);
    assert.deepEqual(
      stage.servers.map(({ requests }) => requests),
      [1, 1],
    );
    assert.equal(topology.notes?.[0], 'The cloud names no public addresses.');
    assert.match(
      topology.notes[1] ?? '',
      /^127\.0\.0\.2 is advertised as 203\.0\.113\.5, as 127\.0\.0\.1:\d+ and /,
    );
  });

  test('nobody is asked where the cloud knows all', async () => {
    await using stage = await scene(topologyOf({ privateAddress: '127.0.0.3', provenance: 'imds' }));
    assert.equal(await stage.discover(), stage.cloud.topology);
    assert.deepEqual(
      stage.servers.map(({ requests }) => requests),
      [0, 0],
    );
  });

  test('a shared gateway is refused and said so', async () => {
    let port = 1024;
    await using stage = await scene(topologyOf(unknown('127.0.0.2')), (request) => [
      stunAnswer(request, { address: PUBLIC, port: port++ }),
    ]);
    const topology = await stage.discover();
    assert.deepEqual(shown(topology), ['127.0.0.2 ? imds']);
    assert.match(
      topology.notes?.[1] ?? '',
      /^127\.0\.0\.2 leaves by a NAT gateway that is not its own .*--advertise/,
    );
  });

  test('two addresses behind one gateway are refused both', async () => {
    await using stage = await scene(topologyOf(unknown('127.0.0.2'), unknown('127.0.0.3')));
    assert.deepEqual(shown(await stage.discover()), ['127.0.0.2 ? imds', '127.0.0.3 ? imds']);
  });

  test('without a NAT in front the address stands for itself', async () => {
    await using stage = await scene(topologyOf(unknown('127.0.0.2')), (request, from) => [
      stunAnswer(request, { address: from.address, port: from.port }),
    ]);
    assert.deepEqual(shown(await stage.discover()), ['127.0.0.2 - stun']);
  });

  test('silence does not hold up the start for long, advertises nothing and says what to do', async () => {
    await using stage = await scene(topologyOf(unknown('127.0.0.2')));
    const asked = Promise.withResolvers<void>();
    for (const server of stage.servers) {
      server.answer = () => {
        asked.resolve();
        return undefined;
      };
    }
    const discovery = stage.discover();
    await asked.promise;
    stage.clock.advance(3000);
    const topology = await discovery;
    assert.deepEqual(shown(topology), ['127.0.0.2 ? imds']);
    assert.match(
      topology.notes?.[1] ?? '',
      /is not known, so nothing is advertised for it: .* did not answer .*--listen 'udp:127\.0\.0\.2 as PUBLIC'/,
    );
  });

  test('off asks nobody and says so', async () => {
    const provider = withStun(cloudOf(topologyOf(unknown('127.0.0.2'))), []);
    await using stage = await scene(topologyOf());
    const topology = await provider.discover(stage.context, new AbortController().signal);
    assert.deepEqual(shown(topology), ['127.0.0.2 ? imds']);
    assert.match(
      topology.notes?.[1] ?? '',
      /nothing is advertised for it, and STUN is off\. Name the public address/,
    );
  });
});

test('the rest of the contract goes through, where there is some', async () => {
  const called: string[] = [];
  const bare = cloudOf(topologyOf());
  const rich: Provider = {
    ...bare,
    watchNotices: () => void called.push('notices'),
    examine: async () => {
      called.push('examine');
      return [];
    },
  };
  await using stage = await scene(topologyOf());
  assert.equal(withStun(bare, []).watchNotices, undefined);
  assert.equal(withStun(bare, []).examine, undefined);
  const wrapped = withStun(rich, []);
  const { signal } = new AbortController();
  wrapped.watchNotices?.(stage.context, () => {}, signal);
  const examination = { topology: topologyOf(), listeners: [], rtpPorts: { from: 1, to: 2 } };
  await wrapped.examine?.(stage.context, examination, signal);
  assert.deepEqual(called, ['notices', 'examine']);
  assert.equal(wrapped.name, 'cloud');
  assert.equal(wrapped.detect(stage.context.facts), true);
});
