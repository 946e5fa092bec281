import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withStun } from '../src/discovery/stun-cross-check.ts';
import { parseStunServer } from '../src/discovery/stun-server.ts';
import type { Topology } from '../src/discovery/topology.ts';
import { AgentHarness, TestCloud, topologyOf } from './support/agent-harness.ts';
import { type FakeStun, startFakeStun, stunAnswer } from './support/fake-stun.ts';

/** The cloud's words, with nothing known of what stands in front. */
function unknown(...addresses: string[]): Topology {
  const [nic] = topologyOf(Object.fromEntries(addresses.map((address) => [address, undefined]))).interfaces;
  const mappings = nic!.addresses.map((mapping) => ({ ...mapping, publicUnknown: true as const }));
  return { ...topologyOf({}), interfaces: [{ ...nic!, addresses: mappings }] };
}

async function serversWith(answer: FakeStun['answer']) {
  const servers = [await startFakeStun(answer), await startFakeStun(answer)];
  return {
    parsed: servers.map(({ text }) => parseStunServer(text)!),
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) await server[Symbol.asyncDispose]();
    },
  };
}

test('the agent advertises what STUN saw, and says so once', async () => {
  await using servers = await serversWith((request, { port }) => [
    stunAnswer(request, { address: '203.0.113.5', port }),
  ]);
  await using harness = await AgentHarness.make();
  const cloud = new TestCloud({});
  cloud.discover = () => Promise.resolve(unknown('127.0.0.1'));
  const agent = await harness.start(withStun(cloud, servers.parsed), '--listen', 'udp:*:0');
  const shown = () =>
    agent.listeners.map(({ bound, advertised }) => `${bound.address} as ${advertised?.address ?? '-'}`);
  assert.deepEqual(shown(), ['127.0.0.1 as 203.0.113.5']);
  cloud.changed({ ...unknown('127.0.0.1'), localNetworks: ['10.0.0.0/8'] });
  await harness.logged(/the cloud changed/);
  assert.deepEqual(shown(), ['127.0.0.1 as 203.0.113.5']);
  assert.equal(harness.told(/^127\.0\.0\.1 is advertised as 203\.0\.113\.5, as /).length, 1);
});

test("and never a shared gateway's address: it starts, advertises nothing and says what is missing", async () => {
  let port = 2000;
  await using servers = await serversWith((request) => [
    stunAnswer(request, { address: '203.0.113.5', port: port++ }),
  ]);
  await using harness = await AgentHarness.make();
  const cloud = new TestCloud({});
  cloud.discover = () => Promise.resolve(unknown('127.0.0.1'));
  const agent = await harness.start(withStun(cloud, servers.parsed), '--listen', 'udp:*:0');
  assert.deepEqual(
    agent.listeners.map(({ advertised }) => advertised),
    [undefined],
  );
  assert.equal(
    harness.told(/^127\.0\.0\.1 leaves by a NAT gateway that is not its own .*--advertise/).length,
    1,
  );
});
