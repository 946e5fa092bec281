import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { BaresipPhone } from '../support/baresip.ts';
import { toneReaches } from '../support/baresip-wire.ts';
import { asRtp } from '../support/capture-rtp.ts';
import { needsRoot } from '../support/privileged.ts';
import { runSipp, SippRun } from '../support/sipp.ts';
import { call, type DeskOptions, hangUp, Office, publicAddress } from './office.ts';

/** Modules of baresip, what it calls the codec, and the payload type that then is on the wire. */
const codecs = [
  { name: 'G.711 A-law', modules: [], codec: 'PCMA/8000/1', types: [8] },
  { name: 'G.722', modules: ['g722'], codec: 'G722/16000/1', types: [9] },
  { name: 'Opus', modules: ['opus'], codec: 'opus/48000/2', types: [96, 97, 98, 99, 100, 101, 102] },
] as const;

describe('calls in every kind of media', needsRoot, () => {
  let office: Office;
  before(async () => {
    office = await Office.open();
    await Promise.all([office.account('alice'), office.account('bob')]);
  });
  after(() => office[Symbol.asyncDispose]());
  afterEach(() => office.mediaPortsReturned());

  async function phones(
    alice: Partial<DeskOptions>,
    bob: Partial<DeskOptions>,
  ): Promise<readonly [alice: BaresipPhone, bob: BaresipPhone]> {
    return await Promise.all([
      office.phone('alice-host', { user: 'alice', toneHz: 440, ...alice }),
      office.phone('bob-host', { user: 'bob', toneHz: 880, ...bob }),
    ]);
  }

  for (const { name, modules, codec, types } of codecs) {
    test(`${name}: each hears the other's tone`, async () => {
      const options = { modules, accountParameters: `;audio_codecs=${codec}` };
      const [alice, bob] = await phones(options, options);
      await using wire = await office.lab.capture('alice-host', 'eth0', 'udp');
      await call(alice, bob);
      await hangUp(alice, bob);
      const used = new Set(
        (await wire.stop()).map(asRtp).flatMap((packet) => (packet ? [packet.payloadType] : [])),
      );
      assert.ok(
        used.size > 0 && [...used].every((type) => types.includes(type as never)),
        `types ${[...used]}`,
      );
      // In order, so that no binding of his is called by the next.
      await Promise.all([alice.stop(), bob.stop()]);
    });
  }

  test('video is offered and refused: the call is one of audio, and holds the ports of one', async () => {
    const video = {
      modules: ['vp8', 'fakevideo'],
      configuration: ['video_source fakevideo,nil', 'video_display fakevideo,nil'],
    };
    const [alice, bob] = await phones(video, {});
    await using wire = await office.lab.capture('alice-host', 'eth0', 'udp port 5060');
    await call(alice, bob);
    // The ports of the refused stream come back a moment after the answer.
    const deadline = performance.now() + 5_000;
    while ((await office.mediaPorts()) !== 4) assert.ok(performance.now() < deadline, 'ports of the video');
    await hangUp(alice, bob);
    const texts = (await wire.stop()).map(({ payload }) => payload.toString('latin1'));
    assert.ok(texts.some((text) => text.startsWith('INVITE ') && /^m=video [1-9]/m.test(text)));
    assert.ok(texts.some((text) => text.startsWith('SIP/2.0 200 ') && /^m=video 0 /m.test(text)));
    await Promise.all([alice.stop(), bob.stop()]);
  });

  test('a call turns to fax: T.38 in the place of the audio', async () => {
    const [alice, carol] = await Promise.all([office.account('alice'), office.account('carol')]);
    const bobHost = office.lab.host('bob-host');
    const home = office.lab.host('home-phone');
    const users = [{ user: carol.name, password: carol.password }];
    const registration = await runSipp(bobHost, { scenario: 'register', target: publicAddress, users });
    assert.equal(registration.failed, 0, registration.errors);
    await using called = await SippRun.start(bobHost, { scenario: 'uas-fax', talkMs: 3_000, toneHz: 880 });
    await using wire = await office.lab.capture('bob-host', 'eth0', 'udp port 5060');
    await using calling = await SippRun.start(home, {
      scenario: 'uac-fax',
      target: publicAddress,
      callee: 'carol',
      users: [{ user: alice.name, password: alice.password }],
      talkMs: 2_500,
      toneHz: 660,
    });
    await wire.packet(({ payload }) => /^m=image /m.test(payload.toString('latin1')));
    await Promise.all([
      toneReaches(bobHost, 20_000, 660, 400, 6_000),
      // Behind a NAT, where the stream had to be learned anew.
      toneReaches(home, 20_000, 880, 400, 6_000),
    ]);
    const [first, second] = [await calling.finished, await called.finished];
    assert.deepEqual([first.successful, first.errors], [1, '']);
    assert.deepEqual([second.successful, second.errors], [1, '']);
  });
});
