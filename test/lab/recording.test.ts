import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { readWav, type Wav } from '../media/recording/read-wav.ts';
import type { BaresipPhone } from '../support/baresip.ts';
import { type LogRecord, runCloudsip } from '../support/cloudsip.ts';
import { needsRoot } from '../support/privileged.ts';
import { SippRun } from '../support/sipp.ts';
import { strongestTone } from '../support/tone.ts';
import { call, type DeskOptions, hangUp, Office, publicAddress, talk } from './office.ts';

/** The loudest half second of a channel: calls begin and end with silence. */
function loudest(samples: Int16Array, sampleRate: number): Int16Array {
  const length = sampleRate / 2;
  let best = samples.subarray(0, length);
  let most = -1;
  for (let start = 0; start + length <= samples.length; start += length / 2) {
    const piece = samples.subarray(start, start + length);
    const energy = piece.reduce((sum, sample) => sum + sample * sample, 0);
    if (energy > most) [best, most] = [piece, energy];
  }
  return best;
}

function assertTones(wav: Wav, leftHz: number, rightHz: number): void {
  for (const [samples, hz] of [
    [wav.left, leftHz],
    [wav.right, rightHz],
  ] as const) {
    const tone = strongestTone(loudest(samples, wav.sampleRate), wav.sampleRate);
    assert.equal(tone?.frequencyHz, hz);
    assert.ok(tone.share > 0.9, `${tone.share} of the energy at ${hz} Hz`);
  }
}

/** What tshark, told nothing, makes of a capture: the protocol of each packet, and its RTP streams. */
function tshark(path: string): { protocols: string[]; streams: Set<string> } {
  const fields = ['_ws.col.Protocol', 'ip.src', 'udp.srcport', 'rtp.ssrc'].flatMap((name) => ['-e', name]);
  const lines = execFileSync('tshark', ['-r', path, '-T', 'fields', ...fields], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
    .trim()
    .split('\n')
    .map((line) => line.split('\t'));
  return {
    protocols: lines.map(([protocol]) => protocol ?? ''),
    streams: new Set(lines.filter(([protocol]) => protocol === 'RTP').map((line) => line.slice(1).join(' '))),
  };
}

describe('calls that are recorded and listened to', needsRoot, () => {
  let office: Office;
  before(async () => {
    office = await Office.open({ args: ['--record', 'all', '--dtmf', 'events'] });
    await Promise.all([office.account('alice'), office.account('bob')]);
  });
  after(() => office[Symbol.asyncDispose]());

  const phones = (
    alice: Partial<DeskOptions> = {},
    bob: Partial<DeskOptions> = {},
  ): Promise<readonly [alice: BaresipPhone, bob: BaresipPhone]> =>
    Promise.all([
      office.phone('alice-host', { user: 'alice', toneHz: 440, ...alice }),
      office.phone('bob-host', { user: 'bob', toneHz: 880, ...bob }),
    ]);
  /** The file of the next recording, without what its name ends in. */
  const recorded = async (from: number): Promise<string> =>
    (await office.cloudsip.logged('a call is recorded', { from }))['file'] as string;
  const marked = (): number => office.cloudsip.program.lines.length;

  for (const { name, codec, modules, sampleRate } of [
    { name: 'G.711', codec: 'PCMU/8000/1', modules: [], sampleRate: 8000 },
    { name: 'G.722', codec: 'G722/16000/1', modules: ['g722'], sampleRate: 16_000 },
  ] as const) {
    test(`${name}: each side's tone on its own channel; Wireshark finds SIP and both streams`, async () => {
      const options = { modules, accountParameters: `;audio_codecs=${codec}` };
      const [alice, bob] = await phones(options, options);
      const from = marked();
      await call(alice, bob);
      const base = await recorded(from);
      await hangUp(alice, bob);
      await office.mediaPortsReturned();
      await office.cloudsip.logged('the media of a call ended', { from });
      await ended(base);
      const wav = readWav(`${base}.wav`);
      assert.equal(wav.sampleRate, sampleRate);
      assertTones(wav, 440, 880);
      const { protocols, streams } = tshark(`${base}.pcap`);
      assert.ok(protocols.filter((protocol) => protocol.startsWith('SIP')).length >= 10, protocols.join());
      assert.equal(streams.size, 2, [...streams].join('\n'));
      const capture = readFileSync(`${base}.pcap`, 'latin1');
      for (const start of ['INVITE sip:', 'SIP/2.0 200 OK', 'ACK sip:', 'BYE sip:'])
        assert.ok(capture.includes(start), start);
      await Promise.all([alice.kill(), bob.kill()]);
    });
  }

  test('keys by telephone events: once each, in the log and at the end of the call', async () => {
    const [alice, bob] = await phones();
    const from = marked();
    await call(alice, bob);
    const pressed: LogRecord[] = [];
    for (const [phone, key] of [
      [alice, '5'],
      [alice, '5'],
      [alice, '#'],
      [bob, '7'],
    ] as const) {
      const at = marked();
      await phone.command('sndcode', key);
      pressed.push(await office.cloudsip.logged('a key was pressed', { from: at }));
    }
    await hangUp(alice, bob);
    const told = (records: readonly Record<string, unknown>[]): string[] =>
      records.map(({ party, digit, by }) => `${party} ${digit} ${by}`);
    const expected = ['caller 5 rtp', 'caller 5 rtp', 'caller # rtp', 'callee 7 rtp'];
    assert.deepEqual(told(pressed), expected);
    const end = await office.cloudsip.logged('the media of a call ended', { from });
    assert.deepEqual(told(end['dtmf'] as Record<string, unknown>[]), expected);
    assert.equal(
      office.cloudsip.log.filter(({ msg }) => msg === 'a key was pressed').length,
      expected.length,
      'none was told of twice',
    );
    await Promise.all([alice.kill(), bob.kill()]);
  });

  test('keys by SIP INFO: once each', async () => {
    const alice = await office.account('alice');
    const bob = await office.phone('bob-host', { user: 'bob', toneHz: 880, answerMode: 'auto' });
    const from = marked();
    await using calling = await SippRun.start(office.lab.host('alice-host'), {
      scenario: 'uac-info',
      target: publicAddress,
      callee: 'bob',
      users: [{ user: alice.name, password: alice.password }],
      talkMs: 1_000,
    });
    const { successful, errors } = await calling.finished;
    assert.deepEqual([successful, errors], [1, '']);
    const end = await office.cloudsip.logged('the media of a call ended', { from });
    assert.deepEqual(end['dtmf'], [
      { party: 'caller', digit: '7', durationMs: 160, by: 'info' },
      { party: 'caller', digit: '#', durationMs: 250, by: 'info' },
    ]);
    await bob.kill();
  });

  test('the agent is killed in the middle: the files are there up to the last second', async () => {
    const [alice, bob] = await phones();
    const from = marked();
    await call(alice, bob);
    const base = await recorded(from);
    // What is sent now is older than what may be lost.
    await grown(`${base}.wav`, 44 + 3 * 8000 * 4);
    await office.restart();
    const wav = readWav(`${base}.wav`);
    assert.ok(wav.left.length >= 3 * 8000);
    assertTones(wav, 440, 880);
    assert.equal(tshark(`${base}.pcap`).streams.size, 2);
    assert.equal(JSON.parse(readFileSync(`${base}.json`, 'utf8')).end, undefined);
    const names = readdirSync(join(office.cloudsip.stateDir, 'recordings'));
    assert.ok(names.length >= 3);
    await Promise.all([alice.kill(), bob.kill()]);
  });

  /** Each look is a process of its own, so this is no busy loop. */
  async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (!(await holds())) assert.ok(performance.now() < deadline, what);
  }

  const ended = (base: string): Promise<void> =>
    until(`${base}.json has no end`, async () => {
      const { stdout } = await office.lab.host('vm').run('cat', [`${base}.json`]);
      return /"end":/.test(stdout);
    });

  const grown = (path: string, bytes: number): Promise<void> =>
    until(`${path} does not grow`, async () => {
      const { stdout } = await office.lab.host('vm').run('stat', ['-c', '%s', path], { allowFailure: true });
      return Number(stdout) >= bytes;
    });
});

