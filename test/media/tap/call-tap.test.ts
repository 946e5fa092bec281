import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { DtmfDigit } from '../../../src/media/dtmf/dtmf-digit.ts';
import type { MediaRelay, MediaSession, MediaTap } from '../../../src/media/media-contract.ts';
import type { MediaLog } from '../../../src/media/media-log.ts';
import { muLawSamples } from '../../../src/media/recording/g711.ts';
import { needsRoot } from '../../support/privileged.ts';
import { sineSamples } from '../../support/tone.ts';
import { readWav } from '../recording/read-wav.ts';
import { eventPayload, muLaw, rtpPacket } from '../recording/rtp-source.ts';
import { anchor, kinds, Phone, portsOf, relayFor, rtcp, sdp } from '../support.ts';

interface Call {
  readonly session: MediaSession;
  readonly tap: MediaTap;
  readonly caller: Phone;
  readonly callee: Phone;
  /** Where each sends to. */
  readonly callerPort: number;
  readonly calleePort: number;
  readonly directory: string;
  readonly digits: DtmfDigit[];
  /** Resolves when so many keys were told. */
  heard(count: number): Promise<void>;
  readonly said: string[];
  /** Resolves when the media thread has done what it was told. */
  flush(): Promise<void>;
  /** Ends the media thread as a crash would. */
  crash(): Promise<void>;
}

const what = { callId: 'a/b@c', from: 'sip:alice@example.com', to: 'sip:bob@example.com', reason: 'all' };
const events = ['rtpmap:0 PCMU/8000', 'rtpmap:101 telephone-event/8000'];

