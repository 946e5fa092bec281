import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CaptureDecoder } from './capture-decoder.ts';
import { asRtp, muLawSamples } from './capture-rtp.ts';
import { tonePcap } from './sipp-media.ts';
import { strongestTone } from './tone.ts';

describe('the capture decoder', () => {
  test('reads packets that come in pieces of any size', () => {
    const file = tonePcap(880, 400);
    const whole = new CaptureDecoder().push(file);
    assert.equal(whole.length, 20);
    for (const size of [1, 7, 100, 1000]) {
      const decoder = new CaptureDecoder();
      const packets = [];
      for (let at = 0; at < file.length; at += size)
        packets.push(...decoder.push(file.subarray(at, at + size)));
      assert.deepEqual(packets, whole);
    }
  });

  test('gives times, addresses, and RTP whose audio is the tone', () => {
    const packets = new CaptureDecoder().push(tonePcap(880, 2_000));
    assert.equal(packets[99]?.timeMs, 1980);
    assert.deepEqual(packets[0]?.source, { address: '127.0.0.1', port: 6000 });
    const rtp = packets.flatMap((packet) => asRtp(packet) ?? []);
    assert.deepEqual(
      rtp.map(({ sequence, timestamp }) => [sequence, timestamp]),
      Array.from({ length: 100 }, (_, index) => [index, index * 160]),
    );
    assert.equal(strongestTone(muLawSamples(rtp), 8000)?.frequencyHz, 880);
  });

  test('notices a wrong checksum', () => {
    const file = tonePcap(880, 20);
    assert.equal(new CaptureDecoder().push(file)[0]?.checksumsRight, false); // sipp fills the IP checksum in
    const [packet] = new CaptureDecoder().push(withIpChecksum(file));
    assert.equal(packet?.checksumsRight, true);
  });

  test('puts fragments together in any order, and passes over what is not IP', () => {
    const body = Buffer.concat([Buffer.from('13c413c405e80000', 'hex'), Buffer.alloc(1504, 'x')]);
    const first = frame(body.subarray(0, 800), 0x2000);
    const second = frame(body.subarray(800), 100);
    const arp = Buffer.concat([Buffer.alloc(12), Buffer.from('0806', 'hex'), Buffer.alloc(28)]);
    const header = tonePcap(880, 0);
    const packets = new CaptureDecoder().push(Buffer.concat([header, ...[second, arp, first].map(record)]));
    assert.equal(packets.length, 1);
    assert.equal(packets[0]?.fragments, 2);
    assert.deepEqual(packets[0]?.payload, Buffer.alloc(1504, 'x'));
  });

  test('reads IPv6, with its checksum and DSCP', () => {
    const bytes = Buffer.from(
      '00000000000000000000000086dd6b800000000a114020010db80000000000000000000000012001' +
        '0db8000f000000000000000000100fa01388000a18b76869',
      'hex',
    );
    const damaged = Buffer.from(bytes);
    damaged[damaged.length - 1]! ^= 1;
    const file = Buffer.concat([tonePcap(880, 0), record(bytes), record(damaged)]);
    const [packet, other] = new CaptureDecoder().push(file);
    const { source, destination, payload, checksumsRight, dscp } = packet!;
    assert.deepEqual(source, { address: '2001:db8::1', port: 4000 });
    assert.deepEqual(destination, { address: '2001:db8:f::10', port: 5000 });
    assert.deepEqual([payload.toString(), checksumsRight, dscp], ['hi', true, 46]);
    assert.equal(other?.checksumsRight, false);
  });

  test('refuses what is no capture', () => {
    assert.throws(() => new CaptureDecoder().push(Buffer.alloc(24)), { code: 'ERR_TEST_CAPTURE' });
  });
});

/** The first packet of the file with the right checksum in its IP header. */
function withIpChecksum(file: Buffer): Buffer {
  const ip = file.subarray(54, 74);
  ip.writeUInt16BE(0, 10);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += ip.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  ip.writeUInt16BE(~sum & 0xffff, 10);
  return file;
}

function frame(body: Buffer, flagsAndOffset: number): Buffer {
  const ip = Buffer.from('4500000000070000401100000a0000010a000002', 'hex');
  ip.writeUInt16BE(20 + body.length, 2);
  ip.writeUInt16BE(flagsAndOffset, 6);
  return Buffer.concat([Buffer.alloc(12), Buffer.from('0800', 'hex'), ip, body]);
}

function record(bytes: Buffer): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(bytes.length, 8);
  header.writeUInt32LE(bytes.length, 12);
  return Buffer.concat([header, bytes]);
}
