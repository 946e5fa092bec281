import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test } from 'node:test';
import type { StunSighting } from '../../src/discovery/ask-stun.ts';
import { askStunFromAnyPort } from '../../src/discovery/ask-stun-from-any-port.ts';
import { parseStunServer } from '../../src/discovery/stun-server.ts';
import type { Clock } from '../../src/net/clock.ts';
import { attribute, type FakeStun, startFakeStun, stunAnswer, stunError } from '../support/fake-stun.ts';
import { ImpatientClock } from '../support/impatient-clock.ts';
import { ManualClock } from '../support/manual-clock.ts';

const PUBLIC = '203.0.113.5';
const behindNat: FakeStun['answer'] = (request, { port }) => [stunAnswer(request, { address: PUBLIC, port })];

function ask(
  privateAddress: string,
  servers: readonly FakeStun[],
  clock: Clock = new ManualClock(),
  signal: AbortSignal = new AbortController().signal,
): Promise<StunSighting> {
  return askStunFromAnyPort(privateAddress, {
    servers: servers.map(({ text }) => parseStunServer(text)!),
    clock,
    signal,
  });
}

test('each server is asked from a socket that is bound to the private address', async () => {
  const from: string[] = [];
  const answer: FakeStun['answer'] = (request, source) => {
    from.push(source.address);
    return behindNat(request, source);
  };
  await using one = await startFakeStun(answer);
  await using two = await startFakeStun(answer);
  const clock = new ManualClock();
  const sighting = await ask('127.0.0.77', [one, two], clock);
  assert.deepEqual(from, ['127.0.0.77', '127.0.0.77']);
  const mapped = { address: PUBLIC, port: sighting.localPort };
  assert.deepEqual(sighting, {
    privateAddress: '127.0.0.77',
    localPort: sighting.localPort,
    seen: [
      { server: one.text, mapped },
      { server: two.text, mapped },
    ],
    declined: [],
  });
  assert.equal(clock.pending, 0);
});

test('a lost request is sent again', async () => {
  let count = 0;
  await using lossy = await startFakeStun((request, from) =>
    ++count < 3 ? undefined : behindNat(request, from),
  );
  const { seen } = await ask('127.0.0.1', [lossy], new ImpatientClock(2999));
  assert.equal(seen.length, 1);
  assert.equal(lossy.requests, 3);
});

test('silence ends with the time', async () => {
  const clock = new ManualClock();
  const asked = Promise.withResolvers<void>();
  await using mute = await startFakeStun(() => {
    asked.resolve();
    return undefined;
  });
  await using one = await startFakeStun(behindNat);
  const asking = ask('127.0.0.1', [mute, one], clock);
  await asked.promise;
  clock.advance(3000);
  const { seen } = await asking;
  assert.ok(seen.every(({ server }) => server === one.text));
  assert.equal(clock.pending, 0);
});

test('cloudsip may stop meanwhile', async () => {
  const clock = new ManualClock();
  const abort = new AbortController();
  await using mute = await startFakeStun(() => {
    abort.abort();
    return undefined;
  });
  assert.deepEqual((await ask('127.0.0.1', [mute], clock, abort.signal)).seen, []);
  assert.equal(clock.pending, 0);
});

test('rubbish, foreign transactions and answers from elsewhere are not believed', async () => {
  const stranger = createSocket('udp4');
  try {
    await using hostile = await startFakeStun((request, from) => {
      const lie = stunAnswer(request, { address: '192.0.2.66', port: from.port });
      stranger.send(lie, from.port, from.address);
      const foreign = Buffer.from(lie);
      foreign.writeUInt8(foreign[10]! ^ 0xff, 10);
      // The stranger's datagram first: the true answer comes a turn later.
      return [Buffer.alloc(0), Buffer.from('rubbish'), foreign, ...behindNat(request, from)!];
    });
    const { seen } = await ask('127.0.0.1', [hostile]);
    assert.deepEqual(
      seen.map(({ mapped }) => mapped.address),
      [PUBLIC],
    );
  } finally {
    stranger.close();
  }
});

test('an address that the machine does not have is a failure, not an error', async () => {
  await using one = await startFakeStun(behindNat);
  const { failure, seen } = await ask('203.0.113.200', [one]);
  assert.equal(failure, 'EADDRNOTAVAIL');
  assert.deepEqual(seen, []);
});

test('who says that he will not say is not asked again, and is told of', async () => {
  const clock = new ManualClock();
  await using busy = await startFakeStun((request) => [
    stunError(request, 300, attribute(0x8023, Buffer.from([0, 1, 0x0d, 0x96, 192, 0, 2, 66]))),
  ]);
  await using one = await startFakeStun(behindNat);
  const { seen, declined } = await ask('127.0.0.1', [busy, one], clock);
  assert.deepEqual(
    seen.map(({ server }) => server),
    [one.text],
  );
  assert.deepEqual(declined, [{ server: busy.text, why: 'answered with error 300' }]);
  assert.deepEqual([busy.requests, clock.pending], [1, 0]);
});

test('two names of one server are one server, which is asked once', async () => {
  await using one = await startFakeStun(behindNat);
  const [named] = [parseStunServer(one.text)!];
  const sighting = await askStunFromAnyPort('127.0.0.1', {
    servers: [named!, { ...named!, text: 'alias' }],
    clock: new ManualClock(),
    signal: new AbortController().signal,
  });
  assert.equal(sighting.seen.length, 1);
  assert.deepEqual(sighting.declined, [{ server: 'alias', why: `is the same server as ${one.text}` }]);
  assert.equal(one.requests, 1);
});

test('a server without an address of the family is told of', async () => {
  const sighting = await askStunFromAnyPort('127.0.0.1', {
    servers: [parseStunServer('[2001:db8::1]:3478')!],
    clock: new ManualClock(),
    signal: new AbortController().signal,
  });
  assert.deepEqual(sighting.declined, [
    { server: '[2001:db8::1]:3478', why: 'has no IPv4 address that could be found' },
  ]);
});
