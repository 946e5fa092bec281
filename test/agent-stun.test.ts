import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Agent } from '../src/agent.ts';
import type { Topology } from '../src/discovery/topology.ts';
import type { Endpoint } from '../src/net/address.ts';
import { AgentHarness, ask, freePort, TestCloud, topologyOf } from './support/agent-harness.ts';
import { type FakeStun, startFakeStun, stunAnswer } from './support/fake-stun.ts';
import { SelectiveClock } from './support/selective-clock.ts';
import { requestText } from './support/sip-text.ts';

const PUBLIC = '203.0.113.5';
const asIs: FakeStun['answer'] = (request, { port }) => [stunAnswer(request, { address: PUBLIC, port })];
const mute: FakeStun['answer'] = () => undefined;

let harness: AgentHarness;
let port: number;
let servers: FakeStun[];
let cloud: TestCloud;
/** Nothing waits on it but until the test says so. */
let clock: SelectiveClock;
/** Who asked, in the order of the questions. */
let askers: Endpoint[];

beforeEach(async () => {
  harness = await AgentHarness.make();
  port = await freePort();
  servers = [await startFakeStun(), await startFakeStun()];
  answer(asIs);
  cloud = new TestCloud({});
  cloud.discover = () => Promise.resolve(unknown('127.0.0.1'));
  clock = new SelectiveClock(() => false);
  askers = [];
});
afterEach(async () => {
  await harness[Symbol.asyncDispose]();
  for (const server of servers) await server[Symbol.asyncDispose]();
});

function answer(how: FakeStun['answer']): void {
  for (const server of servers) {
    server.answer = (request, { address, port: from }) => {
      askers.push({ address, port: from });
      return how(request, { address, port: from });
    };
  }
}

/** Resolves when so many questions have come since the test began. */
async function questions(count: number): Promise<void> {
  while (askers.length < count) await new Promise(setImmediate);
}

/** The cloud's words, with nothing known of what stands in front. */
function unknown(...addresses: string[]): Topology {
  const [nic] = topologyOf(Object.fromEntries(addresses.map((address) => [address, undefined]))).interfaces;
  const mappings = nic!.addresses.map((mapping) => ({ ...mapping, publicUnknown: true as const }));
  return { ...topologyOf({}), interfaces: [{ ...nic!, addresses: mappings }] };
}

function start(...flags: readonly string[]): Promise<Agent> {
  const stun = servers.flatMap(({ text }) => ['--stun', text]);
  const listen = flags.includes('--listen') ? [] : ['--listen', `udp:*:${port}`];
  return harness.startAt(clock, cloud, ...stun, ...listen, ...flags);
}

function shown(agent: Agent): string[] {
  return agent.listeners.map(({ bound, advertised }) => {
    const at = bound.port === port ? bound.address : `${bound.address}:${bound.port}`;
    const as =
      advertised && `${advertised.address}${advertised.port === bound.port ? '' : `:${advertised.port}`}`;
    return `${at} as ${as ?? '-'}`;
  });
}

function options(callId: string): string {
  return requestText({ method: 'OPTIONS', uri: `sip:127.0.0.1:${port}`, callId, branch: `z9hG4bK${callId}` });
}

