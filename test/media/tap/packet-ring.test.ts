import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketRing } from '../../../src/media/tap/packet-ring.ts';

const source = Uint8Array.from({ length: 64 }, (_, n) => n);

test('what is written is read in order, with where it came from, many times around', () => {
  const ring = new PacketRing(new SharedArrayBuffer(64 + 4096));
  let written = 0;
  let read = 0;
  for (let round = 0; round < 200; round++) {
    for (let n = 0; n < 1 + (round % 5); n++) {
      const packet = Uint8Array.from({ length: 1 + ((written * 37) % 500) }, () => written & 0xff);
      ring.write(written, 7, written + 0.5, source, 8, packet, packet.length);
      written++;
    }
    ring.read(ring.head, (packet) => {
      assert.deepEqual([packet.slot, packet.generation, packet.timeMs], [read, 7, read + 0.5]);
      assert.equal(packet.bytes.length, 1 + ((read * 37) % 500));
      assert.ok(packet.bytes.every((byte) => byte === (read & 0xff)));
      assert.deepEqual(
        [packet.view.getUint8(packet.sourceAt), packet.view.getUint8(packet.sourceAt + 31)],
        [8, 39],
      );
      read++;
    });
    assert.equal(read, written);
  }
  assert.equal(ring.dropped, 0);
});

test('where the reader is slow, what finds no room is dropped and counted, and what lies there stays whole', () => {
  const ring = new PacketRing(new SharedArrayBuffer(64 + 4096));
  const packet = new Uint8Array(944).fill(9);
  for (let n = 0; n < 10; n++) ring.write(n, 1, 0, source, 0, packet, packet.length);
  const slots: number[] = [];
  ring.read(ring.head, ({ slot, bytes }) => {
    slots.push(slot);
    assert.ok(bytes.every((byte) => byte === 9));
  });
  assert.deepEqual(slots, [0, 1, 2, 3].slice(0, slots.length));
  assert.equal(ring.dropped, 10 - slots.length);
  ring.write(11, 1, 0, source, 0, packet, packet.length);
  ring.read(ring.head, ({ slot }) => assert.equal(slot, 11));
});
