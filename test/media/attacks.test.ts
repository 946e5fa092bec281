import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type {
  ForwarderKind,
  MediaIdentity,
  MediaRelay,
  MediaSession,
} from '../../src/media/media-contract.ts';
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
  type StreamText,
  sdp,
  towardsCallee,
  towardsCaller,
} from './support.ts';

interface Victims {
  readonly relay: MediaRelay;
  readonly session: MediaSession;
  readonly clock: ManualClock;
  readonly caller: Phone;
  readonly callee: Phone;
  readonly callerPort: number;
  readonly calleePort: number;
}

/** Packets and commands come to the media thread by ways of their own: looks again until it has seen them. */
async function until(relay: MediaRelay, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!isSo()) {
    assert.ok(performance.now() < deadline, JSON.stringify(relay.stats));
    await relay.flush();
  }
}

/** What the kernel dropped at the socket that is bound to this port of the relay. */
function dropsOf(port: number): number {
  const [a, b, c, d] = relayAddress.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
  const local = `${d}${c}${b}${a}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
  // The table is read piece by piece: a socket of another process that closes in between makes it skip one.
  for (let tries = 0; tries < 100; tries++) {
    const line = readFileSync('/proc/net/udp', 'latin1')
      .split('\n')
      .find((entry) => entry.includes(` ${local} `));
    if (line) return Number(line.trim().split(/\s+/).at(-1));
  }
  throw new Error(`no socket is bound to ${local}`);
}

/** What this thread's heap holds that something still refers to. */
function keptBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** A call whose caller tells `described` as his address and signals from `signalling`. */
async function victims(
  t: TestContext,
  forwarder: ForwarderKind,
  options: { describes?: string; signalling?: string; from?: string; stream?: Partial<StreamText> } = {},
): Promise<Victims> {
  const { relay, clock } = await relayFor(t, { forwarder });
  const caller = await Phone.open(t, options.from ?? '127.0.0.1');
  const callee = await Phone.open(t);
  const session = relay.createSession('victims', { onSilence: () => {} });
  const his: MediaIdentity = { ...towardsCaller, peerAddress: options.signalling };
  const text = (address: string, port: number): string => sdp(address, { port, ...options.stream });
  const offer = anchor(session, 'offer', 'caller', text(options.describes ?? caller.address, caller.port), {
    caller: his,
  });
  const answer = anchor(session, 'answer', 'callee', text('127.0.0.1', callee.port), { caller: his });
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

for (const forwarder of kinds) {
  describe(`strangers at the media ports of ${forwarder}`, () => {
    /** RTP bleed (RFC 7362 6; the advisories on Asterisk of 2017, on rtpproxy and rtpengine of 2017 and 2025). */
    it('who were there before the phone lose the stream to it, and get nothing more', async (t) => {
      const { caller, callee, callerPort, calleePort, session } = await victims(t, forwarder);
      const thief = await Phone.open(t, '127.0.0.66');
      await thief.send(rtp('early bird'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('early bird'), 'nobody knows better yet');
      await caller.send(rtp('it is me'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('it is me'));
      for (let n = 0; n < 20; n++) await thief.send(rtp('again'), callerPort);
      await callee.send(rtp('private'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('private'));
      await caller.send(rtp('done'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('done'), 'nothing was injected');
      assert.equal(thief.unread, 0);
      assert.equal(session.snapshot()[0]?.droppedStrangers, 20);
    });

    it('do not take over inside the learning window from who is where he said', async (t) => {
      const { relay, clock, caller, callee, callerPort, calleePort } = await victims(t, forwarder);
      await caller.send(rtp('first'), callerPort);
      await callee.next();
      const thief = await Phone.open(t, '127.0.0.66');
      await thief.send(rtp('last before the window closes'), callerPort);
      clock.advance(10_000);
      await relay.flush();
      await callee.send(rtp('private'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('private'));
      assert.deepEqual([thief.unread, relay.stats.droppedStrangers], [0, 1]);
    });

    it('are told from a phone behind a NAT by the address that it signals from', async (t) => {
      const { relay, caller, callee, callerPort, calleePort } = await victims(t, forwarder, {
        describes: '192.168.1.10',
        from: '127.0.0.9',
        signalling: '127.0.0.9',
      });
      const thief = await Phone.open(t, '127.0.0.66');
      await thief.send(rtp('early bird'), callerPort);
      await callee.next();
      await caller.send(rtp('through the NAT'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('through the NAT'));
      await thief.send(rtp('again'), callerPort);
      await callee.send(rtp('private'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('private'));
      assert.deepEqual([thief.unread, relay.stats.droppedStrangers], [0, 1]);
    });

    it('do not take the place of a side that only listens', async (t) => {
      const { relay, clock, caller, callee, callerPort, calleePort } = await victims(t, forwarder);
      clock.advance(10_000);
      await relay.flush();
      const thief = await Phone.open(t, '127.0.0.66');
      await thief.send(rtp('is nobody here?'), callerPort);
      await callee.send(rtp('announcement'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('announcement'));
      assert.deepEqual([thief.unread, callee.unread, relay.stats.droppedStrangers], [0, 0, 1]);
    });

    it('do not get the reports of RTCP either, nor put any in', async (t) => {
      const rtcpPhone = await Phone.open(t);
      const { relay, caller, callee, callerPort, calleePort } = await victims(t, forwarder, {
        stream: { attributes: [`rtcp:${rtcpPhone.port}`] },
      });
      const thief = await Phone.open(t, '127.0.0.66');
      await thief.send(rtcp('bleed'), callerPort + 1);
      await thief.send(rtcp('bleed'), calleePort + 1);
      await rtcpPhone.send(rtcp('to the caller'), calleePort + 1);
      assert.deepEqual((await rtcpPhone.next()).payload, rtcp('to the caller'));
      assert.deepEqual([thief.unread, caller.unread, callee.unread], [0, 0, 0]);
      await until(relay, () => relay.stats.droppedStrangers === 2);
    });

    it('gain nothing by a re-INVITE that announces no other address', async (t) => {
      const { session, relay, clock, caller, callee, callerPort, calleePort } = await victims(t, forwarder);
      await caller.send(rtp('first'), callerPort);
      await callee.next();
      clock.advance(10_000);
      anchor(session, 'offer', 'caller', sdp('127.0.0.1', caller.port));
      anchor(session, 'answer', 'callee', sdp('127.0.0.1', callee.port));
      await relay.flush();
      const thief = await Phone.open(t, '127.0.0.66');
      await thief.send(rtp('a new window?'), callerPort);
      await callee.send(rtp('private'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('private'));
      assert.equal(thief.unread, 0);
    });

    it('gain nothing where a NAT gets another address, which a re-INVITE shows: the phone goes on from there', async (t) => {
      const { session, relay, clock, caller, callee, callerPort, calleePort } = await victims(t, forwarder, {
        describes: '192.168.1.10',
        from: '127.0.0.9',
        signalling: '127.0.0.9',
      });
      const reports = await Phone.open(t, '127.0.0.9');
      await caller.send(rtp('first'), callerPort);
      await callee.next();
      await reports.send(rtcp('first'), callerPort + 1);
      await until(relay, () => relay.stats.packets === 2);
      clock.advance(10_000);
      await relay.flush();
      const thief = await Phone.open(t, '127.0.0.66');
      const moved = await Phone.open(t, '127.0.0.10');
      // Nobody has told of it yet.
      await moved.send(rtp('moved'), callerPort);
      await until(relay, () => relay.stats.droppedStrangers === 1);
      const his: MediaIdentity = { ...towardsCaller, peerAddress: '127.0.0.10' };
      anchor(session, 'offer', 'caller', sdp('192.168.1.10', caller.port), { caller: his });
      anchor(session, 'answer', 'callee', sdp('127.0.0.1', callee.port), { caller: his });
      await relay.flush();
      await thief.send(rtp('is that me?'), callerPort);
      await until(relay, () => relay.stats.droppedStrangers === 2);
      await callee.send(rtp('to where he was'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('to where he was'));
      await moved.send(rtp('moved'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('moved'));
      await callee.send(rtp('to where he is'), calleePort);
      assert.deepEqual((await moved.next()).payload, rtp('to where he is'));
      const movedReports = await Phone.open(t, '127.0.0.10');
      const { packets } = relay.stats;
      await movedReports.send(rtcp('moved'), callerPort + 1);
      await until(relay, () => relay.stats.packets === packets + 1);
      await callee.send(rtcp('reports'), calleePort + 1);
      assert.deepEqual((await movedReports.next()).payload, rtcp('reports'));
      clock.advance(10_000);
      await relay.flush();
      await caller.send(rtp('back again?'), callerPort);
      await until(relay, () => relay.stats.droppedStrangers === 3);
      assert.deepEqual([thief.unread, callee.unread], [0, 0]);
    });

    it('cannot make two phones behind one NAT hear each other’s calls', async (t) => {
      const { relay } = await relayFor(t, { forwarder });
      const nat = { ...towardsCaller, peerAddress: '127.0.0.9' };
      const peer = { ...towardsCallee, peerAddress: '127.0.0.9' };
      const [one, two] = [await Phone.open(t, '127.0.0.9'), await Phone.open(t, '127.0.0.9')];
      const session = relay.createSession('neighbours', { onSilence: () => {} });
      const offer = session.rewrite(sdp('192.168.1.10', 4000), 'offer', 'caller', 'b', nat, peer);
      const answer = session.rewrite(sdp('192.168.1.11', 4000), 'answer', 'callee', 'b', peer, nat);
      await relay.flush();
      await one.send(rtp('one'), portsOf(answer)[0]!);
      await two.send(rtp('two'), portsOf(offer)[0]!);
      assert.deepEqual((await one.next()).payload, rtp('two'));
      await one.send(rtp('one again'), portsOf(answer)[0]!);
      assert.deepEqual((await two.next()).payload, rtp('one again'));
    });

    it('in numbers are dropped by the kernel and counted, until SDP names them', async (t) => {
      const { session, relay, clock, caller, callee, callerPort, calleePort } = await victims(t, forwarder);
      await caller.send(rtp('first'), callerPort);
      await callee.next();
      clock.advance(10_000);
      await relay.flush();
      const thief = await Phone.open(t, '127.0.0.66');
      const flood = async (seen: number): Promise<void> => {
        for (let n = 0; n < 100; n++) await thief.send(rtp('flood'), callerPort);
        await until(relay, () => relay.stats.droppedStrangers === seen);
      };
      // The first of them are looked at.
      await flood(100);
      const dropped = dropsOf(callerPort);
      await flood(200);
      // dgram can leave nothing to the kernel.
      assert.equal(dropsOf(callerPort) - dropped, forwarder === 'dgram' ? 0 : 100);
      await caller.send(rtp('still here'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('still here'));

      anchor(session, 'offer', 'caller', sdp('127.0.0.66', thief.port));
      anchor(session, 'answer', 'callee', sdp('127.0.0.1', callee.port));
      await relay.flush();
      await thief.send(rtp('moved'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('moved'));
      await callee.send(rtp('welcome'), calleePort);
      assert.deepEqual((await thief.next()).payload, rtp('welcome'));
    });

    it('in numbers are dropped where nobody was heard as well, and who comes late still begins', async (t) => {
      // Behind a NAT, so that no packet of RTCP ever fits better than by its address.
      const { relay, clock, caller, callee, callerPort, calleePort } = await victims(t, forwarder, {
        describes: '192.168.1.10',
        from: '127.0.0.9',
        signalling: '127.0.0.9',
      });
      const thief = await Phone.open(t, '127.0.0.66');
      let seen = 0;
      const flood = async (port: number, droppedByKernel: boolean): Promise<void> => {
        for (const part of [0, 100]) {
          const dropped = dropsOf(port);
          for (let n = 0; n < 100; n++) await thief.send(rtp('flood'), port);
          seen += 100;
          await until(relay, () => relay.stats.droppedStrangers === seen);
          if (part > 0) assert.equal(dropsOf(port) - dropped, droppedByKernel ? 100 : 0);
        }
      };
      clock.advance(10_000);
      await relay.flush();
      await flood(callerPort, forwarder !== 'dgram');
      await flood(callerPort + 1, forwarder !== 'dgram');
      await caller.send(rtp('late'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('late'));
      await callee.send(rtp('private'), calleePort);
      assert.deepEqual((await caller.next()).payload, rtp('private'));
      // The source of RTP is known now: only that is welcome there.
      await flood(callerPort, forwarder !== 'dgram');
      const reports = await Phone.open(t, '127.0.0.9');
      await reports.send(rtcp('late report'), callerPort + 1);
      await until(relay, () => relay.stats.packets === 3);
      await callee.send(rtcp('back'), calleePort + 1);
      assert.deepEqual((await reports.next()).payload, rtcp('back'));
      assert.deepEqual([thief.unread, relay.stats.droppedStrangers], [0, seen]);
    });

    it('in a flood over all ports change nothing: calls go on, memory stays', async (t) => {
      const { relay, caller, callee, callerPort, calleePort } = await victims(t, forwarder);
      await caller.send(rtp('first'), callerPort);
      await callee.next();
      await callee.send(rtp('first'), calleePort);
      await caller.next();
      const thief = await Phone.open(t, '127.0.0.66');
      const spray = async (count: number): Promise<void> => {
        const bytes = rtp('flood');
        const targets = [callerPort, callerPort + 1, calleePort, calleePort + 1];
        // In handfuls, so that the loopback loses nothing that is counted.
        for (let sent = 0; sent < count; sent += 20) {
          await Promise.all(Array.from({ length: 20 }, (_, n) => thief.send(bytes, targets[n % 4]!)));
        }
        await relay.flush();
      };
      // The sender is this process too: until its own memory has found its size.
      await spray(10_000);
      const growth: number[] = [];
      const kept: number[] = [];
      for (let round = 0; round < 2; round++) {
        const [before, keptBefore] = [process.memoryUsage.rss(), keptBytes()];
        await spray(20_000);
        growth.push(process.memoryUsage.rss() - before);
        kept.push(keptBytes() - keptBefore);
      }
      // What keeps something of each packet grows each time, a heap that was cleared late only once.
      assert.ok(Math.min(...growth) < 24_000_000, `${growth.join(' and ')} bytes more`);
      assert.ok(Math.min(...kept) < 1_000_000, `${kept.join(' and ')} bytes kept`);
      // On a busy machine a socket overflows before the thread has looked, which the kernel counts. A filter's drops
      // are among those too: then they are of strangers as well.
      const counted = (): number => {
        const dropped = [callerPort, callerPort + 1, calleePort, calleePort + 1].map(dropsOf);
        return relay.stats.droppedStrangers + dropped.reduce((sum, count) => sum + count);
      };
      await until(relay, () => counted() >= 50_000);
      assert.ok(relay.stats.droppedStrangers <= 50_000, `${relay.stats.droppedStrangers}`);
      if (forwarder === 'dgram') assert.equal(counted(), 50_000);
      assert.equal(relay.stats.restarts, 0);
      await caller.send(rtp('still here'), callerPort);
      assert.deepEqual((await callee.next()).payload, rtp('still here'));
      assert.equal(callee.unread + caller.unread + thief.unread, 0);
    });
  });

  describe(`malformed packets through ${forwarder}`, () => {
    for (const [name, stream, prefixes] of [
      [
        'RTP and RTCP',
        {},
        [
          [0x80, 0],
          [0x9f, 127],
          [0xbf, 255],
          [0x81, 200],
          [0x9f, 201],
          [0x80, 204],
        ],
      ],
      [
        'STUN and DTLS',
        { attributes: ['ice-ufrag:abcd', 'ice-pwd:x', 'rtcp-mux'] },
        [
          [0, 1],
          [1, 1],
          [0, 3],
          [22, 254],
        ],
      ],
      [
        'UDPTL',
        { media: 'image', proto: 'udptl' },
        [
          [0, 0],
          [255, 255],
          [0x80, 200],
        ],
      ],
    ] as const) {
      it(`${name}: harm nobody`, async (t) => {
        const { relay, session, caller, callee, callerPort } = await victims(t, forwarder, {
          stream: { ...stream },
        });
        // Whoever does ICE is found by its checks alone, so that nothing of this is forwarded; the pump sees it all.
        for (const prefix of prefixes) {
          for (const length of [1, 2, 3, 4, 8, 11, 12, 13, 20, 28, 40, 100, 1400]) {
            const bytes = randomBytes(length);
            bytes.set(prefix.slice(0, length));
            await caller.send(bytes, callerPort);
            await caller.send(bytes, callerPort + 1);
          }
        }
        await until(relay, () => relay.stats.packets + relay.stats.droppedStrangers > 0);
        JSON.stringify(session.snapshot());
        assert.equal(relay.stats.restarts, 0);
        session.close();
        const second = relay.createSession('after', { onSilence: () => {} });
        anchor(second, 'offer', 'caller', sdp('127.0.0.1', caller.port));
        const answer = anchor(second, 'answer', 'callee', sdp('127.0.0.1', callee.port));
        await relay.flush();
        await caller.send(rtp('serves on'), portsOf(answer)[0]!);
        let last = await callee.next();
        while (!last.payload.equals(rtp('serves on'))) last = await callee.next();
        assert.equal(last.source.address, relayAddress);
      });
    }
  });
}