describe('media past the relay', needsRoot, () => {
  let office: Office;
  before(async () => {
    office = await Office.open({ args: ['--media-path', 'local-direct'] });
    await Promise.all(['alice', 'nina', 'erin'].map((name) => office.account(name)));
  });
  after(() => office[Symbol.asyncDispose]());
  afterEach(() => office.mediaPortsReturned());

  test('neighbours in the cloud speak directly, after a re-INVITE as well; with the internet by the relay', async () => {
    const [alice, nina, erin] = await Promise.all([
      office.phone('alice-host', { user: 'alice', toneHz: 440 }),
      office.neighbour('neighbour', { user: 'nina', toneHz: 660 }),
      office.neighbour('neighbour2', { user: 'erin', toneHz: 770 }),
    ]);
    await call(nina, erin);
    assert.equal(await office.mediaPorts(), 0);
    await nina.hold();
    await nina.resume();
    await talk(nina, erin);
    assert.equal(await office.mediaPorts(), 0);
    await hangUp(nina, erin);
    await call(nina, alice);
    assert.equal(await office.mediaPorts(), 4);
    await hangUp(nina, alice);
    await Promise.all([alice.kill(), nina.kill(), erin.kill()]);
  });

  test('a running call is recorded by command, taken back from the kernel where that had it', async () => {
    const [alice, nina] = await Promise.all([
      office.phone('alice-host', { user: 'alice', toneHz: 440 }),
      office.neighbour('neighbour', { user: 'nina', toneHz: 660 }),
    ]);
    await call(nina, alice);
    const { id = '' } = await nina.event('CALL_RINGING');
    const from = office.cloudsip.program.lines.length;
    const vm = office.lab.host('vm');
    const on = await runCloudsip(vm, ['record', id]);
    assert.equal(on.stdout, `${id} is recorded from now on\n`, on.stderr);
    const base = (await office.cloudsip.logged('a call is recorded', { from }))['file'] as string;
    await talk(nina, alice);
    assert.equal((await runCloudsip(vm, ['record', id, 'off'])).exitCode, 0);
    await hangUp(nina, alice);
    await office.mediaPortsReturned();
    await office.cloudsip.stop();
    assertTones(readWav(`${base}.wav`), 660, 440);
    const note = JSON.parse(readFileSync(`${base}.json`, 'utf8'));
    assert.deepEqual([note.reason, note.stopped], ['command', undefined]);
    const unknown = await runCloudsip(vm, ['record', id]);
    assert.equal(unknown.exitCode, 1);
  });
});