async function callFor(
  t: TestContext,
  forwarder: (typeof kinds)[number],
  stream: { readonly proto?: string; readonly attributes?: readonly string[] } = {},
  diskSize?: string,
): Promise<Call> {
  const directory = mkdtempSync(join(tmpdir(), 'cloudsip-recordings-'));
  if (diskSize !== undefined) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskSize}`, 'recordings', directory]);
    t.after(() => execFileSync('umount', ['--lazy', directory]));
  }
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const said: string[] = [];
  const log: MediaLog = { debug: () => {}, info: (text) => said.push(text), warn: (text) => said.push(text) };
  const { relay } = await relayFor(t, { forwarder, log, recordDirectory: join(directory, 'made') });
  const caller = await Phone.open(t);
  const callee = await Phone.open(t);
  const session = relay.createSession('a/b@c', { onSilence: () => {} });
  const digits: DtmfDigit[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const tap = relay.openTap('a/b@c', (digit) => {
    digits.push(digit);
    for (const { count, resolve } of waiting) if (digits.length >= count) resolve();
  });
  session.attach(tap);
  const offer = anchor(session, 'offer', 'caller', sdp('127.0.0.1', { port: caller.port, ...stream }));
  const answer = anchor(session, 'answer', 'callee', sdp('127.0.0.1', { port: callee.port, ...stream }));
  session.settle('b');
  await relay.flush();
  return {
    session,
    tap,
    caller,
    callee,
    callerPort: portsOf(answer)[0]!,
    calleePort: portsOf(offer)[0]!,
    directory: join(directory, 'made'),
    digits,
    heard: (count) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (digits.length >= count) resolve();
      else waiting.push({ count, resolve });
      return promise;
    },
    said,
    flush: () => relay.flush(),
    crash: () => (relay as MediaRelay & { crash(): Promise<void> }).crash(),
  };
}

/** The only recording: the path of its files without what they end in. */
function onlyBase(directory: string): string {
  const names = new Set(readdirSync(directory).map((name) => name.replace(/\.(?:pcap|wav|json)$/, '')));
  assert.equal(names.size, 1, [...names].join());
  return join(directory, [...names][0]!);
}

/** Where `needle` begins in `samples`; -1 for nowhere. */
function find(samples: Int16Array, needle: Int16Array): number {
  return Buffer.from(samples.buffer).indexOf(Buffer.from(needle.buffer.slice(0))) / 2;
}

for (const kind of kinds) {
  describe(`a recorded call (${kind})`, () => {
    test('a WAV with each side on its own channel, a capture with SIP and both streams, a note', async (t) => {
      const call = await callFor(t, kind, { attributes: events });
      const { tap, session, caller, callee } = call;
      const callerSip = { address: '192.0.2.1', port: 5060 };
      const us = { address: '198.51.100.1', port: 5060 };
      tap.record(what);
      tap.message(callerSip, us, 'OPTIONS sip:bob@example.com SIP/2.0\r\nCall-ID: a/b@c\r\n\r\n');
      await call.flush();
      const low = muLaw(sineSamples(500, 8000, 200));
      const high = muLaw(sineSamples(1500, 8000, 200));
      for (let n = 0; n < 10; n++) {
        await caller.send(rtpPacket(0, n, n * 160, 1, low.subarray(n * 160, n * 160 + 160)), call.callerPort);
        await callee.send(
          rtpPacket(0, n, n * 160, 2, high.subarray(n * 160, n * 160 + 160)),
          call.calleePort,
        );
        await callee.next();
        await caller.next();
      }
      session.close();
      await tap.end();
      const base = onlyBase(call.directory);
      for (const end of ['pcap', 'wav', 'json']) assert.equal(statSync(`${base}.${end}`).mode & 0o777, 0o600);
      assert.equal(statSync(call.directory).mode & 0o777, 0o700);
      const wav = readWav(`${base}.wav`);
      assert.equal(wav.sampleRate, 8000);
      const heard = (bytes: Uint8Array): Int16Array => Int16Array.from(bytes, (byte) => muLawSamples[byte]!);
      // The tail may lie beyond the end: both were sent faster than they would be spoken.
      const length = Math.min(wav.left.length, 160);
      assert.ok(find(wav.left, heard(low).slice(0, length)) >= 0);
      assert.ok(find(wav.right, heard(high).slice(0, length)) >= 0);

      const fields = ['ip.src', 'ip.dst', 'udp.dstport', '_ws.col.Protocol'].flatMap((name) => ['-e', name]);
      const decode = ['-d', `udp.port==${call.callerPort},rtp`, '-d', `udp.port==${call.calleePort},rtp`];
      const lines = execFileSync('tshark', ['-r', `${base}.pcap`, ...decode, '-T', 'fields', ...fields], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      })
        .trim()
        .split('\n');
      assert.equal(lines[0], ['192.0.2.1', '198.51.100.1', '5060', 'SIP'].join('\t'));
      const seen = (to: string, port: number): number =>
        lines.filter((line) => line === ['127.0.0.1', to, port, 'RTP'].join('\t')).length;
      assert.equal(seen('198.51.100.1', call.callerPort), 10, lines.join('\n'));
      assert.equal(seen('198.51.100.2', call.calleePort), 10);
      const note = JSON.parse(readFileSync(`${base}.json`, 'utf8'));
      assert.deepEqual([note.callId, note.from, note.reason], [what.callId, what.from, 'all']);
      assert.deepEqual(
        note.streams.map(({ party, packets, encodings }: Record<string, unknown>) => [
          party,
          packets,
          encodings,
        ]),
        [
          ['caller', 10, ['PCMU']],
          ['callee', 10, ['PCMU']],
        ],
      );
      assert.ok(Date.parse(note.end) >= Date.parse(note.start));
    });

    test('what is encrypted is said to be so, and lies in the capture alone', async (t) => {
      const call = await callFor(t, kind, { proto: 'RTP/SAVP', attributes: events });
      call.tap.record(what);
      await call.flush();
      await call.caller.send(rtpPacket(0, 1, 160, 1, new Uint8Array(160)), call.callerPort);
      await call.callee.next();
      call.session.close();
      await call.tap.end();
      const base = onlyBase(call.directory);
      assert.deepEqual(
        readdirSync(call.directory)
          .map((name) => name.slice(name.lastIndexOf('.')))
          .sort(),
        ['.json', '.pcap'],
      );
      const note = JSON.parse(readFileSync(`${base}.json`, 'utf8'));
      assert.equal(note.streams[0].notDecoded, 'is encrypted (RTP/SAVP)');
      assert.ok(
        call.said.some((line) => /is encrypted \(RTP\/SAVP\)/.test(line)),
        call.said.join('\n'),
      );
    });

    test('a call that nobody records leaves nothing, nor does the part after its end', async (t) => {
      const call = await callFor(t, kind, { attributes: events });
      const speak = async (n: number): Promise<void> => {
        await call.caller.send(rtpPacket(0, n, n * 160, 1, new Uint8Array(160)), call.callerPort);
        await call.callee.next();
      };
      await speak(0);
      call.tap.record(what);
      await call.flush();
      await speak(1);
      call.tap.stopRecording();
      // Once the relay has done all, the next packet finds nobody.
      await call.tap.end();
      await speak(2);
      const { streams } = JSON.parse(readFileSync(`${onlyBase(call.directory)}.json`, 'utf8'));
      assert.equal(streams[0].packets, 1);
    });

    test(
      'the disk is full: one line in the log, and every packet of the call arrives',
      needsRoot,
      async (t) => {
        const call = await callFor(t, kind, { attributes: events }, '64k');
        call.tap.record(what);
        await call.flush();
        for (let n = 0; n < 600; n++) {
          await call.caller.send(rtpPacket(0, n, n * 160, 1, new Uint8Array(160)), call.callerPort);
          assert.equal((await call.callee.next()).payload.readUInt16BE(2), n);
        }
        call.session.close();
        await call.tap.end();
        const full = call.said.filter((line) =>
          /the recording ends before the call: there is no room/.test(line),
        );
        assert.equal(full.length, 1, call.said.join('\n'));
      },
    );

    test('goes on when the media thread dies and another takes over', async (t) => {
      const call = await callFor(t, kind, { attributes: events });
      call.tap.record(what);
      for (let n = 0; n < 2; n++) {
        await call.flush();
        await call.caller.send(rtpPacket(0, n, n * 160, 1, new Uint8Array(160)), call.callerPort);
        await call.callee.next();
        if (n === 0) await call.crash();
      }
      call.session.close();
      await call.tap.end();
      const { streams } = JSON.parse(readFileSync(`${onlyBase(call.directory)}.json`, 'utf8'));
      assert.equal(streams[0].packets, 2);
    });

    test('has RTCP by its own port and beside RTP, as that is agreed upon anew', async (t) => {
      const call = await callFor(t, kind, { attributes: [...events, 'rtcp-mux'] });
      const { caller, callee, session } = call;
      call.tap.record(what);
      const reports = await Phone.open(t);
      const agree = (...attributes: string[]): void => {
        const text = ({ port }: Phone): string =>
          sdp('127.0.0.1', { port, attributes: [...events, `rtcp:${reports.port}`, ...attributes] });
        anchor(session, 'offer', 'caller', text(caller));
        anchor(session, 'answer', 'callee', text(callee));
      };
      const packets = [];
      for (let round = 0; round < 3; round++) {
        await call.flush();
        packets.push(rtcp(`beside ${round}`));
        await caller.send(packets.at(-1)!, call.callerPort);
        assert.deepEqual((await callee.next()).payload, packets.at(-1));
        if (round === 1) await call.crash();
        agree();
        await call.flush();
        packets.push(rtcp(`apart ${round}`));
        await reports.send(packets.at(-1)!, call.callerPort + 1);
        assert.deepEqual((await reports.next()).payload, packets.at(-1));
        agree('rtcp-mux');
      }
      session.close();
      await call.tap.end();
      const capture = readFileSync(`${onlyBase(call.directory)}.pcap`);
      for (const packet of packets) assert.ok(capture.includes(packet), packet.toString('latin1'));
    });

    test('keys by telephone events, once each, whoever presses them', async (t) => {
      const call = await callFor(t, kind, { attributes: events });
      call.tap.watchDigits('events');
      await call.flush();
      const press = async (
        from: Phone,
        to: Phone,
        port: number,
        event: number,
        stamp: number,
      ): Promise<void> => {
        for (const [n, ended] of [false, false, true, true, true].entries()) {
          const payload = eventPayload(event, Math.min(n + 1, 3) * 160, ended);
          await from.send(rtpPacket(101, n, stamp, 5, payload), port);
          await to.next();
        }
      };
      await press(call.caller, call.callee, call.callerPort, 4, 0);
      await press(call.caller, call.callee, call.callerPort, 4, 2000);
      await press(call.callee, call.caller, call.calleePort, 11, 0);
      await call.heard(3);
      call.session.close();
      await call.tap.end();
      assert.deepEqual(
        call.digits.map(({ party, digit, durationMs, by }) => `${party} ${digit} ${durationMs} ${by}`),
        ['caller 4 60 rtp', 'caller 4 60 rtp', 'callee # 60 rtp'],
      );
    });

    test('keys in the audio where no events are agreed', async (t) => {
      const call = await callFor(t, kind, { attributes: ['rtpmap:0 PCMU/8000'] });
      call.tap.watchDigits('inband');
      await call.flush();
      const [low, high] = [sineSamples(770, 8000, 200, 6000), sineSamples(1336, 8000, 200, 6000)];
      const audio = muLaw(low.map((sample, n) => (n < 800 ? sample + high[n]! : 0)));
      for (let n = 0; n < 10; n++) {
        await call.caller.send(
          rtpPacket(0, n, n * 160, 1, audio.subarray(n * 160, n * 160 + 160)),
          call.callerPort,
        );
        await call.callee.next();
      }
      await call.heard(1);
      assert.deepEqual(
        [call.digits[0]!.party, call.digits[0]!.digit, call.digits[0]!.by],
        ['caller', '5', 'inband'],
      );
    });
  });
}
