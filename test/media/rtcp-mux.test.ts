import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { MediaRelay, MediaSession, Party } from '../../src/media/media-contract.ts';
import { bindingRequest } from './ice-client.ts';
import {
  kinds,
  Phone,
  portsOf,
  relayFor,
  rtcp,
  rtp,
  type StreamText,
  sdp,
  towardsCallee,
  towardsCaller,
} from './support.ts';

/** One side of a stream: where it takes RTP and RTCP, and the port of ours that faces it. */
class Side {
  readonly rtp: Phone;
  readonly rtcp: Phone;
  muxes = false;
  relayPort = 0;

  private constructor(rtpPhone: Phone, rtcpPhone: Phone) {
    this.rtp = rtpPhone;
    this.rtcp = rtcpPhone;
  }

  static async open(t: TestContext): Promise<Side> {
    return new Side(await Phone.open(t), await Phone.open(t));
  }

  stream(...attributes: readonly string[]): StreamText {
    return { port: this.rtp.port, attributes: [`rtcp:${this.rtcp.port}`, ...attributes] };
  }
}

interface Office {
  readonly relay: MediaRelay;
  readonly session: MediaSession;
  readonly caller: Side;
  readonly callee: Side;
  /** What the other side reads. The sender's streams may be told by attributes alone. */
  offer(from: Party, ...attributes: readonly string[]): string;
  answer(from: Party, ...attributes: readonly string[]): string;
  rewrite(kind: 'offer' | 'answer', from: Party, branch: string, text: string): string;
}

async function open(t: TestContext, forwarder: (typeof kinds)[number]): Promise<Office> {
  const { relay } = await relayFor(t, { forwarder });
  const session = relay.createSession('session', { onSilence: () => {} });
  const [caller, callee] = [await Side.open(t), await Side.open(t)];
  const rewrite: Office['rewrite'] = (kind, from, branch, text) =>
    from === 'caller'
      ? session.rewrite(text, kind, from, branch, towardsCaller, towardsCallee)
      : session.rewrite(text, kind, from, branch, towardsCallee, towardsCaller);
  const say = (kind: 'offer' | 'answer', from: Party, attributes: readonly string[]): string => {
    const [sender, reader] = from === 'caller' ? [caller, callee] : [callee, caller];
    const text = rewrite(kind, from, 'b', sdp('127.0.0.1', sender.stream(...attributes)));
    reader.relayPort = portsOf(text)[0]!;
    return text;
  };
  return {
    relay,
    session,
    caller,
    callee,
    rewrite,
    offer: (from, ...attributes) => say('offer', from, attributes),
    answer: (from, ...attributes) => say('answer', from, attributes),
  };
}

const saysBeside = (text: string): boolean => /^a=rtcp-mux\r$/m.test(text);

const web = (side: Side, ...attributes: string[]): string =>
  sdp('127.0.0.1', { ...side.stream(...attributes), proto: 'UDP/TLS/RTP/SAVPF' });

/** RTP and RTCP go both ways, from and to the ports that each side has agreed to. */
async function judge(relay: MediaRelay, one: Side, other: Side): Promise<void> {
  await relay.flush();
  const both = [
    [one, other],
    [other, one],
  ] as const;
  for (const [from, to] of both) {
    await from.rtp.send(rtp('voice'), from.relayPort);
    const voice = await to.rtp.next();
    assert.deepEqual([voice.payload, voice.source.port], [rtp('voice'), to.relayPort]);
    const [speaker, reader] = [from.muxes ? from.rtp : from.rtcp, to.muxes ? to.rtp : to.rtcp];
    await speaker.send(rtcp('report'), from.relayPort + (from.muxes ? 0 : 1));
    const report = await reader.next();
    assert.deepEqual(
      [report.payload, report.source.port],
      [rtcp('report'), to.relayPort + (to.muxes ? 0 : 1)],
    );
  }
  for (const { rtp: a, rtcp: b } of [one, other]) assert.deepEqual([a.unread, b.unread], [0, 0]);
}

