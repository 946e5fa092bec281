import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { MediaError } from '../../src/media/media-error.ts';
import { startMediaRelay } from '../../src/media/media-relay.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { anchor, kinds, Phone, portsOf, relayAddress, relayFor, rtp, sdp, silentLog } from './support.ts';

const nobody = { onSilence: (): void => {} };
const openFiles = (): number => readdirSync('/proc/self/fd').length;

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof MediaError && error.code === code;

for (const forwarder of kinds) {
  describe(`a media relay with ${forwarder}`, () => {
    it('gives all ports and descriptors back after 2,000 calls', async (t) => {
      const { relay, clock } = await relayFor(t, { forwarder, portRange: { from: 20_000, to: 20_799 } });
      const calls = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i++) {
          const session = relay.createSession(`call ${i}`, nobody);
          anchor(session, 'offer', 'caller', sdp('10.9.9.9', 4000));
          anchor(session, 'answer', 'callee', sdp('10.8.8.8', 5000));
          session.close();
          // 200 pairs serve 100 calls at a time: those that end have to come back.
          if (i % 100 === 99) await relay.flush();
        }
        await relay.flush();
      };
      await calls(100);
      const before = openFiles();
      await calls(2000);
      assert.equal(relay.stats.portsInUse, 0);
      assert.equal(relay.stats.sessions, 0);
      assert.equal(openFiles(), before);
      assert.equal(clock.pending, 0);
    });

    it('carries 500 calls at once', async (t) => {
      const { relay } = await relayFor(t, { forwarder });
      const caller = await Phone.open(t);
      const callee = await Phone.open(t);
      const ports: number[] = [];
      for (let i = 0; i < 500; i++) {
        const session = relay.createSession(`call ${i}`, nobody);
        anchor(session, 'offer', 'caller', sdp('127.0.0.1', caller.port));
        const answer = anchor(session, 'answer', 'callee', sdp('127.0.0.1', callee.port));
        ports.push(portsOf(answer)[0]!);
      }
      assert.equal(new Set(ports).size, 500);
      assert.equal(relay.stats.portsInUse, 2000);
      await relay.flush();
      for (const [i, port] of ports.entries()) {
        await caller.send(rtp(`call ${i}`), port);
        assert.deepEqual((await callee.next()).payload, rtp(`call ${i}`));
      }
    });

    it('has nothing half done when the ports run out', async (t) => {
      // Three pairs: a call with one stream fits, a second one does not.
      const { relay } = await relayFor(t, { forwarder, portRange: { from: 21_000, to: 21_005 } });
      const first = relay.createSession('first', nobody);
      anchor(first, 'offer', 'caller', sdp('10.9.9.9', 4000));
      const second = relay.createSession('second', nobody);
      const offer = (): string => anchor(second, 'offer', 'caller', sdp('10.9.9.9', 4000));
      assert.throws(offer, hasCode('media.ports-exhausted'));
      await relay.flush();
      assert.deepEqual([relay.stats.portsInUse, relay.stats.legs], [4, 2]);
      first.close();
      await relay.flush();
      assert.equal(portsOf(offer()).length, 1);
    });

    it('steps aside for ports that others hold', async (t) => {
      const { relay } = await relayFor(t, { forwarder, portRange: { from: 22_000, to: 22_007 } });
      await Phone.open(t, relayAddress, 22_000);
      await Phone.open(t, relayAddress, 22_003);
      const session = relay.createSession('call', nobody);
      const offer = anchor(session, 'offer', 'caller', sdp('10.9.9.9', 4000));
      const answer = anchor(session, 'answer', 'callee', sdp('10.8.8.8', 5000));
      assert.deepEqual([...portsOf(offer), ...portsOf(answer)].toSorted(), [22_004, 22_006]);
      session.close();
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 0);
    });

    it('joins two calls that meet in it by the bound address, not by the public one', async (t) => {
      const { relay } = await relayFor(t, { forwarder });
      const caller = await Phone.open(t);
      const callee = await Phone.open(t);
      const first = relay.createSession('first', nobody);
      const second = relay.createSession('second', nobody);
      // What the first call offers comes back as the offer of the second, as through a B2BUA without media.
      const between = anchor(first, 'offer', 'caller', sdp('127.0.0.1', caller.port));
      anchor(second, 'offer', 'caller', between);
      const back = anchor(second, 'answer', 'callee', sdp('127.0.0.1', callee.port));
      const answer = anchor(first, 'answer', 'callee', back);
      await relay.flush();
      await caller.send(rtp('through both'), portsOf(answer)[0]!);
      assert.deepEqual((await callee.next()).payload, rtp('through both'));
      assert.equal(relay.stats.packets, 2);
    });

    it('lets no packet run in a ring', async (t) => {
      const { relay } = await relayFor(t, { forwarder });
      const session = relay.createSession('ring', nobody);
      const phone = await Phone.open(t);
      const offered = anchor(session, 'offer', 'caller', sdp('10.9.9.9', 4000));
      // The callee claims the relay's own port that faces it, then the one that faces the caller.
      const answer = anchor(session, 'answer', 'callee', offered);
      anchor(session, 'offer', 'callee', answer);
      await relay.flush();
      assert.deepEqual(
        session.snapshot().map(({ party, described }) => [party, described?.address]),
        [
          ['caller', '10.9.9.9'],
          ['callee', undefined],
        ],
      );
      await phone.send(rtp('round'), portsOf(offered)[0]!);
      await phone.send(rtp('and round'), portsOf(answer)[0]!);
      assert.deepEqual((await phone.next()).payload, rtp('and round'));
      assert.equal(relay.stats.packets, 2);
    });

    it('does not throw media at the SIP port of this host', async (t) => {
      const { relay } = await relayFor(t, { forwarder, protectedPorts: [5060] });
      const session = relay.createSession('call', nobody);
      anchor(session, 'offer', 'caller', sdp(relayAddress, 5060));
      assert.equal(session.snapshot()[0]?.described, undefined);
      anchor(session, 'offer', 'caller', sdp('198.51.100.1', 5060));
      assert.equal(session.snapshot()[0]?.described, undefined);
    });

    it('closes with calls in progress', async () => {
      const before = openFiles();
      const clock = new ManualClock();
      const relay = await startMediaRelay({ clock, log: silentLog, forwarder });
      const session = relay.createSession('call', nobody);
      anchor(session, 'offer', 'caller', sdp('10.9.9.9', 4000));
      await relay.close();
      assert.equal(openFiles(), before);
      assert.equal(clock.pending, 0);
      const late = relay.createSession('late', nobody);
      assert.throws(
        () => anchor(late, 'offer', 'caller', sdp('10.9.9.9', 4000)),
        hasCode('media.session-closed'),
      );
      await relay.close();
    });
  });
}

describe('starting a media relay', () => {
  it('takes the best forwarder that it may', async (t) => {
    const { relay } = await relayFor(t, { forwarder: 'auto' });
    assert.ok(['kernel', 'kernel-xdp', 'koffi'].includes(relay.stats.forwarder), relay.stats.forwarder);
  });

  it('refuses a range without ports', async () => {
    await assert.rejects(
      startMediaRelay({ clock: new ManualClock(), log: silentLog, portRange: { from: 30_001, to: 30_002 } }),
      hasCode('media.port-range'),
    );
  });
});
