import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { MediaIdentity, MediaRelay, MediaSession } from '../../src/media/media-contract.ts';
import type { MediaRelayOptions } from '../../src/media/media-relay.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import {
  anchor,
  kinds,
  Phone,
  portsOf,
  relayAddress,
  relayFor,
  rtcp,
  rtp,
  sdp,
  towardsCallee,
  towardsCaller,
} from './support.ts';

interface Call {
  relay: MediaRelay;
  session: MediaSession;
  clock: ManualClock;
  caller: Phone;
  callee: Phone;
  /** The relay's ports: where the caller sends to, and the callee. */
  callerPort: number;
  calleePort: number;
}

/** A call between two phones that tell their own ports. */
async function call(
  t: TestContext,
  options: Partial<MediaRelayOptions>,
  fromCaller: MediaIdentity = towardsCaller,
): Promise<Call> {
  const { relay, clock } = await relayFor(t, options);
  const caller = await Phone.open(t);
  const callee = await Phone.open(t);
  const session = relay.createSession('call', { onSilence: () => {} });
  const offer = anchor(session, 'offer', 'caller', sdp('127.0.0.1', caller.port), { caller: fromCaller });
  const answer = anchor(session, 'answer', 'callee', sdp('127.0.0.1', callee.port));
  await relay.flush();
  return {
    relay,
    session,
    clock,
    caller,
    callee,
    callerPort: portsOf(answer)[0]!,
    calleePort: portsOf(offer)[0]!,
  };
}

/** The callee answers with its own port. */
function reanswer(session: MediaSession, callee: Phone): string {
  return anchor(session, 'answer', 'callee', sdp('127.0.0.1', callee.port));
}

