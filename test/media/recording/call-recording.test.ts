import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { staticFormats } from '../../../src/media/recording/audio-format.ts';
import { CallRecording } from '../../../src/media/recording/call-recording.ts';
import type { TappedStream } from '../../../src/media/tap/tap-protocol.ts';
import { needsRoot } from '../../support/privileged.ts';
import { sineSamples } from '../../support/tone.ts';
import { readWav } from './read-wav.ts';
import { muLaw, rtpPacket } from './rtp-source.ts';

const call = { callId: '../../etc/passwd\n', from: 'sip:a@b', to: 'sip:c@d', reason: 'all' };
const stream: TappedStream = {
  slot: 1,
  generation: 1,
  party: 'caller',
  index: 0,
  media: 'audio',
  isRtp: true,
  local: { address: '203.0.113.5', port: 10_000 },
  formats: staticFormats,
  encrypted: undefined,
};
const phone = { address: '192.0.2.1', port: 4000 };
const second = muLaw(sineSamples(440, 8000, 1000));

class Recorded {
  readonly said: string[] = [];
  readonly paths: string[] = [];
  readonly recording: CallRecording;
  /** Milliseconds. */
  now = Date.UTC(2026, 0, 1, 10);
  #sent = 0;

  constructor(directory: string) {
    this.recording = new CallRecording(directory, call, {
      begun: (path) => this.paths.push(path),
      said: (sentence, ended) => this.said.push(`${ended ? 'ended: ' : ''}${sentence}`),
    });
  }

  speak(packets: number): void {
    for (let n = 0; n < packets; n++, this.#sent++) {
      const at = (this.#sent % 50) * 160;
      const bytes = rtpPacket(0, this.#sent, this.#sent * 160, 3, second.subarray(at, at + 160));
      this.recording.packet(stream, this.now, phone, bytes);
      this.now += 20;
      if (n % 5 === 4) this.recording.tick(this.now);
    }
  }
}

/** With a size it is a disk of its own that has no more room. */
function directoryFor(t: TestContext, size?: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'cloudsip-recordings-'));
  if (size !== undefined) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'recordings', directory]);
    t.after(() => execFileSync('umount', [directory]));
  }
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('files are readable at every moment, and lag no more than two seconds', (t) => {
  const recorded = new Recorded(directoryFor(t));
  for (let seconds = 1; seconds <= 6; seconds++) {
    recorded.speak(50);
    if (seconds < 2) continue;
    const wav = readWav(`${recorded.paths[0]}.wav`);
    assert.ok(wav.left.length >= (seconds - 2) * 8000, `${wav.left.length} samples after ${seconds} s`);
    const capture = statSync(`${recorded.paths[0]}.pcap`).size;
    assert.ok(capture >= (seconds - 2) * 50 * 200, `${capture} bytes after ${seconds} s`);
  }
});

test('times in the files are those of people, however the clock of the packets counts', (t) => {
  const directory = directoryFor(t);
  const epochMs = Date.UTC(2026, 0, 1, 10);
  const events = { begun: () => {}, said: () => {} };
  const recording = new CallRecording(directory, call, events, epochMs);
  recording.packet(stream, 5000, phone, rtpPacket(0, 1, 0, 3, second.subarray(0, 160)));
  recording.tick(6000);
  recording.end(6000);
  const named = (end: string): string =>
    join(
      directory,
      readdirSync(directory).find((name) => name.startsWith('20260101T100005') && name.endsWith(end))!,
    );
  const note = JSON.parse(readFileSync(named('.json'), 'utf8'));
  assert.equal(note.start, '2026-01-01T10:00:05.000Z');
  assert.equal(note.end, '2026-01-01T10:00:06.000Z');
  assert.equal(note.wav.start, note.start);
  assert.equal(readFileSync(named('.pcap')).readUInt32LE(24), epochMs / 1000 + 5);
});