for (const implementation of ['batched', 'dgram'] as const) {
  test(`each server is asked from the listener's own socket, and the answer is advertised (${implementation})`, async () => {
    const agent = await start('--udp', implementation);
    assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}`]);
    assert.deepEqual(askers, [
      { address: '127.0.0.1', port },
      { address: '127.0.0.1', port },
    ]);
    assert.equal((await ask(port, options('later'))).status, 200);
    assert.equal(harness.told(/^127\.0\.0\.1 is advertised as 203\.0\.113\.5, as /).length, 1);
    assert.equal(agent.topology.interfaces[0]?.addresses[0]?.provenance, 'stun');
  });

  test(`rubbish and strangers are not believed, and end nothing (${implementation})`, async () => {
    await using stranger = await startFakeStun();
    answer((request, from) => {
      const lie = stunAnswer(request, { address: '192.0.2.66', port });
      const foreign = Buffer.from(lie);
      foreign.writeUInt8(foreign[19]! ^ 1, 19);
      const broken = Buffer.from(lie);
      broken.writeUInt16BE(0xffff, 22);
      const giant = Buffer.concat([lie, Buffer.alloc(20_000)]);
      stranger.say(lie, from);
      return [Buffer.alloc(0), request, foreign, broken, giant, lie.subarray(0, 21), ...asIs(request, from)!];
    });
    assert.deepEqual(shown(await start('--udp', implementation)), [`127.0.0.1 as ${PUBLIC}`]);
  });
}

test('nobody is answered before it is known who we are', async () => {
  const socket = createSocket('udp4');
  try {
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    answer((request, from) => {
      // It lies in the listener's queue before the answer does.
      socket.send(options(`early${askers.length}`), port, '127.0.0.1');
      return asIs(request, from);
    });
    await start();
    const first = once(socket, 'message');
    socket.send(options('late'), port, '127.0.0.1');
    assert.match(String((await first)[0]), /^SIP\/2\.0 200.*^Call-ID: late\r$/ims);
  } finally {
    socket.close();
  }
});

test("a shared gateway's address is never advertised: it starts, and says what is missing", async () => {
  let next = 2000;
  answer((request) => [stunAnswer(request, { address: PUBLIC, port: next++ })]);
  assert.deepEqual(shown(await start()), ['127.0.0.1 as -']);
  assert.equal(
    harness.told(/^127\.0\.0\.1 leaves by a NAT gateway that is not its own .*--advertise/).length,
    1,
  );
});

test('a port that is rewritten alike for everybody is a shared gateway too', async () => {
  answer((request) => [stunAnswer(request, { address: PUBLIC, port: 15_060 })]);
  assert.deepEqual(shown(await start()), ['127.0.0.1 as -']);
  assert.equal(harness.told(new RegExp(`port ${port} is seen as 203\\.0\\.113\\.5:15060`)).length, 1);
});

test('each listener of an address is asked from, and one that leaves by another port speaks for all', async () => {
  const second = await freePort();
  answer((request, from) => [
    stunAnswer(request, { address: PUBLIC, port: from.port === port ? port : 1024 }),
  ]);
  const agent = await start('--listen', `udp:*:${port}`, '--listen', `udp:*:${second}`);
  assert.deepEqual(new Set(askers.map((asker) => asker.port)), new Set([port, second]));
  assert.deepEqual(shown(agent), ['127.0.0.1 as -', `127.0.0.1:${second} as -`]);
});

test('silence holds up the start for three seconds, and is asked about again', async () => {
  answer(mute);
  const starting = start();
  await clock.pass((ms) => ms === 3000);
  const agent = await starting;
  assert.deepEqual(shown(agent), ['127.0.0.1 as -']);
  assert.equal(harness.told(/did not answer within 3000 ms.*they are asked again/).length, 1);
  answer(asIs);
  await clock.pass((ms) => ms >= 27_000 && ms <= 33_000);
  await harness.logged(/^STUN sees something else: listeners follow/);
  assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}`]);
  assert.equal(harness.told(/^STUN answers again/).length, 1);
  assert.ok(askers.every((asker) => asker.port === port));
});

test('nobody is asked where the cloud knows all, nor where STUN is off', async () => {
  cloud = new TestCloud({ '127.0.0.1': '198.51.100.4', '127.0.0.2': undefined });
  assert.deepEqual(shown(await start()), ['127.0.0.1 as 198.51.100.4', '127.0.0.2 as -']);
  cloud = new TestCloud({});
  cloud.discover = () => Promise.resolve(unknown('127.0.0.1'));
  port = await freePort();
  const agent = await harness.startAt(clock, cloud, '--stun', 'off', '--listen', `udp:*:${port}`);
  assert.deepEqual(shown(agent), ['127.0.0.1 as -']);
  assert.equal(harness.told(/nothing is advertised for it, and STUN is off\. Name the public/).length, 1);
  assert.deepEqual(askers, []);
});

test('a start that is given up while servers are silent ends at once', async () => {
  answer(mute);
  const abort = new AbortController();
  harness.signal = abort.signal;
  const starting = start();
  await questions(2);
  abort.abort();
  await assert.rejects(starting, { code: 'agent.given-up' });
  assert.deepEqual(harness.lines, []);
  // Its port is free again.
  harness.signal = undefined;
  answer(asIs);
  assert.deepEqual(shown(await start()), [`127.0.0.1 as ${PUBLIC}`]);
});