for (const forwarder of kinds) {
  describe(`forwarding by ${forwarder}`, () => {
    it('carries packets both ways, each from the port that stands in the SDP', async (t) => {
      const { relay, session, caller, callee, callerPort, calleePort } = await call(t, { forwarder });
      await caller.send(rtp('one'), callerPort);
      const there = await callee.next();
      assert.deepEqual(there.payload, rtp('one'));
      assert.deepEqual(there.source, { address: relayAddress, port: calleePort });
      await callee.send(rtp('two'), calleePort);
      const back = await caller.next();
      assert.deepEqual(back.payload, rtp('two'));
      assert.equal(back.source.port, callerPort);
      assert.equal(relay.stats.packets, 2);
      assert.equal(relay.stats.bytes, 30);
      assert.equal(relay.stats.forwarder, forwarder);
      const [first] = session.snapshot();
      assert.equal(first?.packets, 1);
      assert.ok(first.lastPacketAt > 0);
    });

    it('carries RTCP on the odd ports', async (t) => {
      const { relay, session, clock: _ } = await call(t, { forwarder });
      const caller = await pairOfPhones(t);
      const callee = await pairOfPhones(t);
      const offer = anchor(session, 'offer', 'caller', sdp('127.0.0.1', caller.rtp.port));
      const answer = anchor(session, 'answer', 'callee', sdp('127.0.0.1', callee.rtp.port));
      await relay.flush();
      await caller.rtcp.send(rtcp('report'), portsOf(answer)[0]! + 1);
      const arrived = await callee.rtcp.next();
      assert.deepEqual(arrived.payload, rtcp('report'));
      assert.equal(arrived.source.port, portsOf(offer)[0]! + 1);
    });

    it('follows a peer behind a NAT to where its packets really come from', async (t) => {
      const { session, caller, callee, callerPort, calleePort } = await call(t, { forwarder });
      const nat = await Phone.open(t, '127.0.0.9');
      await nat.send(rtp('from behind'), callerPort);
      await callee.next();
      await callee.send(rtp('to the NAT'), calleePort);
      assert.deepEqual((await nat.next()).payload, rtp('to the NAT'));
      assert.equal(caller.unread, 0);
      assert.deepEqual(session.snapshot()[0]?.learnedEndpoint, { address: '127.0.0.9', port: nat.port });
    });

    it('drops strangers once the learning window is over', async (t) => {
      const { relay, clock, caller, callee, callerPort, calleePort } = await call(t, {
        forwarder,
        learningWindowMs: 10_000,
      });
      await caller.send(rtp('latch'), callerPort);
      await callee.next();
      clock.advance(10_000);
      await relay.flush();
      const stranger = await Phone.open(t, '127.0.0.66');
      await stranger.send(rtp('bleed'), callerPort);
      await caller.send(rtp('still here'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('still here'));
      await callee.send(rtp('answer'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('answer'));
      assert.equal(relay.stats.droppedStrangers, 1);
      assert.equal(stranger.unread, 0);
    });

    it('lets a side begin late, from where it signals, and nobody in its place', async (t) => {
      const { relay, clock, callee, callerPort, calleePort } = await call(
        t,
        { forwarder },
        { ...towardsCaller, peerAddress: '127.0.0.7' },
      );
      clock.advance(3_600_000);
      await relay.flush();
      const early = await Phone.open(t, '127.0.0.66');
      await early.send(rtp('before him'), callerPort);
      const late = await Phone.open(t, '127.0.0.7');
      await late.send(rtp('first ever'), callerPort);
      await callee.next();
      await callee.send(rtp('welcome'), calleePort);
      assert.deepEqual((await late.next()).payload, rtp('welcome'));
      const tooLate = await Phone.open(t, '127.0.0.8');
      await tooLate.send(rtp('second'), callerPort);
      await late.send(rtp('third'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('third'));
      assert.equal(relay.stats.droppedStrangers, 2);
      assert.equal(early.unread, 0);
    });

    it('learns anew when an offer brings another address, and only then', async (t) => {
      const { relay, session, clock, caller, callee, callerPort, calleePort } = await call(t, { forwarder });
      await caller.send(rtp('latch'), callerPort);
      await callee.next();
      clock.advance(10_000);
      const reoffer = (port: number): string => {
        const offer = sdp('127.0.0.1', port);
        return anchor(session, 'offer', 'caller', offer);
      };
      assert.deepEqual(portsOf(reoffer(caller.port)), [calleePort], 'the same ports for the same stream');
      reanswer(session, callee);
      await relay.flush();
      const other = await Phone.open(t);
      await other.send(rtp('not yet'), callerPort);
      await caller.send(rtp('mine'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('mine'));
      assert.equal(relay.stats.droppedStrangers, 1);

      reoffer(other.port);
      await relay.flush();
      await callee.send(rtp('old until the answer'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('old until the answer'));
      reanswer(session, callee);
      await relay.flush();
      await callee.send(rtp('moved'), calleePort);
      assert.deepEqual((await other.next()).payload, rtp('moved'));
    });

    it('stays as it was when an offer inside the call is refused', async (t) => {
      const { relay, session, clock, caller, callee, callerPort, calleePort } = await call(t, { forwarder });
      await caller.send(rtp('latch'), callerPort);
      await callee.next();
      await callee.send(rtp('latch'), calleePort);
      await caller.next();
      clock.advance(10_000);
      const other = await Phone.open(t);
      const { portsInUse } = relay.stats;
      const description = sdp('127.0.0.1', other.port, { port: other.port + 2, media: 'video' });
      const offer = anchor(session, 'offer', 'callee', description);
      assert.equal(portsOf(offer)[0], callerPort);
      assert.equal(relay.stats.portsInUse, portsInUse + 4, 'a second stream on both sides');
      session.rollBack('b', 'callee');
      await relay.flush();
      assert.equal(relay.stats.portsInUse, portsInUse);
      await caller.send(rtp('as before'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('as before'));
      await other.send(rtp('stranger'), calleePort);
      await callee.send(rtp('and back'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('and back'));
      assert.equal(relay.stats.droppedStrangers, 1);
    });

    it('hears a phone by another port of its address while it may be answering, and sends nothing there', async (t) => {
      const { relay, session, clock, caller, callee, callerPort, calleePort } = await call(t, { forwarder });
      for (const [phone, port, other] of [
        [caller, callerPort, callee],
        [callee, calleePort, caller],
      ] as const) {
        await phone.send(rtp('latch'), port);
        await other.next();
      }
      clock.advance(10_000);
      const moved = await Phone.open(t);
      const thief = await Phone.open(t, '127.0.0.66');
      // What arrives at one socket is read in order: once the second has passed, the first is judged.
      const passes = async (text: string): Promise<void> => {
        await callee.send(rtp(text), calleePort);
        assert.deepEqual((await caller.next()).payload, rtp(text));
      };
      await moved.send(rtp('no offer is open'), calleePort);
      await passes('nor was one');
      const reoffer = (): string => anchor(session, 'offer', 'caller', sdp('127.0.0.1', caller.port));
      reoffer();
      await relay.flush();
      await thief.send(rtp('from elsewhere'), calleePort);
      await moved.send(Buffer.from('no RTP'), calleePort);
      await moved.send(rtp('before the answer'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('before the answer'));
      await passes('and by the old one');
      await caller.send(rtp('to where it was'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('to where it was'));
      session.rollBack('b', 'caller');
      await relay.flush();
      await moved.send(rtp('the offer was refused'), calleePort);
      await passes('as before');
      reoffer();
      reanswer(session, callee);
      await relay.flush();
      await moved.send(rtp('the answer names the old port'), calleePort);
      await passes('as ever');
      reoffer();
      reanswer(session, moved);
      await relay.flush();
      await caller.send(rtp('to the new one'), callerPort);
      assert.deepEqual((await moved.next()).payload, rtp('to the new one'));
      assert.deepEqual([relay.stats.droppedStrangers, thief.unread, moved.unread], [5, 0, 0]);
    });

    it('is in place for the packet that answers the answer', async (t) => {
      const { relay } = await relayFor(t, { forwarder });
      const caller = await Phone.open(t);
      const callee = await Phone.open(t);
      for (let round = 0; round < 100; round++) {
        const session = relay.createSession('quick', { onSilence: () => {} });
        const offer = sdp('127.0.0.1', caller.port);
        anchor(session, 'offer', 'caller', offer);
        await relay.flush(); // the offer travels
        const port = portsOf(reanswer(session, callee))[0]!;
        // From here on the answer is on its way: no turn of the loop passes before the first packet.
        await caller.send(rtp(`first ${round}`), port);
        // By system calls the last packet before the end is safe too; node:dgram may close before it reads.
        if (forwarder === 'koffi') {
          await caller.send(rtp(`last ${round}`), port);
          session.close();
        }
        assert.deepEqual((await callee.next()).payload, rtp(`first ${round}`));
        if (forwarder === 'koffi') assert.deepEqual((await callee.next()).payload, rtp(`last ${round}`));
        session.close();
      }
      await relay.flush();
      assert.equal(relay.stats.droppedUndeliverable, 0);
      assert.equal(relay.stats.portsInUse, 0);
    });

    it('is not taught by a datagram that is no media', async (t) => {
      const { relay, caller, callee, callerPort, calleePort } = await call(t, { forwarder });
      const scanner = await Phone.open(t, '127.0.0.66');
      await scanner.send(Buffer.from('\0\x01 hello'), callerPort);
      await caller.send(rtp('real'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('real'));
      await callee.send(rtp('back'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('back'));
      assert.equal(relay.stats.droppedStrangers, 1);
    });

    it('bears empty and giant datagrams', async (t) => {
      const { relay, caller, callee, callerPort } = await call(t, { forwarder });
      await caller.send(Buffer.alloc(0), callerPort);
      await caller.send(Buffer.alloc(65_507, 0x80), callerPort);
      await caller.send(Buffer.from([0x80]), callerPort);
      assert.equal((await callee.next()).payload.length, 65_507);
      assert.equal((await callee.next()).payload.length, 1);
      assert.equal(relay.stats.droppedUndeliverable, 1);
    });

    it('hears media before the answer, but has nowhere to take it yet', async (t) => {
      const { relay } = await relayFor(t, { forwarder });
      const caller = await Phone.open(t);
      const callee = await Phone.open(t);
      const session = relay.createSession('early', { onSilence: () => {} });
      const offer = anchor(session, 'offer', 'caller', sdp('127.0.0.1', caller.port));
      await relay.flush();
      // RFC 3264 5.1: the offerer must be ready for media as soon as the offer is sent.
      await callee.send(rtp('early media'), portsOf(offer)[0]!);
      assert.deepEqual((await caller.next()).payload, rtp('early media'));
    });

    it('sends nothing to a side that holds with 0.0.0.0 and goes on afterwards', async (t) => {
      const { relay, session, caller, callee, callerPort, calleePort } = await call(t, { forwarder });
      await caller.send(rtp('latch'), callerPort);
      await callee.next();
      const hold = anchor(session, 'offer', 'caller', sdp('0.0.0.0', caller.port));
      assert.match(hold, /^c=IN IP4 0\.0\.0\.0\r$/m);
      assert.deepEqual(portsOf(hold), [calleePort]);
      reanswer(session, callee);
      await relay.flush();
      await callee.send(rtp('unheard'), calleePort);
      // The caller may send while it holds (music): proves also that the packet before was handled.
      await caller.send(rtp('music'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('music'));
      anchor(session, 'offer', 'caller', sdp('127.0.0.1', caller.port));
      reanswer(session, callee);
      await relay.flush();
      await callee.send(rtp('heard'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('heard'));
    });

    it('goes on with the same ports after the media thread died', async (t) => {
      const { relay, session, caller, callee, callerPort, calleePort } = await call(t, { forwarder });
      const nat = await Phone.open(t, '127.0.0.9');
      await nat.send(rtp('latch'), callerPort);
      await callee.next();
      await (relay as unknown as { crash(): Promise<void> }).crash();
      await relay.flush();
      assert.equal(relay.stats.restarts, 1);
      await callee.send(rtp('after'), calleePort);
      assert.deepEqual((await nat.next()).payload, rtp('after'), 'what was learned is still known');
      await nat.send(rtp('and back'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('and back'));
      assert.equal(caller.unread, 0);
      session.close();
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 0);
    });

    it('relays IPv6', async (t) => {
      const { relay } = await relayFor(t, { forwarder });
      const six = { boundAddress: '::1', advertisedAddress: '2001:db8::1' };
      const caller = await Phone.open(t, '::1');
      const callee = await Phone.open(t);
      const session = relay.createSession('six', { onSilence: () => {} });
      const offer = session.rewrite(sdp('::1', caller.port), 'offer', 'caller', '', six, towardsCallee);
      const answer = session.rewrite(
        sdp('127.0.0.1', callee.port),
        'answer',
        'callee',
        '',
        towardsCallee,
        six,
      );
      assert.match(offer, /^c=IN IP4 198\.51\.100\.2\r$/m);
      assert.match(answer, /^c=IN IP6 2001:db8::1\r$/m);
      await relay.flush();
      await caller.send(rtp('six to four'), portsOf(answer)[0]!);
      assert.deepEqual((await callee.next()).payload, rtp('six to four'));
      await callee.send(rtp('four to six'), portsOf(offer)[0]!);
      assert.deepEqual((await caller.next()).payload, rtp('four to six'));
      // It announces a port that a NAT does not keep.
      session.rewrite(sdp('::1', caller.port - 1), 'offer', 'caller', '', six, towardsCallee);
      session.rewrite(sdp('127.0.0.1', callee.port), 'answer', 'callee', '', towardsCallee, six);
      await relay.flush();
      const nat = await Phone.open(t, '::1');
      await nat.send(rtp('moved'), portsOf(answer)[0]!);
      await callee.next();
      await callee.send(rtp('follow'), portsOf(offer)[0]!);
      assert.deepEqual((await nat.next()).payload, rtp('follow'));
    });
  });
}

/** Two phones on neighbouring ports, the first even. */
async function pairOfPhones(t: TestContext): Promise<{ rtp: Phone; rtcp: Phone }> {
  for (;;) {
    const first = await Phone.open(t);
    if (first.port % 2 === 1) continue;
    try {
      return { rtp: first, rtcp: await Phone.open(t, '127.0.0.1', first.port + 1) };
    } catch {
      // Somebody has the neighbour: look elsewhere.
    }
  }
}