test('a link in place of the note is replaced, and what it leads to stays', (t) => {
  const directory = directoryFor(t);
  const target = join(directoryFor(t), 'target');
  writeFileSync(target, 'whole');
  const recorded = new Recorded(directory);
  recorded.speak(10);
  const note = `${recorded.paths[0]}.json`;
  rmSync(note);
  symlinkSync(target, note);
  recorded.recording.end(recorded.now);
  assert.equal(readFileSync(target, 'utf8'), 'whole');
  assert.ok(lstatSync(note).isFile());
  assert.equal(lstatSync(note).mode & 0o777, 0o600);
  assert.match(JSON.parse(readFileSync(note, 'utf8')).end, /^2026/);
  assert.equal(readdirSync(directory).length, 3);
});

test('SIP in the capture proves no password', (t) => {
  const recorded = new Recorded(directoryFor(t));
  const secret = '6629fae49393a05397450978507c4ef1';
  recorded.recording.message(
    recorded.now,
    phone,
    stream.local,
    `INVITE sip:b SIP/2.0\r\nProxy-Authorization: Digest username="alice", response="${secret}"\r\n\r\n`,
  );
  recorded.speak(1);
  recorded.recording.end(recorded.now);
  const capture = readFileSync(`${recorded.paths[0]}.pcap`, 'latin1');
  assert.ok(capture.includes('username="alice"'));
  assert.ok(!capture.includes(secret));
});

test('messages of many calls that nobody answers take memory up to a number, and give it back', (t) => {
  const directory = directoryFor(t);
  const large = `OPTIONS sip:b SIP/2.0\r\n\r\n${'x'.repeat(60_000)}`;
  const ringing = Array.from({ length: 80 }, () => new Recorded(directory));
  for (const { recording, now } of ringing)
    for (let n = 0; n < 4; n++) recording.message(now, phone, stream.local, large);
  const sizes = [ringing[0]!, ringing[79]!].map((recorded, n) => {
    // Each in a moment of its own: names go by it.
    recorded.now += n;
    recorded.speak(1);
    return statSync(`${recorded.paths[0]}.pcap`).size;
  });
  assert.ok(sizes[0]! > 240_000, 'the first has its messages');
  assert.ok(sizes[1]! < 1000, 'the last has none');
  for (const { recording, now } of ringing) recording.end(now);
  const later = new Recorded(directory);
  later.now += 2;
  later.recording.message(later.now, phone, stream.local, large);
  later.speak(1);
  assert.ok(statSync(`${later.paths[0]}.pcap`).size > 60_000);
  later.recording.end(later.now);
});

test('a Call-ID is no path', (t) => {
  const directory = directoryFor(t);
  const recorded = new Recorded(directory);
  recorded.speak(1);
  recorded.recording.end(recorded.now);
  assert.match(readdirSync(directory)[0]!, /^20260101T100000\.000-_\.\._etc_passwd_-[0-9a-f]{8}\.json$/);
});

test('a full disk ends the recording, says so once, and what is there stays readable', needsRoot, (t) => {
  const recorded = new Recorded(directoryFor(t, '128k'));
  recorded.speak(500);
  recorded.recording.end(recorded.now);
  assert.deepEqual(recorded.said, ['ended: the recording ends before the call: there is no room (ENOSPC)']);
  const [base] = recorded.paths;
  assert.ok(readWav(`${base}.wav`).left.length > 4000);
  const packets = execFileSync('tshark', ['-r', `${base}.pcap`, '-T', 'fields', '-e', 'udp.length'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  assert.ok(packets.split('\n').filter((length) => length === '180').length > 50);
  assert.doesNotThrow(() => JSON.parse(readFileSync(`${base}.json`, 'utf8') || '{}'));
});

test('a directory that cannot be made ends it as well', (t) => {
  const directory = directoryFor(t);
  const recorded = new Recorded(join('/proc', directory));
  recorded.speak(10);
  assert.equal(recorded.said.length, 1);
  assert.match(recorded.said[0]!, /^ended: the recording ends before the call: ENOENT/);
});