for (const forwarder of kinds) {
  describe(`RTCP beside RTP on one side alone, by ${forwarder}:`, () => {
    it('who offers it gets it, though the other side refuses', async (t) => {
      const { relay, caller, callee, offer, answer } = await open(t, forwarder);
      assert.ok(saysBeside(offer('caller', 'rtcp-mux')), 'the other side may take it up');
      const text = answer('callee');
      assert.ok(saysBeside(text));
      assert.match(text, new RegExp(`^a=rtcp:${caller.relayPort}\r$`, 'm'));
      caller.muxes = true;
      await judge(relay, caller, callee);
    });

    it('who takes it alone is no reason for the other side to say no (RFC 8858)', async (t) => {
      const { relay, caller, callee, offer, answer } = await open(t, forwarder);
      const text = offer('caller', 'rtcp-mux', 'rtcp-mux-only');
      assert.doesNotMatch(text, /rtcp-mux-only/);
      assert.match(text, new RegExp(`^a=rtcp:${callee.relayPort + 1}\r$`, 'm'));
      assert.ok(saysBeside(answer('callee')));
      caller.muxes = true;
      await judge(relay, caller, callee);
      // The other side offers next, and knows of nothing.
      assert.ok(saysBeside(offer('callee')));
      assert.ok(!saysBeside(answer('caller', 'rtcp-mux')), 'an answer takes up what was offered');
      await judge(relay, caller, callee);
    });

    it('who answers with it though it was not offered is believed, and the other side not told', async (t) => {
      const { relay, caller, callee, offer, answer } = await open(t, forwarder);
      assert.ok(!saysBeside(offer('caller')));
      const text = answer('callee', 'rtcp-mux');
      assert.ok(!saysBeside(text));
      assert.match(text, new RegExp(`^a=rtcp:${caller.relayPort + 1}\r$`, 'm'));
      callee.muxes = true;
      await judge(relay, caller, callee);
    });

    it('an offer inside the call takes it up or gives it back, either side by itself', async (t) => {
      const { relay, caller, callee, offer, answer } = await open(t, forwarder);
      offer('caller', 'rtcp-mux');
      answer('callee');
      caller.muxes = true;

      offer('caller', 'rtcp-mux');
      assert.ok(saysBeside(answer('callee', 'rtcp-mux')), 'the callee learned it');
      callee.muxes = true;
      await judge(relay, caller, callee);

      assert.ok(saysBeside(offer('caller')), 'the callee is not asked to go back');
      assert.ok(!saysBeside(answer('callee', 'rtcp-mux')));
      caller.muxes = false;
      await judge(relay, caller, callee);

      offer('callee', 'rtcp-mux');
      assert.ok(saysBeside(answer('caller')));
      await judge(relay, caller, callee);

      offer('callee');
      assert.ok(!saysBeside(answer('caller', 'rtcp-mux')));
      [caller.muxes, callee.muxes] = [true, false];
      await judge(relay, caller, callee);
    });

    it('an offer that is refused changes nothing', async (t) => {
      const { relay, session, caller, callee, offer, answer } = await open(t, forwarder);
      offer('caller', 'rtcp-mux');
      answer('callee');
      caller.muxes = true;
      const before = callee.relayPort;
      offer('caller');
      session.rollBack('b', 'caller');
      assert.equal(callee.relayPort, before);
      await judge(relay, caller, callee);
      offer('callee', 'rtcp-mux');
      session.rollBack('b', 'callee');
      await judge(relay, caller, callee);
    });

    it('the branches of a fork answer as they like, and the caller is told one thing', async (t) => {
      const { relay, session, caller, callee, rewrite } = await open(t, forwarder);
      const second = await Side.open(t);
      const branches = [
        ['a', callee, ['rtcp-mux']],
        ['b', second, []],
      ] as const;
      for (const [branch, side] of branches) {
        const text = rewrite('offer', 'caller', branch, sdp('127.0.0.1', caller.stream('rtcp-mux')));
        side.relayPort = portsOf(text)[0]!;
      }
      for (const [branch, side, attributes] of branches) {
        const text = rewrite('answer', 'callee', branch, sdp('127.0.0.1', side.stream(...attributes)));
        assert.ok(saysBeside(text), branch);
        caller.relayPort = portsOf(text)[0]!;
      }
      caller.muxes = true;
      callee.muxes = true;
      await judge(relay, caller, second);
      session.settle('a');
      await judge(relay, caller, callee);
    });

    it('an offer that comes late, in the answer to an INVITE without one', async (t) => {
      const { relay, caller, callee, offer, answer } = await open(t, forwarder);
      assert.ok(saysBeside(offer('callee', 'rtcp-mux')));
      assert.ok(saysBeside(answer('caller')));
      callee.muxes = true;
      await judge(relay, caller, callee);
    });

    it('packet types tell RTCP from RTP, also where it is encrypted (RFC 5761 4)', async (t) => {
      const { relay, caller, callee, offer, answer } = await open(t, forwarder);
      offer('caller', 'rtcp-mux');
      answer('callee');
      await relay.flush();
      const packet = (second: number): Buffer => Buffer.from([0x80, second, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      for (const [second, at] of [
        [191, callee.rtp],
        [192, callee.rtcp],
        [223, callee.rtcp],
        [224, callee.rtp],
        [64, callee.rtp],
      ] as const) {
        await caller.rtp.send(packet(second), caller.relayPort);
        assert.deepEqual((await at.next()).payload, packet(second), String(second));
      }
    });

    it('nothing but RTCP comes over from the port of RTCP: no keys of its own for it', async (t) => {
      const { relay, caller, callee, offer, answer } = await open(t, forwarder);
      offer('caller', 'rtcp-mux');
      answer('callee');
      await relay.flush();
      for (const payload of [Buffer.from([22, 254, 253, 0, 0]), rtp('astray'), rtcp('report')]) {
        await callee.rtcp.send(payload, callee.relayPort + 1);
      }
      assert.deepEqual((await caller.rtp.next()).payload, rtcp('report'));
      assert.equal(caller.rtp.unread, 0);
    });

    it('a bundle that the other side does not know is two streams, each with its RTCP (RFC 9143)', async (t) => {
      const { relay, caller, callee, rewrite } = await open(t, forwarder);
      const [callersVideo, calleesVideo] = [await Side.open(t), await Side.open(t)];
      const bundle = (audio: StreamText, video: StreamText): string =>
        sdp('127.0.0.1', audio, { ...video, media: 'video' }).replace(
          't=0 0\r\n',
          't=0 0\r\na=group:BUNDLE 0 1\r\n',
        );
      // Some leave it out, though a bundle cannot be without.
      const streams = [caller.stream('mid:0', 'rtcp-mux'), callersVideo.stream('mid:1')] as const;
      const offer = rewrite('offer', 'caller', 'b', bundle(...streams));
      assert.equal(offer.match(/^a=rtcp-mux\r$/gm)?.length, 2);
      const plain = sdp('127.0.0.1', callee.stream(), { ...calleesVideo.stream(), media: 'video' });
      const answer = rewrite('answer', 'callee', 'b', plain);
      assert.equal(answer.match(/^a=rtcp-mux\r$/gm)?.length, 1);
      [callee.relayPort = 0, calleesVideo.relayPort = 0] = portsOf(offer);
      [caller.relayPort = 0, callersVideo.relayPort = 0] = portsOf(answer);
      caller.muxes = true;
      await judge(relay, caller, callee);
      await judge(relay, callersVideo, calleesVideo);
    });

    it('of streams that share a port the first one speaks for all', async (t) => {
      const { relay, caller, callee, rewrite } = await open(t, forwarder);
      const bundle = (side: Side, first: readonly string[], second: readonly string[]): string =>
        sdp('127.0.0.1', side.stream('mid:0', ...first), {
          ...side.stream('mid:1', ...second),
          media: 'video',
        }).replace('t=0 0\r\n', 't=0 0\r\na=group:BUNDLE 0 1\r\n');
      const offer = rewrite('offer', 'caller', 'b', bundle(caller, ['rtcp-mux'], []));
      assert.equal(offer.match(/^a=rtcp-mux\r$/gm)?.length, 1);
      const answer = rewrite('answer', 'callee', 'b', bundle(callee, [], ['rtcp-mux']));
      assert.equal(answer.match(/^a=rtcp-mux\r$/gm)?.length, 2);
      [callee.relayPort = 0] = portsOf(offer);
      [caller.relayPort = 0] = portsOf(answer);
      caller.muxes = true;
      await judge(relay, caller, callee);
      rewrite('offer', 'callee', 'b', bundle(callee, [], []));
      const back = rewrite('answer', 'caller', 'b', bundle(caller, ['rtcp-mux'], ['rtcp-mux']));
      assert.doesNotMatch(back, /^a=rtcp-mux\r$/m, 'nor the second, where the first does not');
      await judge(relay, caller, callee);
    });

    it('ICE has one component where it was agreed, and two on the other side', async (t) => {
      const { relay, caller, callee, offer, answer } = await open(t, forwarder);
      const ice = ['ice-ufrag:abcd', 'ice-pwd:0123456789012345678901', 'rtcp-mux'];
      offer('caller', ...ice);
      const text = answer('callee', 'ice-ufrag:efgh', 'ice-pwd:0123456789012345678901', 'ice-lite');
      assert.match(text, new RegExp(`^a=candidate:1 1 UDP \\d+ \\S+ ${caller.relayPort} typ host\r$`, 'm'));
      assert.doesNotMatch(text, /^a=candidate:1 2 /m);
      const again = offer('caller', ...ice);
      assert.match(
        again,
        new RegExp(`^a=candidate:1 2 UDP \\d+ \\S+ ${callee.relayPort + 1} typ host\r$`, 'm'),
      );
      answer('callee');
      await relay.flush();
      const [, ufrag] = /^a=ice-ufrag:(.*)\r$/m.exec(text)!;
      const [, password] = /^a=ice-pwd:(.*)\r$/m.exec(text)!;
      await caller.rtp.send(bindingRequest(`${ufrag}:abcd`, password!, true), caller.relayPort);
      await caller.rtp.next();
      caller.muxes = true;
      await judge(relay, caller, callee);
    });

    it('an offer to who has agreed to one port names no other, where ICE has one component', async (t) => {
      const { caller, callee, offer, answer } = await open(t, forwarder);
      const ice = ['ice-ufrag:abcd', 'ice-pwd:0123456789012345678901'];
      offer('caller', ...ice, 'rtcp-mux');
      answer('callee', ...ice, 'rtcp-mux');
      for (const [from, reader] of [
        ['caller', callee],
        ['callee', caller],
      ] as const) {
        const text = offer(from, ...ice, 'rtcp-mux');
        assert.doesNotMatch(text, /^a=candidate:1 2 /m);
        assert.match(text, new RegExp(`^a=rtcp:${reader.relayPort}\r$`, 'm'));
        answer(from === 'caller' ? 'callee' : 'caller', ...ice, 'rtcp-mux');
      }
    });

    it('profiles of the web are offered it where ICE is, whoever calls them (RFC 8834)', async (t) => {
      const { relay, caller, callee, rewrite } = await open(t, forwarder);
      const ice = ['ice-ufrag:abcd', 'ice-pwd:0123456789012345678901'];
      // Without checks of its own: it is where it says (RFC 8445 2.5).
      const lite = (text: string): string => text.replace('t=0 0\r\n', '$&a=ice-lite\r\n');
      const offer = rewrite('offer', 'caller', 'b', lite(web(caller, ...ice)));
      assert.ok(saysBeside(offer));
      const answer = rewrite('answer', 'callee', 'b', lite(web(callee, ...ice, 'rtcp-mux')));
      assert.ok(!saysBeside(answer));
      [callee.relayPort = 0] = portsOf(offer);
      [caller.relayPort = 0] = portsOf(answer);
      callee.muxes = true;
      await judge(relay, caller, callee);
    });

    it('keys by DTLS are of one port: without ICE both sides have it or neither (RFC 5764)', async (t) => {
      const { relay, session, caller, callee, rewrite } = await open(t, forwarder);
      const exchange = async (offered: string[], answered: string[], told: boolean[]): Promise<void> => {
        const offer = rewrite('offer', 'caller', 'b', web(caller, ...offered));
        const answer = rewrite('answer', 'callee', 'b', web(callee, ...answered));
        assert.deepEqual([saysBeside(offer), saysBeside(answer)], told, String(offered));
        [callee.relayPort = 0] = portsOf(offer);
        [caller.relayPort = 0] = portsOf(answer);
        [callee.muxes, caller.muxes] = [answered.includes('rtcp-mux'), told[1]!];
        await judge(relay, caller, callee);
      };
      await exchange([], [], [false, false]);
      await exchange(['rtcp-mux'], [], [true, false]);
      await exchange(['rtcp-mux'], ['rtcp-mux'], [true, true]);
      // An offer that is refused takes nothing away from what a repeated answer says.
      rewrite('offer', 'caller', 'b', web(caller));
      session.rollBack('b', 'caller');
      assert.ok(saysBeside(rewrite('answer', 'callee', 'b', web(callee, 'rtcp-mux'))));
      await judge(relay, caller, callee);
      // But who takes nothing else cannot go back (RFC 8858).
      await exchange(['rtcp-mux', 'rtcp-mux-only'], [], [true, true]);
    });

    it('branches of a fork with keys by DTLS may tell the caller each something else', async (t) => {
      const { relay, session, caller, callee, rewrite } = await open(t, forwarder);
      const second = await Side.open(t);
      const branches = [
        ['a', callee, true],
        ['b', second, false],
      ] as const;
      for (const [branch, side] of branches)
        side.relayPort = portsOf(rewrite('offer', 'caller', branch, web(caller, 'rtcp-mux')))[0]!;
      for (const [branch, side, muxes] of branches) {
        side.muxes = muxes;
        const text = rewrite('answer', 'callee', branch, web(side, ...(muxes ? ['rtcp-mux'] : [])));
        assert.equal(saysBeside(text), muxes, branch);
        caller.relayPort = portsOf(text)[0]!;
      }
      await judge(relay, caller, second);
      session.settle('a');
      caller.muxes = true;
      await judge(relay, caller, callee);
    });

    it('outlives the media thread, and ends with the call', async (t) => {
      const { relay, session, caller, callee, offer, answer } = await open(t, forwarder);
      offer('caller', 'rtcp-mux');
      answer('callee');
      await relay.flush();
      await (relay as MediaRelay & { crash(): Promise<void> }).crash();
      caller.muxes = true;
      await judge(relay, caller, callee);
      // A stream that becomes a fax has no RTCP to tell apart.
      const fax = ({ rtp: phone }: Side): string =>
        sdp('127.0.0.1', { port: phone.port, media: 'image', proto: 'udptl' });
      assert.doesNotMatch(
        session.rewrite(fax(caller), 'offer', 'caller', 'b', towardsCaller, towardsCallee),
        /rtcp/,
      );
      session.rewrite(fax(callee), 'answer', 'callee', 'b', towardsCallee, towardsCaller);
      await relay.flush();
      const page = Buffer.from([0, 200, 1, 6, 0]);
      await caller.rtp.send(page, caller.relayPort);
      assert.deepEqual((await callee.rtp.next()).payload, page);
      session.close();
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 0);
    });
  });
}
