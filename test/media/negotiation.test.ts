import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { MediaRelay, MediaSession, Party } from '../../src/media/media-contract.ts';
import { parseSessionDescription } from '../../src/sdp/parse-session-description.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { bindingRequest } from './ice-client.ts';
import {
  addressesOf,
  kinds,
  Phone,
  portsOf,
  relayFor,
  rtcp,
  rtp,
  sdp,
  towardsCallee,
  towardsCaller,
} from './support.ts';

for (const forwarder of kinds) {
  describe(`negotiated through the relay, by ${forwarder}:`, () => {
    async function setUp(t: TestContext): Promise<{
      relay: MediaRelay;
      clock: ManualClock;
      session: MediaSession;
      caller: Phone;
      callee: Phone;
      rewrite: (kind: 'offer' | 'answer', from: Party, text: string) => string;
    }> {
      const { relay, clock } = await relayFor(t, { forwarder });
      const session = relay.createSession('session', { onSilence: () => {} });
      const [caller, callee] = [await Phone.open(t), await Phone.open(t)];
      return {
        relay,
        clock,
        session,
        caller,
        callee,
        rewrite: (kind, from, text) =>
          from === 'caller'
            ? session.rewrite(text, kind, from, 'b', towardsCaller, towardsCallee)
            : session.rewrite(text, kind, from, 'b', towardsCallee, towardsCaller),
      };
    }

    it('RTCP beside RTP on one side alone is taken apart and put together (RFC 8858)', async (t) => {
      const { relay, session, caller, callee, rewrite } = await setUp(t);
      const calleesRtcp = await Phone.open(t);
      const offer = rewrite(
        'offer',
        'caller',
        sdp('127.0.0.1', { port: caller.port, attributes: ['rtcp-mux', 'rtcp-mux-only'] }),
      );
      const answer = rewrite(
        'answer',
        'callee',
        sdp('127.0.0.1', { port: callee.port, attributes: [`rtcp:${calleesRtcp.port}`] }),
      );
      assert.match(answer, /^a=rtcp-mux\r$/m);
      await relay.flush();
      const [toCaller, toCallee] = [portsOf(answer)[0]!, portsOf(offer)[0]!];
      await caller.send(rtcp('beside'), toCaller);
      assert.deepEqual((await calleesRtcp.next()).payload, rtcp('beside'));
      await caller.send(rtp('voice'), toCaller);
      assert.deepEqual((await callee.next()).payload, rtp('voice'));
      await calleesRtcp.send(rtcp('apart'), toCallee + 1);
      const arrived = await caller.next();
      assert.deepEqual([arrived.payload, arrived.source.port], [rtcp('apart'), toCaller]);
      session.close();
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 0);
    });

    it('a BUNDLE group has one port once both have agreed, and keeps it (RFC 9143)', async (t) => {
      const { relay, caller, callee, rewrite } = await setUp(t);
      const bundle = (text: string): string => text.replace('t=0 0\r\n', 't=0 0\r\na=group:BUNDLE 0 1\r\n');
      const streams = (first: number, second: number): string =>
        bundle(
          sdp(
            '127.0.0.1',
            { port: first, attributes: ['mid:0', 'rtcp-mux'] },
            { port: second, media: 'video', attributes: ['mid:1', 'rtcp-mux'] },
          ),
        );
      const offer = portsOf(rewrite('offer', 'caller', streams(caller.port, caller.port + 1)));
      assert.notEqual(offer[0], offer[1], 'a peer without BUNDLE needs both');
      assert.equal(relay.stats.portsInUse, 8);
      const answer = portsOf(rewrite('answer', 'callee', streams(callee.port, callee.port)));
      assert.equal(answer[0], answer[1]);
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 4);
      for (const text of ['audio', 'video']) {
        await caller.send(rtp(text), answer[0]!);
        assert.deepEqual((await callee.next()).payload, rtp(text));
      }
      const again = portsOf(rewrite('offer', 'callee', streams(callee.port, callee.port)));
      assert.deepEqual(again, answer);
      assert.deepEqual(portsOf(rewrite('answer', 'caller', streams(caller.port, caller.port))), [
        offer[0],
        offer[0],
      ]);
      assert.equal(relay.stats.portsInUse, 4);
      // And apart again: whoever lost BUNDLE on the way gets a port of its own.
      const apart = portsOf(
        rewrite('offer', 'callee', sdp('127.0.0.1', callee.port, { port: callee.port + 1, media: 'video' })),
      );
      assert.notEqual(apart[0], apart[1]);
      assert.equal(relay.stats.portsInUse, 8);
    });

    it('a BUNDLE group keeps its port in an offer that tells none, unless it was never agreed', async (t) => {
      const { relay, callee, rewrite } = await setUp(t);
      const streams = (ports: readonly number[], group: string): string =>
        sdp(
          '127.0.0.1',
          ...ports.map((port, index) => ({
            port,
            media: index === 0 ? 'audio' : 'video',
            attributes: [`mid:${index}`, 'rtcp-mux'],
          })),
        ).replace('t=0 0\r\n', `$&${group}`);
      const two = 'a=group:BUNDLE 0 1\r\n';
      const three = 'a=group:BUNDLE 0 1 2\r\n';
      rewrite('offer', 'caller', streams([9, 9], two));
      rewrite('answer', 'callee', streams([callee.port, callee.port], two));
      await relay.flush();
      const grown = portsOf(rewrite('offer', 'caller', streams([9, 9, 9], three)));
      assert.equal(grown[0], grown[1]);
      assert.notEqual(grown[0], grown[2], 'what is new has a port of its own');
      assert.equal(relay.stats.portsInUse, 8);
      // Here each has its own, and so it stays.
      rewrite('answer', 'callee', streams([callee.port, callee.port + 2, 0], ''));
      const apart = portsOf(rewrite('offer', 'caller', streams([9, 9, 9], three)));
      assert.equal(new Set(apart).size, 3);
    });

    it('a section that lives in the bundle alone comes to life by the answer', async (t) => {
      const { rewrite } = await setUp(t);
      const text = (port: number, second: number, extra: string[]): string =>
        sdp(
          '127.0.0.1',
          { port, attributes: ['mid:a'] },
          { port: second, media: 'video', attributes: ['mid:v', ...extra] },
        ).replace('s=-\r\n', 's=-\r\na=group:BUNDLE a v\r\n');
      assert.equal(portsOf(rewrite('offer', 'caller', text(4000, 0, ['bundle-only'])))[1], 0);
      const [first, second] = portsOf(rewrite('answer', 'callee', text(5000, 5000, [])));
      assert.equal(first, second);
      assert.notEqual(first, 0);
    });

    it('what is no RTP has one component of ICE (RFC 8839 5.1)', async (t) => {
      const { callee, rewrite } = await setUp(t);
      const ice = ['ice-ufrag:abcd', 'ice-pwd:0123456789012345678901'];
      const data = (port: number): string =>
        sdp('127.0.0.1', { port, media: 'application', proto: 'UDP/DTLS/SCTP', attributes: ice });
      for (const text of [
        rewrite('offer', 'caller', data(4000)),
        rewrite('answer', 'callee', data(callee.port)),
      ]) {
        assert.deepEqual(text.match(/^a=candidate:1 \d /gm), ['a=candidate:1 1 ']);
        assert.match(text, /^a=end-of-candidates\r$/m);
      }
    });

    it('an ICE client finds the relay, and nothing but its checks says where it is', async (t) => {
      const { relay, clock, session, callee, rewrite } = await setUp(t);
      const ice = [
        'ice-ufrag:abcd',
        'ice-pwd:0123456789012345678901',
        'candidate:1 1 UDP 1 192.168.1.2 9999 typ host',
        'rtcp-mux',
      ];
      const offer = rewrite('offer', 'caller', sdp('0.0.0.0', { port: 9, attributes: ice }));
      assert.deepEqual(addressesOf(offer), ['198.51.100.2'], 'no hold');
      assert.doesNotMatch(offer, /192\.168|abcd/);
      const [toCallee] = portsOf(offer);
      assert.match(
        offer,
        new RegExp(`^a=candidate:1 2 UDP \\d+ 198\\.51\\.100\\.2 ${toCallee! + 1} typ host\r$`, 'm'),
      );
      const answer = rewrite(
        'answer',
        'callee',
        sdp('127.0.0.1', { port: callee.port, attributes: ['rtcp-mux'] }),
      );
      const [toCaller] = portsOf(answer);
      assert.match(answer, /^a=ice-lite\r$/m);
      assert.match(
        answer,
        new RegExp(`^a=candidate:1 1 UDP 2130706431 198\\.51\\.100\\.1 ${toCaller} typ host\r$`, 'm'),
      );
      assert.doesNotMatch(answer, /^a=candidate:1 2/m, 'one component where RTCP comes beside RTP');
      parseSessionDescription(answer);
      const ufrag = /^a=ice-ufrag:(.*)\r$/m.exec(answer)![1]!;
      const password = /^a=ice-pwd:(.*)\r$/m.exec(answer)![1]!;
      assert.doesNotMatch(
        offer,
        new RegExp(`a=ice-ufrag:${ufrag.replace(/\W/g, '.')}`),
        'each side is told its own',
      );
      await relay.flush();

      const [client, thief] = [await Phone.open(t, '127.0.0.9'), await Phone.open(t, '127.0.0.66')];
      await thief.send(rtp('I was first'), toCaller!);
      await thief.send(bindingRequest(`${ufrag}:abcd`, 'a guess', true), toCaller!);
      await client.send(bindingRequest(`${ufrag}:abcd`, password, false), toCaller!);
      assert.equal((await client.next()).payload.readUInt16BE(0), 0x0101);
      await client.send(rtp('not chosen yet'), toCaller!);
      await client.send(bindingRequest(`${ufrag}:abcd`, password, true), toCaller!);
      await client.next();
      await client.send(rtp('voice'), toCaller!);
      assert.deepEqual((await callee.next()).payload, rtp('voice'));
      await callee.send(rtp('back'), toCallee!);
      assert.deepEqual((await client.next()).payload, rtp('back'));
      assert.equal(thief.unread, 0);
      assert.equal(session.snapshot()[0]?.droppedStrangers, 3);

      // Strangers in numbers, whom the kernel keeps out: checks come through, and lead to where the client moved.
      clock.advance(10_000);
      for (let n = 0; n < 20; n++) {
        for (let m = 0; m < 10; m++) await thief.send(rtp('flood'), toCaller!);
        await relay.flush();
      }
      const moved = await Phone.open(t, '127.0.0.10');
      await moved.send(bindingRequest(`${ufrag}:abcd`, password, true), toCaller!);
      assert.equal((await moved.next()).payload.readUInt16BE(0), 0x0101);
      await moved.send(rtp('elsewhere'), toCaller!);
      assert.deepEqual((await callee.next()).payload, rtp('elsewhere'));
      await callee.send(rtp('found'), toCallee!);
      assert.deepEqual((await moved.next()).payload, rtp('found'));

      // An offer of the other side, such as hold, leaves ICE as it is.
      const hold = rewrite(
        'offer',
        'callee',
        sdp('127.0.0.1', { port: callee.port, attributes: ['sendonly'] }),
      );
      assert.ok(hold.includes(`a=ice-ufrag:${ufrag}\r\n`));
      // A restart is answered by one (RFC 8839 4.4.1.1.1), and what held before holds until then.
      rewrite('answer', 'caller', sdp('0.0.0.0', { port: 9, attributes: ice }));
      rewrite(
        'offer',
        'caller',
        sdp('0.0.0.0', { port: 9, attributes: ['ice-ufrag:efgh', ...ice.slice(1)] }),
      );
      await relay.flush();
      await client.send(bindingRequest(`${ufrag}:abcd`, password, false), toCaller!);
      assert.equal((await client.next()).payload.readUInt16BE(0), 0x0101);
      const restarted = rewrite('answer', 'callee', sdp('127.0.0.1', callee.port));
      assert.doesNotMatch(restarted, new RegExp(`^a=ice-ufrag:${ufrag.replace(/\W/g, '.')}\r$`, 'm'));
    });

    it('a side that does no ICE is heard as ever, though it was offered', async (t) => {
      const { relay, caller, rewrite } = await setUp(t);
      const offer = rewrite(
        'offer',
        'caller',
        sdp('127.0.0.1', {
          port: caller.port,
          attributes: ['ice-ufrag:abcd', 'ice-pwd:x', 'ice-lite'],
        }).replace('s=-\r\n', 's=-\r\na=ice-lite\r\n'),
      );
      await relay.flush();
      const early = await Phone.open(t);
      await early.send(rtp('early'), portsOf(offer)[0]!);
      assert.deepEqual((await caller.next()).payload, rtp('early'), 'to an ICE-lite caller by his own word');
    });

    it('a data channel goes over UDP like the rest (RFC 8841)', async (t) => {
      const { relay, caller, callee, rewrite } = await setUp(t);
      const channel = (port: number): string =>
        sdp('127.0.0.1', { port, media: 'application', proto: 'UDP/DTLS/SCTP' });
      const offer = rewrite('offer', 'caller', channel(caller.port));
      const answer = rewrite('answer', 'callee', channel(callee.port));
      await relay.flush();
      const hello = Buffer.from([22, 254, 253, 0, 0]);
      await caller.send(hello, portsOf(answer)[0]!);
      assert.deepEqual((await callee.next()).payload, hello);
      assert.equal(
        (await Promise.all([callee.send(hello, portsOf(offer)[0]!), caller.next()]))[1].payload.length,
        5,
      );
    });
  });
}
