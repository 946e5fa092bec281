import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DtmfDigit } from '../../../src/media/dtmf/dtmf-digit.ts';
import { staticFormats } from '../../../src/media/recording/audio-format.ts';
import type { TappedStream } from '../../../src/media/tap/tap-protocol.ts';
import { TappedCall } from '../../../src/media/tap/tapped-call.ts';
import { eventPayload, rtpPacket } from '../recording/rtp-source.ts';

const stream: TappedStream = {
  slot: 1,
  generation: 1,
  party: 'caller',
  index: 0,
  media: 'audio',
  isRtp: true,
  local: { address: '203.0.113.5', port: 10_000 },
  formats: new Map([...staticFormats, [101, { encoding: 'telephone-event', clockRate: 8000, channels: 1 }]]),
  encrypted: undefined,
};
const phone = { address: '192.0.2.1', port: 4000 };
const what = { callId: 'a@b', from: 'sip:a@b', to: 'sip:c@d', reason: 'command' };

test('a recording that the disk ended can begin anew', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'cloudsip-recordings-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const call = new TappedCall(() => {});
  const said: string[] = [];
  const events = { begun: () => {}, said: (sentence: string) => said.push(sentence) };
  const bytes = rtpPacket(0, 1, 160, 3, new Uint8Array(160));
  call.record(join('/proc', directory), what, events);
  call.packet(stream, 1000, phone, bytes);
  assert.equal(said.length, 1);
  call.record(directory, what, events);
  call.packet(stream, 1020, phone, bytes);
  call.end(2000);
  assert.equal(said.length, 1);
  assert.ok(readdirSync(directory).some((name) => name.endsWith('.pcap')));
});

test('a flood of keys is told of up to a number', () => {
  const digits: DtmfDigit[] = [];
  const call = new TappedCall((digit) => digits.push(digit));
  call.watchDigits(false);
  for (let n = 0; n < 5000; n++)
    call.packet(stream, n * 20, phone, rtpPacket(101, n, n * 800, 3, eventPayload(n % 10, 800, true)));
  assert.equal(digits.length, 1000);
});