describe('while it runs', () => {
  const recheck = (ms: number): boolean => ms >= 270_000 && ms <= 330_000;

  test('another address is seen within minutes, and a gateway that has come', async () => {
    const agent = await start();
    answer((request, from) => [stunAnswer(request, { address: '203.0.113.99', port: from.port })]);
    await clock.pass(recheck);
    await harness.logged(/^STUN sees something else: listeners follow/);
    assert.deepEqual(shown(agent), ['127.0.0.1 as 203.0.113.99']);
    answer((request) => [stunAnswer(request, { address: '203.0.113.99', port: 1024 })]);
    await clock.pass(recheck);
    await harness.logged(/^STUN sees something else: listeners follow/, 2);
    assert.deepEqual(shown(agent), ['127.0.0.1 as -']);
    assert.ok(askers.every((asker) => asker.port === port));
  });

  test('servers that fall silent change nothing; it is reported once, and that they are back', async () => {
    const agent = await start();
    answer(mute);
    for (const due of [recheck, (ms: number) => ms >= 27_000 && ms <= 33_000]) {
      await clock.pass(due);
      await clock.pass((ms) => ms === 3000);
    }
    answer(asIs);
    await clock.pass((ms) => ms >= 54_000 && ms <= 66_000);
    await harness.logged(/^STUN answers again/);
    assert.equal(harness.told(/^STUN gives no answer; it is asked again/).length, 1);
    assert.equal(harness.told(/listeners follow/).length, 0);
    assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}`]);
  });

  test('an address that comes later is asked about from its own socket, before anybody is served there', async () => {
    const agent = await start();
    const held = Promise.withResolvers<void>();
    answer((request, from) => {
      if (from.address === '127.0.0.1') return asIs(request, from);
      held.resolve();
      return undefined;
    });
    const before = askers.length;
    cloud.changed(unknown('127.0.0.1', '127.0.0.3'));
    await held.promise;
    // Who serves goes on serving, under the same name.
    assert.equal((await ask(port, options('meanwhile'))).status, 200);
    assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}`]);
    answer((request, from) => {
      const address = from.address === '127.0.0.1' ? PUBLIC : '203.0.113.6';
      return [stunAnswer(request, { address, port: from.port })];
    });
    await clock.pass((ms) => ms === 500);
    await clock.pass((ms) => ms === 500);
    await harness.logged(/^the cloud changed: listeners follow/);
    assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}`, '127.0.0.3 as 203.0.113.6']);
    const later = askers.slice(before).filter(({ address }) => address === '127.0.0.3');
    assert.ok(later.length >= 2 && later.every((asker) => asker.port === port));
  });

  test('who has a name from the cloud does not wait for servers that are silent', async () => {
    const both = (address: string): Topology => {
      const [known] = topologyOf({ '127.0.0.3': address }).interfaces;
      const [asked] = unknown('127.0.0.1').interfaces;
      return {
        ...topologyOf({}),
        interfaces: [{ ...known!, addresses: [...asked!.addresses, ...known!.addresses] }],
      };
    };
    cloud.discover = () => Promise.resolve(both('198.51.100.4'));
    const agent = await start();
    const own = `127.0.0.1 as ${PUBLIC}`;
    assert.deepEqual(new Set(shown(agent)), new Set([own, '127.0.0.3 as 198.51.100.4']));
    answer(mute);
    cloud.changed(both('198.51.100.5'));
    await questions(4);
    assert.deepEqual(new Set(shown(agent)), new Set([own, '127.0.0.3 as 198.51.100.5']));
    await clock.pass((ms) => ms === 3000);
    await harness.logged(/^the cloud changed: listeners follow/);
    const [told] = harness.told(/^the cloud changed: listeners follow/);
    assert.deepEqual((told!.details as { readvertised: string[] }).readvertised, [
      `udp:127.0.0.3:${port} as 198.51.100.5:${port}`,
    ]);
    assert.deepEqual(new Set(shown(agent)), new Set([own, '127.0.0.3 as 198.51.100.5']));
  });

  test('two addresses behind one gateway are refused both', async () => {
    const agent = await start();
    cloud.changed(unknown('127.0.0.1', '127.0.0.3'));
    await harness.logged(/^the cloud changed: listeners follow/);
    assert.deepEqual(shown(agent), ['127.0.0.1 as -', '127.0.0.3 as -']);
    assert.equal(harness.told(/127\.0\.0\.1 and 127\.0\.0\.3 are seen as one address/).length, 2);
  });

  test('a cloud that changes a thousand times meanwhile has STUN asked once more, about the last word', async () => {
    const agent = await start();
    for (let last = 1; last <= 1000; last++) {
      cloud.changed({ ...unknown('127.0.0.1'), localNetworks: [`10.0.${last >> 8}.${last & 255}/32`] });
    }
    // Whoever waits for its turn now is served after them.
    await agent.reload();
    assert.deepEqual(agent.topology.localNetworks, ['10.0.3.232/32']);
    assert.equal(askers.length, 4);
  });

  test('other servers are asked at once, nobody when it is off; silent ones take nothing away', async () => {
    const texts = servers.map(({ text }) => text).join();
    const cloudWith = (stun: string) => ({ ...unknown('127.0.0.1'), options: { stun } });
    cloud.discover = () => Promise.resolve(cloudWith(texts));
    const agent = await harness.startAt(clock, cloud, '--listen', `udp:*:${port}`, '--config', 'c');
    assert.equal(askers.length, 2);
    const other = [await startFakeStun(), await startFakeStun()];
    try {
      for (const server of other)
        server.answer = (request, from) => [
          stunAnswer(request, { address: '203.0.113.77', port: from.port }),
        ];
      cloud.changed(cloudWith(other.map(({ text }) => text).join()));
      await harness.logged(/^the cloud changed: listeners follow/);
      assert.deepEqual(shown(agent), ['127.0.0.1 as 203.0.113.77']);
      assert.equal(askers.length, 2, 'those of before are not asked any more');
      // The next look asks them too.
      await clock.pass(recheck);
      while (other.some(({ requests }) => requests < 2)) await new Promise(setImmediate);
      // When its turn comes that look is over.
      await agent.reload();

      for (const server of other) server.answer = mute;
      cloud.changed(
        cloudWith(
          [...other]
            .reverse()
            .map(({ text }) => text)
            .join(),
        ),
      );
      await clock.pass((ms) => ms === 3000);
      await harness.logged(/^STUN gives no answer; it is asked again/);
      assert.deepEqual(shown(agent), ['127.0.0.1 as 203.0.113.77']);

      cloud.changed(cloudWith('off'));
      await harness.logged(/^the cloud changed: listeners follow/, 3);
      assert.deepEqual(shown(agent), ['127.0.0.1 as -']);
      assert.equal(harness.told(/nothing is advertised for it, and STUN is off/).length, 1);

      cloud.changed(cloudWith(texts));
      await harness.logged(/^the cloud changed: listeners follow/, 4);
      assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}`]);
      assert.equal(harness.told(/restart/).length, 0);
    } finally {
      for (const server of other) await server[Symbol.asyncDispose]();
    }
  });

  test('reading the configuration again asks about nothing that is known', async () => {
    const agent = await start('--config', 'c');
    harness.file = 'log-level: warn\n';
    await agent.reload();
    assert.equal(askers.length, 2);
    assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}`]);
  });
});

describe('where a person named what is advertised', () => {
  test('the start waits for nobody, and a mapping of ports that is static is as it should be', async () => {
    answer(mute);
    const agent = await start('--listen', `udp:127.0.0.1:${port} as ${PUBLIC}:15060`);
    assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}:15060`]);
    assert.equal(askers.length, 0);
    answer((request) => [stunAnswer(request, { address: PUBLIC, port: 15_060 })]);
    await clock.pass((ms) => ms === 0);
    await questions(2);
    assert.ok(askers.every((asker) => asker.port === port));
    // The next look is planned when this one is over.
    await clock.pass((ms) => ms >= 270_000);
    await questions(4);
    assert.deepEqual(harness.lines, []);
    assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}:15060`]);
  });

  test('and is told where that is not what STUN sees', async () => {
    answer((request) => [stunAnswer(request, { address: '203.0.113.99', port: 1024 })]);
    const agent = await start('--listen', `udp:127.0.0.1:${port} as ${PUBLIC}:15060`);
    await clock.pass((ms) => ms === 0);
    await harness.logged(
      /is advertised as 203\.0\.113\.5 as you wrote, but .* sees it as 203\.0\.113\.99:1024/,
    );
    assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}:15060`]);
    assert.equal(harness.lines.length, 1);
  });

  test('by the configuration file later, the complaint ends and nobody is asked', async () => {
    answer((request) => [stunAnswer(request, { address: PUBLIC, port: 1024 })]);
    const agent = await start('--config', 'c');
    assert.equal(agent.topology.notes?.length, 1);
    harness.file = `advertise: ${PUBLIC}\n`;
    await agent.reload();
    assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}`]);
    assert.deepEqual(agent.topology.notes, []);
    assert.equal(askers.length, 2);
  });
});

test('the servers that a tag names are asked from the start', async () => {
  const stun = servers.map(({ text }) => text).join();
  cloud.discover = () => Promise.resolve({ ...unknown('127.0.0.1'), options: { stun } });
  const agent = await harness.startAt(clock, cloud, '--listen', `udp:*:${port}`);
  assert.deepEqual(shown(agent), [`127.0.0.1 as ${PUBLIC}`]);
});
