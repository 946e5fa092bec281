import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlotTable } from '../../../src/media/slot-table.ts';
import { sockaddrBytes, writeSockaddr } from '../../../src/media/sockaddr.ts';
import { PacketRing } from '../../../src/media/tap/packet-ring.ts';
import { PacketTap } from '../../../src/media/tap/packet-tap.ts';
import { monotonicMs } from '../../../src/net/monotonic.ts';

test('a copy has its time by the clock that all threads share and nobody sets', () => {
  const ring = new PacketRing();
  const tap = new PacketTap(new SlotTable());
  tap.useRing(ring.memory);
  tap.set(0, []);
  const source = new Uint8Array(sockaddrBytes);
  writeSockaddr(new DataView(source.buffer), 0, { address: '192.0.2.1', port: 4000 });
  const before = monotonicMs();
  tap.copy(0, performance.timeOrigin + performance.now(), source, 0, new Uint8Array(12), 12);
  const times: number[] = [];
  ring.read(ring.head, ({ timeMs }) => times.push(timeMs));
  assert.equal(times.length, 1);
  assert.ok(times[0]! >= before - 1 && times[0]! <= monotonicMs() + 1, `${times[0]} after ${before}`);
});
