import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { MediaRelay, MediaSession, MediaTap, Party } from '../../src/media/media-contract.ts';
import { MediaError } from '../../src/media/media-error.ts';
import type { MediaRelayOptions } from '../../src/media/media-relay.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import {
  addressesOf,
  anchor,
  Phone,
  portsOf,
  relayFor,
  rtcp,
  rtp,
  type StreamText,
  sdp,
  towardsCallee,
} from './support.ts';

interface Fixture {
  relay: MediaRelay;
  clock: ManualClock;
  session: MediaSession;
  silences: number;
  rewrite(kind: 'offer' | 'answer', from: Party, branch: string, text: string): string;
}

async function setUp(t: TestContext, options: Partial<MediaRelayOptions> = {}): Promise<Fixture> {
  const { relay, clock } = await relayFor(t, options);
  const fixture: Fixture = {
    relay,
    clock,
    silences: 0,
    session: relay.createSession('session', {
      onSilence: () => {
        fixture.silences++;
      },
    }),
    rewrite: (kind, from, branch, text) => anchor(fixture.session, kind, from, text, { branch }),
  };
  return fixture;
}

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof MediaError && error.code === code;

describe('a session of the media relay', () => {
  it('writes to each side the address and port of the leg that faces it', async (t) => {
    const { rewrite, relay } = await setUp(t);
    const offer = rewrite('offer', 'caller', 'b', sdp('10.9.9.9', 4000));
    const answer = rewrite('answer', 'callee', 'b', sdp('10.8.8.8', 5000));
    assert.deepEqual(addressesOf(offer), ['198.51.100.2']);
    assert.deepEqual(addressesOf(answer), ['198.51.100.1']);
    assert.match(offer, /^o=phone 1 1 IN IP4 198\.51\.100\.2\r$/m);
    assert.doesNotMatch(offer + answer, /10\.[89]\./);
    assert.notDeepEqual(portsOf(offer), portsOf(answer));
    for (const port of [...portsOf(offer), ...portsOf(answer)]) assert.equal(port % 2, 0);
    assert.deepEqual([relay.stats.sessions, relay.stats.legs, relay.stats.portsInUse], [1, 2, 4]);
  });

  it('binds both sides on the offer', async (t) => {
    const { rewrite, relay, session } = await setUp(t);
    rewrite('offer', 'caller', 'b', sdp('10.9.9.9', 4000, 4002));
    assert.equal(relay.stats.portsInUse, 8);
    assert.deepEqual(
      session.snapshot().map(({ party, index }) => [party, index]),
      [
        ['caller', 0],
        ['caller', 1],
        ['callee', 0],
        ['callee', 1],
      ],
    );
  });

  it('serves a late offer: from the callee in its 200, answered in the ACK', async (t) => {
    const { rewrite, relay } = await setUp(t);
    const caller = await Phone.open(t);
    const callee = await Phone.open(t);
    const offer = rewrite('offer', 'callee', 'b', sdp('127.0.0.1', callee.port));
    const answer = rewrite('answer', 'caller', 'b', sdp('127.0.0.1', caller.port));
    assert.deepEqual(addressesOf(offer), ['198.51.100.1']);
    assert.deepEqual(addressesOf(answer), ['198.51.100.2']);
    await relay.flush();
    await caller.send(rtp('up'), portsOf(offer)[0]!);
    assert.deepEqual((await callee.next()).payload, rtp('up'));
    await callee.send(rtp('down'), portsOf(answer)[0]!);
    assert.deepEqual((await caller.next()).payload, rtp('down'));
  });

  it('keeps the ports over re-offers from either side, and adds and removes streams', async (t) => {
    const { rewrite, relay } = await setUp(t);
    const first = portsOf(rewrite('offer', 'caller', 'b', sdp('10.9.9.9', 4000)));
    const firstAnswer = portsOf(rewrite('answer', 'callee', 'b', sdp('10.8.8.8', 5000)));

    const more = portsOf(
      rewrite('offer', 'callee', 'b', sdp('10.8.8.8', 5000, { port: 5002, media: 'video' })),
    );
    assert.equal(more[0], firstAnswer[0]);
    const moreAnswer = portsOf(rewrite('answer', 'caller', 'b', sdp('10.9.9.9', 4000, 4002)));
    assert.equal(moreAnswer[0], first[0]);
    assert.equal(relay.stats.portsInUse, 8);

    const fewer: (StreamText | number)[] = [4000, { port: 0, media: 'video' }];
    assert.deepEqual(portsOf(rewrite('offer', 'caller', 'b', sdp('10.9.9.9', ...fewer))), [first[0], 0]);
    assert.equal(relay.stats.portsInUse, 8, 'the offer may still be refused');
    assert.deepEqual(portsOf(rewrite('answer', 'callee', 'b', sdp('10.8.8.8', 5000, 0))), [
      firstAnswer[0],
      0,
    ]);
    await relay.flush();
    assert.equal(relay.stats.portsInUse, 4);
  });

  it('gives back what an answer refuses or leaves out', async (t) => {
    const { rewrite, relay } = await setUp(t);
    rewrite('offer', 'caller', 'b', sdp('10.9.9.9', 4000, 4002, 4004));
    assert.equal(relay.stats.portsInUse, 12);
    rewrite('answer', 'callee', 'b', sdp('10.8.8.8', 5000, 0));
    await relay.flush();
    assert.equal(relay.stats.portsInUse, 4);
  });

  it('writes port 0 where an answer takes up a stream that was not offered', async (t) => {
    const { rewrite } = await setUp(t);
    rewrite('offer', 'caller', 'b', sdp('10.9.9.9', 4000, 0));
    const answer = rewrite('answer', 'callee', 'b', sdp('10.8.8.8', 5000, 5002));
    assert.equal(portsOf(answer)[1], 0);
  });

  it('leaves alone what it does not relay', async (t) => {
    const { rewrite, relay } = await setUp(t);
    const offer = rewrite(
      'offer',
      'caller',
      'b',
      sdp('10.9.9.9', { port: 2855, media: 'message', proto: 'TCP/MSRP' }),
    );
    assert.deepEqual(portsOf(offer), [2855]);
    assert.deepEqual(addressesOf(offer), ['10.9.9.9']);
    assert.equal(relay.stats.portsInUse, 0);
  });

  it('carries RTCP on the RTP port where both want it, and between it and the odd port where the answer refuses', async (t) => {
    const { rewrite, relay } = await setUp(t);
    const caller = await Phone.open(t);
    const callee = await Phone.open(t);
    const both = { attributes: ['rtcp-mux'] };
    const offer = rewrite('offer', 'caller', 'b', sdp('127.0.0.1', { port: caller.port, ...both }));
    assert.match(offer, /^a=rtcp-mux\r$/m);
    const answer = rewrite('answer', 'callee', 'b', sdp('127.0.0.1', { port: callee.port, ...both }));
    await relay.flush();
    await caller.send(rtcp('beside'), portsOf(answer)[0]!);
    assert.deepEqual((await callee.next()).payload, rtcp('beside'));

    const callersRtcp = await Phone.open(t);
    const attributes = ['rtcp-mux', `rtcp:${callersRtcp.port}`];
    const reoffer = rewrite('offer', 'caller', 'b', sdp('127.0.0.1', { port: caller.port, attributes }));
    assert.match(reoffer, new RegExp(`^a=rtcp:${portsOf(offer)[0]! + 1}\r$`, 'm'));
    rewrite('answer', 'callee', 'b', sdp('127.0.0.1', callee.port));
    await relay.flush();
    await callee.send(rtcp('apart'), portsOf(offer)[0]! + 1);
    const arrived = await caller.next();
    assert.deepEqual([arrived.payload, arrived.source.port], [rtcp('apart'), portsOf(answer)[0]!]);
    assert.equal(callersRtcp.unread, 0);
  });

  it('carries T.38, whose packets look like nothing else', async (t) => {
    const { rewrite, relay, session } = await setUp(t);
    const fax = await Phone.open(t, '127.0.0.9');
    const gateway = await Phone.open(t);
    const stream = { media: 'image', proto: 'udptl' };
    rewrite('offer', 'caller', 'b', sdp('10.9.9.9', { port: 4000, ...stream }));
    rewrite('answer', 'callee', 'b', sdp('127.0.0.1', { port: gateway.port, ...stream }));
    await relay.flush();
    await fax.send(Buffer.from([0, 0, 1, 6, 0]), session.snapshot()[0]!.bound.port);
    assert.deepEqual((await gateway.next()).payload, Buffer.from([0, 0, 1, 6, 0]));
  });

  describe('with a fork', () => {
    async function fork(
      t: TestContext,
    ): Promise<Fixture & { caller: Phone; a: Phone; b: Phone; offers: number[]; callerPort: number }> {
      const fixture = await setUp(t);
      const [caller, a, b] = [await Phone.open(t), await Phone.open(t), await Phone.open(t)];
      const offers = ['a', 'b'].map(
        (branch) => portsOf(fixture.rewrite('offer', 'caller', branch, sdp('127.0.0.1', caller.port)))[0]!,
      );
      const answers = [a, b].map(
        (phone, i) =>
          portsOf(fixture.rewrite('answer', 'callee', ['a', 'b'][i]!, sdp('127.0.0.1', phone.port)))[0]!,
      );
      assert.equal(answers[0], answers[1], 'the caller has one leg for all branches');
      assert.notEqual(offers[0], offers[1], 'each callee has its own');
      await fixture.relay.flush();
      return { ...fixture, caller, a, b, offers, callerPort: answers[0]! };
    }

    it('hears all branches and talks to the one that answered last', async (t) => {
      const { caller, a, b, offers, callerPort } = await fork(t);
      await a.send(rtp('from a'), offers[0]!);
      assert.deepEqual((await caller.next()).payload, rtp('from a'));
      await b.send(rtp('from b'), offers[1]!);
      assert.deepEqual((await caller.next()).payload, rtp('from b'));
      await caller.send(rtp('to b'), callerPort);
      assert.deepEqual((await b.next()).payload, rtp('to b'));
      assert.equal(a.unread, 0);
    });

    it('talks to the branch that won, and closes the others', async (t) => {
      const { relay, session, rewrite, caller, a, callerPort } = await fork(t);
      assert.deepEqual([relay.stats.legs, relay.stats.portsInUse], [3, 6]);
      session.settle('a');
      await relay.flush();
      assert.deepEqual([relay.stats.legs, relay.stats.portsInUse], [2, 4]);
      await caller.send(rtp('to a'), callerPort);
      assert.deepEqual((await a.next()).payload, rtp('to a'));
      assert.throws(
        () => rewrite('answer', 'callee', 'b', sdp('10.8.8.8', 5000)),
        hasCode('media.branch-gone'),
      );
    });

    it('goes back to the branch before when the last one fails', async (t) => {
      const { relay, session, rewrite, caller, a, callerPort } = await fork(t);
      session.dropBranch('b');
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 4);
      await caller.send(rtp('to a'), callerPort);
      assert.deepEqual((await a.next()).payload, rtp('to a'));
      assert.throws(
        () => rewrite('answer', 'callee', 'b', sdp('10.8.8.8', 5000)),
        hasCode('media.branch-gone'),
      );
    });

    it('keeps the stream of the caller while any branch has it', async (t) => {
      const { relay, rewrite } = await setUp(t);
      for (const branch of ['a', 'b']) rewrite('offer', 'caller', branch, sdp('10.9.9.9', 4000, 4002));
      assert.equal(relay.stats.portsInUse, 12);
      rewrite('answer', 'callee', 'a', sdp('10.8.8.8', 5000, 0));
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 10);
      rewrite('answer', 'callee', 'b', sdp('10.7.7.7', 5000, 0));
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 6);
    });

    it('gives it back where the branch that wins has refused it, and another had not', async (t) => {
      const { relay, session, rewrite } = await setUp(t);
      for (const branch of ['a', 'b']) rewrite('offer', 'caller', branch, sdp('10.9.9.9', 4000, 4002));
      rewrite('answer', 'callee', 'a', sdp('10.8.8.8', 5000, 0));
      rewrite('answer', 'callee', 'b', sdp('10.7.7.7', 5000, 5002));
      let tapped: readonly unknown[] = [];
      const setStreams = (streams: readonly unknown[]): void => void (tapped = streams);
      session.attach({ setStreams } as unknown as MediaTap);
      assert.equal(tapped.length, 10);
      session.settle('a');
      assert.equal(tapped.length, 4);
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 4);
      assert.equal(session.snapshot().length, 2);
    });
  });

  describe('that falls silent', () => {
    it('tells so 60 s after the call was answered, unless RTP comes', async (t) => {
      const fixture = await setUp(t);
      const { relay, clock, session, rewrite } = fixture;
      const caller = await Phone.open(t);
      const callee = await Phone.open(t);
      rewrite('offer', 'caller', 'b', sdp('127.0.0.1', caller.port));
      clock.advance(600_000);
      const answer = rewrite('answer', 'callee', 'b', sdp('127.0.0.1', callee.port));
      clock.advance(600_000);
      assert.equal(fixture.silences, 0, 'it rings');
      session.settle('b');
      await relay.flush();
      clock.advance(50_000);
      await caller.send(rtp('hello'), portsOf(answer)[0]!);
      await callee.next();
      clock.advance(55_000);
      // RTCP alone is no call.
      await caller.send(rtcp('alive'), portsOf(answer)[0]!);
      await callee.next();
      assert.equal(fixture.silences, 0);
      clock.advance(15_000);
      assert.equal(fixture.silences, 1);
    });

    for (const [style, text] of [
      ['a=sendonly', sdp('127.0.0.1', { port: 4000, attributes: ['sendonly'] })],
      ['a=inactive', sdp('127.0.0.1', { port: 4000, attributes: ['inactive'] })],
      ['0.0.0.0', sdp('0.0.0.0', 4000)],
    ] as const) {
      it(`waits half an hour on hold by ${style}`, async (t) => {
        const fixture = await setUp(t);
        const { clock, session, rewrite } = fixture;
        rewrite('offer', 'caller', 'b', sdp('127.0.0.1', 4000));
        rewrite('answer', 'callee', 'b', sdp('127.0.0.1', 5000));
        session.settle('b');
        rewrite('offer', 'caller', 'b', text);
        rewrite('answer', 'callee', 'b', sdp('127.0.0.1', 5000));
        clock.advance(1_790_000);
        assert.equal(fixture.silences, 0);
        clock.advance(20_000);
        assert.equal(fixture.silences, 1);
        rewrite('offer', 'caller', 'b', sdp('127.0.0.1', 4000));
        rewrite('answer', 'callee', 'b', sdp('127.0.0.1', 5000));
        clock.advance(70_000);
        assert.equal(fixture.silences, 2);
      });
    }
  });

  describe('refuses', () => {
    it('what is no session description, and changes nothing', async (t) => {
      const { rewrite, relay } = await setUp(t);
      assert.throws(() => rewrite('offer', 'caller', 'b', 'hello'), hasCode('media.sdp-unusable'));
      assert.equal(relay.stats.legs, 0);
    });

    it('a stream without a connection address', async (t) => {
      const { rewrite } = await setUp(t);
      const text = sdp('10.9.9.9', 4000).replace(/^c=.*\r\n/m, '');
      assert.throws(() => rewrite('offer', 'caller', 'b', text), hasCode('media.sdp-unusable'));
    });

    it('an answer without an offer', async (t) => {
      const { rewrite } = await setUp(t);
      assert.throws(
        () => rewrite('answer', 'callee', 'b', sdp('10.8.8.8', 5000)),
        hasCode('media.answer-without-offer'),
      );
    });

    it('anything once it is closed', async (t) => {
      const { rewrite, session, relay, clock } = await setUp(t);
      rewrite('offer', 'caller', 'b', sdp('10.9.9.9', 4000));
      session.close();
      session.close();
      assert.throws(
        () => rewrite('answer', 'callee', 'b', sdp('10.8.8.8', 5000)),
        hasCode('media.session-closed'),
      );
      await relay.flush();
      assert.deepEqual([relay.stats.sessions, relay.stats.legs, relay.stats.portsInUse], [0, 0, 0]);
      assert.equal(clock.pending, 0, 'no timer is left');
    });

    it('to bind an address that is not of this machine, and says what to do', async (t) => {
      const { relay } = await relayFor(t);
      const session = relay.createSession('nat', { onSilence: () => {} });
      const wrong = { boundAddress: '198.51.100.1', advertisedAddress: '198.51.100.1' };
      assert.throws(
        () => session.rewrite(sdp('10.9.9.9', 4000), 'offer', 'caller', 'b', wrong, towardsCallee),
        (error: Error) =>
          hasCode('media.address-not-local')(error) && /bind the private address/.test(error.message),
      );
      assert.equal(relay.stats.legs, 0);
    });
  });
});
