import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { MediaSession, StreamSnapshot } from '../../src/media/media-contract.ts';
import type { MediaRelayOptions } from '../../src/media/media-relay.ts';
import { RtpStatistics } from '../../src/media/rtp-statistics.ts';
import { SlotTable } from '../../src/media/slot-table.ts';
import { meanOpinionScore, type StreamQuality } from '../../src/media/stream-quality.ts';
import { summarize } from '../../src/media/summarize.ts';
import { anchor, kinds, Phone, portsOf, relayFor, type StreamText, sdp } from './support.ts';

/** A packet of RTP (RFC 3550 5.1). */
function packet(sequence: number, timestamp: number, ssrc = 7, type = 0): Buffer {
  const bytes = Buffer.alloc(12 + 160);
  bytes.writeUInt8(0x80, 0);
  bytes.writeUInt8(type, 1);
  bytes.writeUInt16BE(sequence & 0xffff, 2);
  bytes.writeUInt32BE(timestamp >>> 0, 4);
  bytes.writeUInt32BE(ssrc, 8);
  return bytes;
}

/** A sender report with one report block (RFC 3550 6.4.1). */
function report(options: {
  ntp?: number;
  fraction?: number;
  lost?: number;
  last?: number;
  delay?: number;
}): Buffer {
  const { ntp, fraction = 0, lost = 0, last = 0, delay = 0 } = options;
  const sender = ntp === undefined ? 8 : 28;
  const bytes = Buffer.alloc(sender + 24);
  bytes.writeUInt8(0x81, 0);
  bytes.writeUInt8(ntp === undefined ? 201 : 200, 1);
  bytes.writeUInt16BE(bytes.length / 4 - 1, 2);
  if (ntp !== undefined) bytes.writeUInt32BE(ntp, 10);
  bytes.writeUInt8(fraction, sender + 4);
  bytes.writeIntBE(lost, sender + 5, 3);
  bytes.writeUInt32BE(last, sender + 16);
  bytes.writeUInt32BE(delay, sender + 20);
  return bytes;
}

const rates: ReadonlyMap<number, number> = new Map([
  [96, 48_000],
  [97, 0],
]);

describe('the numbers of a stream', () => {
  const table = new SlotTable();
  const statistics = new RtpStatistics(table);
  let slot = 0;
  const listen = (
    packets: readonly (readonly [bytes: Buffer, atMs: number])[],
  ): StreamQuality | undefined => {
    slot += 2;
    statistics.set(slot, { tracked: true, reports: true, rates });
    for (const [bytes, atMs] of packets) statistics.rtp(slot, bytes, bytes.length, atMs);
    return table.quality(slot, slot + 1);
  };
  const steady = (sequences: readonly number[], rate = 8000): [Buffer, number][] =>
    sequences.map((sequence) => [
      packet(sequence, sequence * (rate / 50), 7, rate === 8000 ? 0 : 96),
      sequence * 20,
    ]);

  it('are all nought for an even one, over the wrap of the sequence', () => {
    const sequences = Array.from({ length: 200 }, (_, n) => 65_436 + n);
    const quality = listen(steady(sequences))!;
    assert.deepEqual(
      [quality.lost, quality.reordered, quality.duplicates, quality.ssrcChanges, quality.ssrc],
      [0, 0, 0, 0, 7],
    );
    assert.ok(quality.jitterMs < 0.01 && quality.mos > 4.3, `${quality.jitterMs} ${quality.mos}`);
  });

  it('tell loss, reordering and copies apart', () => {
    const quality = listen(steady([1, 2, 3, 5, 4, 6, 6, 9, 10]))!;
    assert.deepEqual([quality.lost, quality.reordered, quality.duplicates], [2, 1, 1]);
    assert.equal(quality.lossRate, 0.2);
    assert.ok(quality.mos < 3);
  });

  it('measure jitter in the clock of the codec (RFC 3550 A.8)', () => {
    for (const rate of [8000, 48_000]) {
      const uneven = steady(
        Array.from({ length: 400 }, (_, n) => n + 1),
        rate,
      );
      const quality = listen(uneven.map(([bytes, at], n) => [bytes, at + (n % 2) * 10]))!;
      assert.ok(Math.abs(quality.jitterMs - 10) < 0.1, `${rate}: ${quality.jitterMs}`);
    }
  });

  it('begin anew with another source, and keep what was lost before', () => {
    const quality = listen([
      ...steady([1, 2, 4]),
      [packet(40_000, 0, 8), 100],
      [packet(40_002, 320, 8), 140],
      [packet(9, 320, 8), 160],
    ])!;
    assert.deepEqual([quality.ssrcChanges, quality.lost, quality.ssrc], [1, 2, 8], 'a jump is no loss');
  });

  it('leave out packets that mend others, and what is no RTP', () => {
    const quality = listen([
      ...steady([1, 2]),
      [packet(500, 0, 9, 97), 50],
      [Buffer.from([0x80, 0, 0]), 51],
      [Buffer.alloc(100), 52],
    ])!;
    assert.deepEqual([quality.ssrcChanges, quality.lost], [0, 0]);
    assert.equal(listen([]), undefined);
  });

  it('read what a side reports, and the way there and back by reports that name each other', () => {
    slot += 2;
    const [one, other] = [slot, slot + 1];
    statistics.set(one, { tracked: true, reports: true, rates });
    statistics.set(other, { tracked: true, reports: true, rates });
    const tell = (from: number, to: number, bytes: Buffer, atMs: number): void =>
      statistics.rtcp(from, to, bytes, bytes.length, atMs);
    statistics.rtp(one, packet(1, 0), 172, 0);
    tell(other, one, report({ ntp: 0xabcd_0001 }), 1000);
    // Half a second between hearing and answering, 80 ms on the way.
    tell(one, other, report({ fraction: 64, lost: -3, last: 0xabcd_0001, delay: 32_768 }), 1580);
    const { reported, rttMs } = table.quality(one, one)!;
    assert.deepEqual(reported, { lossRate: 0.25, lost: -3 });
    assert.ok(Math.abs(rttMs! - 80) < 0.1, `${rttMs}`);
    tell(one, other, report({ fraction: 0, last: 0xabcd_0000 }), 3000);
    assert.equal(table.quality(one, one)?.rttMs, rttMs, 'one that is not the last tells nothing new');
  });

  it('take what is reported from where RTCP is agreed to come, and else from where it came', () => {
    slot += 2;
    for (const each of [slot, slot + 1]) statistics.set(each, { tracked: true, reports: true, rates });
    const tell = (to: number, fraction: number): void => {
      const bytes = report({ ntp: 1, fraction });
      statistics.rtcp(to, -1, bytes, bytes.length, 0);
    };
    const reported = (beside: boolean): number | undefined =>
      table.quality(slot, slot + 1, beside)?.reported?.lossRate;
    statistics.rtp(slot, packet(1, 0), 172, 0);
    assert.deepEqual([reported(false), reported(true)], [undefined, undefined]);
    tell(slot + 1, 64);
    assert.deepEqual([reported(false), reported(true)], [0.25, 0.25]);
    tell(slot, 128);
    assert.deepEqual([reported(false), reported(true)], [0.25, 0.5]);
  });

  it('are taught nothing by malformed RTCP', () => {
    slot += 2;
    statistics.set(slot, { tracked: true, reports: true, rates });
    statistics.rtp(slot, packet(1, 0), 172, 0);
    const good = report({ ntp: 1, fraction: 9 });
    for (let length = 0; length < good.length; length++) {
      const cut = good.subarray(0, length);
      statistics.rtcp(slot, -1, cut, cut.length, 0);
    }
    const endless = Buffer.alloc(65_000, Buffer.from([0x80, 201, 0, 1, 0, 0, 0, 0]));
    statistics.rtcp(slot, -1, endless, endless.length, 0);
    assert.equal(table.quality(slot, slot)?.reported, undefined);
  });

  it('give the score of ITU-T G.107', () => {
    assert.ok(Math.abs(meanOpinionScore(0, 0, 0) - 4.4) < 0.02);
    assert.ok(Math.abs(meanOpinionScore(0.01, 0, 130) - 4.1) < 0.15);
    assert.equal(meanOpinionScore(1, 0, 1000), 1);
  });
});

