import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { MediaRelay, MediaSession, Party } from '../../src/media/media-contract.ts';
import {
  anchor,
  Phone,
  portsOf,
  relayAddress,
  relayFor,
  rtcp,
  rtp,
  type StreamText,
  sdp,
} from './support.ts';

/** Streams `0`, `1`, …: those of `bundle` are in a group, in its order. */
function bundled(bundle: string, ...ports: readonly number[]): string {
  const streams = ports.map(
    (port, mid): StreamText => ({
      port,
      media: mid === 0 ? 'audio' : 'video',
      attributes: [`mid:${mid}`, 'rtcp-mux'],
    }),
  );
  return sdp('127.0.0.1', ...streams).replace('t=0 0\r\n', `$&a=group:BUNDLE ${bundle}\r\n`);
}

interface Call {
  readonly relay: MediaRelay;
  readonly session: MediaSession;
  readonly caller: Phone;
  readonly callee: Phone;
  /** The ports that the other side reads. */
  say(kind: 'offer' | 'answer', from: Party, text: string, branch?: string): number[];
}

async function open(t: TestContext): Promise<Call> {
  const { relay } = await relayFor(t);
  const session = relay.createSession('session', { onSilence: () => {} });
  return {
    relay,
    session,
    caller: await Phone.open(t),
    callee: await Phone.open(t),
    say: (kind, from, text, branch = 'b') => portsOf(anchor(session, kind, from, text, { branch })),
  };
}

/** RTP and RTCP go both ways between these two and the ports that face them; the first speaks first. */
async function judge(relay: MediaRelay, one: [Phone, number], other: [Phone, number]): Promise<void> {
  await relay.flush();
  for (const [[from, port], [to, source]] of [
    [one, other],
    [other, one],
  ] as const) {
    for (const payload of [rtp('voice'), rtcp('report')]) {
      await from.send(payload, port);
      assert.deepEqual(await to.next(), { payload, source: { address: relayAddress, port: source } });
    }
  }
}

describe('a bundle of which the first stream ends (RFC 9143)', () => {
  for (const party of ['caller', 'callee'] as const) {
    const answerer = party === 'caller' ? 'callee' : 'caller';

    it(`goes on at its port where the ${answerer} refuses it, and where the ${party} offers it no more`, async (t) => {
      const { relay, session, caller, callee, say } = await open(t);
      const [mine, theirs] = party === 'caller' ? [caller, callee] : [callee, caller];
      say('offer', party, bundled('0 1 2', mine.port, mine.port, mine.port));
      const [port] = say('answer', answerer, bundled('0 1 2', theirs.port, theirs.port, theirs.port));
      const [facing, , again] = say('offer', party, bundled('0 1 2', mine.port, mine.port, mine.port));
      assert.equal(again, facing);
      // With another one at its head, which is no different.
      const answered = say('answer', answerer, bundled('2 1', 0, theirs.port, theirs.port));
      assert.deepEqual(answered, [0, port, port]);
      await judge(relay, [mine, port!], [theirs, facing!]);
      assert.equal(relay.stats.portsInUse, 4, 'one pair on each side');

      const without = say('offer', party, bundled('2', 0, 0, mine.port));
      assert.deepEqual(without, [0, 0, facing]);
      assert.deepEqual(say('answer', answerer, bundled('2', 0, 0, theirs.port)), [0, 0, port]);
      await judge(relay, [mine, port!], [theirs, facing!]);
      assert.equal(relay.stats.portsInUse, 4);

      // The call stands, and nothing comes by another port any more.
      session.settle('b');
      await judge(relay, [mine, port!], [theirs, facing!]);
      assert.equal(relay.stats.portsInUse, 2);
      const [added] = say('offer', answerer, bundled('2 0', theirs.port, 0, theirs.port));
      assert.equal(added, port);
      assert.deepEqual(say('answer', party, bundled('2 0', mine.port, 0, mine.port)), [facing, 0, facing]);
      await judge(relay, [mine, port!], [theirs, facing!]);
      assert.equal(relay.stats.portsInUse, 2);
    });
  }

  for (const party of ['caller', 'callee'] as const) {
    it(`goes on where the ${party} has just made one of streams that had ports of their own`, async (t) => {
      const { relay, session, caller, callee, say } = await open(t);
      const answerer = party === 'caller' ? 'callee' : 'caller';
      const [mine, theirs] = party === 'caller' ? [caller, callee] : [callee, caller];
      const before = [await Phone.open(t), await Phone.open(t)];
      const apart = before.map(({ port }): StreamText => ({ port, attributes: ['rtcp-mux'] }));
      for (const kind of ['offer', 'answer'] as const)
        say(kind, kind === 'offer' ? 'caller' : 'callee', sdp('127.0.0.1', ...apart));
      session.settle('b');
      const [facing, again] = say('offer', party, bundled('0 1', mine.port, mine.port));
      assert.equal(again, facing);
      const [, port] = say('answer', answerer, bundled('1', 0, theirs.port));
      const bound = session.snapshot().map((stream) => stream.bound.port);
      assert.deepEqual(bound.sort(), [facing, port].sort());
      await judge(relay, [theirs, facing!], [mine, port!]);
      assert.equal(relay.stats.portsInUse, 2, 'one on each side');
    });
  }

  it('goes on where the one that offers moves at the same time', async (t) => {
    const { relay, caller, callee, say } = await open(t);
    const moved = await Phone.open(t);
    say('offer', 'caller', bundled('0 1', caller.port, caller.port));
    say('answer', 'callee', bundled('0 1', callee.port, callee.port));
    const [facing] = say('offer', 'caller', bundled('0 1', moved.port, moved.port));
    const [, port] = say('answer', 'callee', bundled('1', 0, callee.port));
    // To where it says, before anything comes from there.
    await judge(relay, [callee, facing!], [moved, port!]);
  });

  it('goes on with another first one that the answer names', async (t) => {
    const { relay, caller, callee, say } = await open(t);
    const [facing] = say('offer', 'caller', bundled('0 1', caller.port, caller.port));
    const ports = say('answer', 'callee', bundled('1 0', callee.port, callee.port));
    assert.equal(ports[0], ports[1]);
    assert.notEqual(ports[0], 0);
    await judge(relay, [caller, ports[0]!], [callee, facing!]);
  });

  it('has nothing where the answer takes a stream out, whose port another one keeps', async (t) => {
    const { caller, callee, say } = await open(t);
    say('offer', 'caller', bundled('0 1', caller.port, caller.port));
    const [first, second] = say('answer', 'callee', bundled('0', callee.port, callee.port + 2));
    assert.notEqual(first, 0);
    assert.equal(second, 0);
  });

  it('has a port of its own in each branch of a fork', async (t) => {
    const { relay, session, caller, callee, say } = await open(t);
    const second = await Phone.open(t);
    const offer = bundled('0 1', caller.port, caller.port);
    const [[facing], [facingSecond]] = [
      say('offer', 'caller', offer, 'a'),
      say('offer', 'caller', offer, 'b'),
    ];
    const [, port] = say('answer', 'callee', bundled('1', 0, callee.port), 'a');
    // Where the caller is, its offer says.
    await judge(relay, [callee, facing!], [caller, port!]);
    const [other] = say('answer', 'callee', bundled('0 1', second.port, second.port), 'b');
    assert.notEqual(other, port);
    await judge(relay, [caller, other!], [second, facingSecond!]);
    session.settle('a');
    await judge(relay, [caller, port!], [callee, facing!]);
    session.close();
    await relay.flush();
    assert.equal(relay.stats.portsInUse, 0);
  });
});
