import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { BaresipPhone } from '../support/baresip.ts';
import type { Packet } from '../support/capture-decoder.ts';
import { ChromiumPhone } from '../support/chromium-phone.ts';
import { needsRoot } from '../support/privileged.ts';
import { SipDesk } from '../support/sip-desk.ts';
import { Office, publicAddress } from './office.ts';

/** What an endpoint says of its keys and of itself; the relay must pass it as it is. */
const untouched = (sdp: string): string[] =>
  sdp.match(/^a=(fingerprint|setup|rtpmap|fmtp|mid|group):.*$/gm) ?? [];

describe('WebRTC: a real Chromium, with DTLS-SRTP and ICE', needsRoot, () => {
  let office: Office;
  before(async () => {
    office = await Office.open();
  });
  after(() => office[Symbol.asyncDispose]());

  async function desk(hostName: string, user: string, toneHz: number) {
    const host = office.lab.host(hostName);
    const [page, sip] = await Promise.all([
      ChromiumPhone.open(host, toneHz),
      office.account(user).then((account) => SipDesk.open(host, account, publicAddress)),
    ]);
    return {
      page,
      sip,
      [Symbol.asyncDispose]: async () => {
        await Promise.all([page[Symbol.asyncDispose](), sip[Symbol.asyncDispose]()]);
      },
    };
  }

  /** Its checks found the port of ours that stands in the description, and the keys are those of the other end. */
  async function judgeWay(page: ChromiumPhone, sdp: string): Promise<void> {
    assert.match(sdp, /^a=ice-lite\r?$/m);
    const { address, port, dtls, srtp, transports } = await page.way();
    assert.equal(address, publicAddress);
    assert.match(sdp, new RegExp(`^m=audio ${port} `, 'm'));
    assert.deepEqual([dtls, transports], ['connected', 1]);
    assert.match(srtp, /^(SRTP_)?(AES|AEAD)/);
  }

  test('Chromium calls Chromium: audio and a data channel on one port, each packet as it was sent', async () => {
    await using anna = await desk('alice-host', 'anna', 500);
    await using ben = await desk('home-phone', 'ben', 900);
    const wires = await Promise.all([
      office.lab.capture('alice-host', 'eth0', 'udp and not port 5060'),
      office.lab.capture('home-phone', 'eth0', 'udp and not port 5060'),
    ]);
    await ben.sip.register();
    const offer = await anna.page.offer(true);
    let answer = '';
    const answering = ben.sip.answer(async (sdp) => (answer = await ben.page.answer(sdp)));
    const calling = await anna.sip.invite(ben.sip.uri, offer);
    const called = await answering;
    await anna.page.accept(calling.sdp);
    await Promise.all([anna.page.hears(900), ben.page.hears(500)]);
    await Promise.all([anna.page.say('over here'), ben.page.reads('over here')]);
    await judgeWay(anna.page, calling.sdp);
    await judgeWay(ben.page, called.sdp);
    assert.deepEqual(untouched(called.sdp), untouched(offer));
    assert.deepEqual(untouched(calling.sdp), untouched(answer));

    const from = office.cloudsip.program.lines.length;
    await Promise.all([calling.bye(), ben.sip.ended()]);
    const { streams } = await office.cloudsip.logged('the media of a call ended', { from });
    assert.equal((streams as unknown[]).length, 2);
    const [outer, inner] = await Promise.all(wires.map((wire) => wire.stop()));
    judgeProtection(outer!, inner!);
    await office.mediaPortsReturned();
  });

  for (const mux of ['yes', 'no']) {
    test(`Chromium calls a telephone that knows DTLS-SRTP and no ICE, on G.711; RTCP beside RTP: ${mux}`, async () => {
      await using anna = await desk('alice-host', 'anna', 500);
      const bob: BaresipPhone = await office.phone('bob-host', {
        user: 'bob',
        toneHz: 880,
        modules: ['srtp', 'dtls_srtp'],
        accountParameters: ';mediaenc=dtls_srtp',
        configuration: [`rtcp_mux ${mux}`],
      });
      const calling = anna.sip.invite(bob.uri, await anna.page.offer());
      await bob.ringing();
      await bob.answer();
      const { sdp, bye } = await calling;
      await anna.page.accept(sdp);
      await bob.established();
      // What it has decoded: on the wire there is nothing to hear.
      await Promise.all([bob.recording.hears(500, 400, 10_000), anna.page.hears(880)]);
      await judgeWay(anna.page, sdp);
      await Promise.all([bye(), bob.closed()]);
      await office.mediaPortsReturned();
      await bob.stop();
    });
  }
});

/** First bytes (RFC 7983 7): STUN is the relay's and each side's own, DTLS and SRTP pass byte by byte. */
const isStun = ({ payload }: Packet): boolean => payload[0]! < 4;
const isDtls = ({ payload }: Packet): boolean => payload[0]! >= 20 && payload[0]! < 64;
const isRtp = ({ payload }: Packet): boolean => payload[0]! >> 6 === 2;

function judgeProtection(outer: readonly Packet[], inner: readonly Packet[]): void {
  const bytes = (packets: readonly Packet[]): Set<string> =>
    new Set(packets.filter((packet) => !isStun(packet)).map(({ payload }) => payload.toString('base64')));
  const ours = (packets: readonly Packet[]): Packet[] =>
    packets.filter(({ source }) => source.address === publicAddress);
  const theirs = (packets: readonly Packet[]): Packet[] =>
    packets.filter(({ source }) => source.address !== publicAddress);
  for (const [sent, received] of [
    [theirs(outer), ours(inner)],
    [theirs(inner), ours(outer)],
  ] as const) {
    assert.ok(received.some(isDtls) && received.some(isRtp));
    const known = bytes(sent);
    for (const text of bytes(received)) assert.ok(known.has(text), 'a packet that nobody sent');
  }
}