for (const forwarder of kinds) {
  describe(`the numbers of a call by ${forwarder}`, () => {
    async function call(
      t: TestContext,
      stream: Partial<StreamText>,
      options: Partial<MediaRelayOptions> = {},
    ): Promise<{
      session: MediaSession;
      close: () => Promise<void>;
      say: (bytes: Buffer) => Promise<void>;
      lines: object[];
      snapshot: () => StreamSnapshot;
    }> {
      const lines: object[] = [];
      const log = {
        debug: () => {},
        warn: () => {},
        info: (_: string, details = {}) => void lines.push(details),
      };
      const { relay } = await relayFor(t, { forwarder, log, ...options });
      const [caller, callee] = [await Phone.open(t), await Phone.open(t)];
      const session = relay.createSession('counted', { onSilence: () => {} });
      const describe = (phone: Phone): string => sdp('127.0.0.1', { port: phone.port, ...stream });
      anchor(session, 'offer', 'caller', describe(caller));
      const answer = anchor(session, 'answer', 'callee', describe(callee));
      await relay.flush();
      const say = async (bytes: Buffer): Promise<void> => {
        await caller.send(bytes, portsOf(answer)[0]!);
        await callee.next();
      };
      const close = (): Promise<void> => {
        session.close();
        return relay.flush();
      };
      return { session, close, say, lines, snapshot: () => session.snapshot()[0]! };
    }

    it('stand in the snapshot and on the line at its end', async (t) => {
      const { session, close, say, lines, snapshot } = await call(t, { attributes: ['rtcp-mux'] });
      for (const sequence of [1, 2, 4, 3, 7]) await say(packet(sequence, sequence * 160));
      await say(report({ fraction: 128, lost: 5 }));
      const { quality, packets } = snapshot();
      assert.deepEqual([packets, quality?.lost, quality?.reordered], [6, 2, 1]);
      assert.deepEqual(quality?.reported, { lossRate: 0.5, lost: 5 });
      const line = session.snapshot().map(summarize)[0];
      await close();
      assert.deepEqual(lines.at(-1), { callId: 'counted', streams: [line] });
      assert.deepEqual([line?.lost, line?.reportedLossPercent, line?.strangers], [2, 50, 0]);
      JSON.stringify(line);
    });

    it('are not read from what is encrypted (RFC 3711), but for the header', async (t) => {
      const { say, snapshot } = await call(t, { proto: 'RTP/SAVP', attributes: ['rtcp-mux'] });
      await say(packet(1, 160));
      await say(packet(3, 480));
      await say(report({ fraction: 128 }));
      assert.deepEqual([snapshot().quality?.lost, snapshot().quality?.reported], [1, undefined]);
    });
  });
}
