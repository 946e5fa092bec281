import assert from 'node:assert/strict';
import { test } from 'node:test';
import { providers } from '../../providers/index.ts';
import { prepareAskingProviders, prepareProviders } from '../../src/discovery/prepare-providers.ts';
import type { Provider } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import { type FakeStun, startFakeStun, stunAnswer } from '../support/fake-stun.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

test('the known providers stay in their order', async () => {
  const prepared = await prepareProviders(providers, { provider: 'auto', stun: ['off'] });
  assert.deepEqual(
    prepared.map(({ name }) => name),
    providers.map(({ name }) => name),
  );
});

test('what any of them tells is taken only as far as it makes sense', async () => {
  const nonsense: Topology = {
    provider: 'mine',
    interfaces: [
      {
        mac: '02:00:00:00:00:01',
        addresses: [{ privateAddress: '10.0.0.5', publicAddress: '224.0.0.1', provenance: 'imds' }],
        subnets: [],
      },
    ],
    localNetworks: ['0.0.0.0/0'],
  };
  const mine: Provider = {
    name: 'mine',
    detect: () => true,
    discover: async () => nonsense,
    watch: (_context, changed) => changed(nonsense),
  };
  const [prepared] = await prepareProviders([mine], { provider: 'mine', stun: ['off'] });
  const facts = { dmi: {}, interfaces: [] };
  const context = { facts, clock: new ManualClock(), log: quietLog(), env: {}, configuration: undefined };
  const abort = new AbortController();
  const found = await prepared!.discover(context, abort.signal);
  const watched = await new Promise<Topology>((told) => prepared!.watch(context, told, abort.signal));
  for (const topology of [found, watched]) {
    assert.deepEqual(topology.interfaces[0]?.addresses, [{ privateAddress: '10.0.0.5', provenance: 'imds' }]);
    assert.deepEqual(topology.localNetworks, []);
    assert.equal(topology.notes?.length, 2);
  }
  abort.abort();
});

test('one STUN server is too few, and the same one twice is one', async () => {
  for (const stun of [['stun.example.com'], ['stun.example.com', 'stun.example.com:3478']]) {
    await assert.rejects(prepareProviders(providers, { provider: 'auto', stun }), {
      code: 'discovery.stun',
      message: /^--stun: expected two servers or more, came stun\.example\.com.*name a second one/,
    });
  }
  await prepareProviders(providers, { provider: 'auto', stun: ['stun.example.com', 'off'] });
});

test('only commands ask STUN by the provider: the agent asks from its own sockets', async () => {
  const privateAddress = '127.0.0.9';
  const mine: Provider = {
    name: 'mine',
    detect: () => true,
    discover: async () => ({
      provider: 'mine',
      interfaces: [
        {
          mac: '02:00:00:00:00:01',
          addresses: [{ privateAddress, provenance: 'imds', publicUnknown: true }],
          subnets: [],
        },
      ],
      localNetworks: [],
    }),
    watch: () => {},
  };
  const answer: FakeStun['answer'] = (request, { port }) => [
    stunAnswer(request, { address: '203.0.113.5', port }),
  ];
  await using one = await startFakeStun(answer);
  await using two = await startFakeStun(answer);
  const wish = { provider: 'mine', stun: [one.text, two.text] };
  const found = async ([prepared]: readonly Provider[]) => {
    const facts = { dmi: {}, interfaces: [] };
    const context = { facts, clock: new ManualClock(), log: quietLog(), env: {}, configuration: undefined };
    const { interfaces } = await prepared!.discover(context, new AbortController().signal);
    return interfaces[0]?.addresses[0];
  };
  assert.equal((await found(await prepareProviders([mine], wish)))?.publicUnknown, true);
  assert.equal(one.requests, 0);
  assert.deepEqual(await found(await prepareAskingProviders([mine], wish)), {
    privateAddress,
    publicAddress: '203.0.113.5',
    provenance: 'stun',
  });
});
