import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { counter, remoteOffset, SlotTable, slotBytes } from '../../src/media/slot-table.ts';
import { sockaddrBytes, writeSockaddr } from '../../src/media/sockaddr.ts';
import { SocketGuard } from '../../src/media/socket-guard.ts';
import { systemCallSource } from '../../src/media/socket-source.ts';
import { type Libc, loadLibc } from '../../src/net/libc.ts';
import { Phone, relayAddress, rtp } from './support.ts';

const slot = 7;
const dontWait = 0x40;

interface Guarded {
  readonly guard: SocketGuard;
  readonly fd: number;
  readonly table: SlotTable;
  readonly friend: Phone;
  readonly stranger: Phone;
  /** Sends to the guarded socket. */
  send(from: Phone, payload: Buffer): Promise<void>;
  /** What is in the socket's queue. */
  received(): string[];
  strangers(): number;
}

/** A socket whose remote is the friend, not guarded yet. */
async function guarded(t: TestContext, v6: boolean): Promise<Guarded> {
  const libc = loadLibc();
  const source = systemCallSource(libc);
  const address = v6 ? '::1' : relayAddress;
  const fd = source.bind(address, 0, 0);
  if (typeof fd === 'string') throw new Error(`no socket: ${fd}`);
  t.after(() => source.close(fd));
  const [friend, stranger] = v6
    ? [await Phone.open(t, '::1'), await Phone.open(t, '::1')]
    : [await Phone.open(t, '127.0.0.5'), await Phone.open(t, '127.0.0.66')];
  const table = new SlotTable();
  writeSockaddr(table.view, slot * slotBytes + remoteOffset, { address: friend.address, port: friend.port });
  const port = portOf(libc, fd);
  return {
    guard: new SocketGuard(libc, table),
    fd,
    table,
    friend,
    stranger,
    send: (from, payload) => from.send(payload, port, address),
    received: () => receiveAll(libc, fd),
    strangers: () => table.counters(slot).strangers,
  };
}

function portOf(libc: Libc, fd: number): number {
  const memory = new DataView(new ArrayBuffer(sockaddrBytes + 4));
  const at = libc.addressOf(new Uint8Array(memory.buffer));
  memory.setUint32(sockaddrBytes, sockaddrBytes, true);
  libc.getsockname(fd, at, at + sockaddrBytes);
  return memory.getUint16(2);
}

/** The text behind the header of each packet. */
function receiveAll(libc: Libc, fd: number): string[] {
  const buffer = Buffer.from(new ArrayBuffer(2048));
  const at = libc.addressOf(buffer as Buffer<ArrayBuffer>);
  const texts: string[] = [];
  for (;;) {
    const size = libc.recvfrom(fd, at, buffer.length, dontWait, 0, 0);
    if (size < 0) return texts;
    texts.push(buffer.toString('latin1', Math.min(12, size), size));
  }
}

for (const v6 of [false, true]) {
  describe(`the filter of a media socket, IPv${v6 ? 6 : 4}`, () => {
    it('lets in who is the remote, and counts all others', async (t) => {
      const { guard, fd, friend, stranger, send, received, strangers } = await guarded(t, v6);
      await send(stranger, rtp('before'));
      guard.shut(slot, fd, false, 0);
      await send(stranger, rtp('after'));
      await send(friend, rtp('friend'));
      await send(stranger, Buffer.from([0]));
      await send(stranger, Buffer.alloc(0));
      await send(friend, rtp('again'));
      assert.deepEqual(received(), ['before', 'friend', 'again']);
      assert.equal(strangers(), 0);
      guard.work(1000);
      assert.equal(strangers(), 3);
      await send(stranger, rtp('once more'));
      guard.work(1500);
      assert.equal(strangers(), 3, 'it is not looked at all the time');
      guard.open(slot);
      assert.equal(strangers(), 4);
      await send(stranger, rtp('welcome'));
      assert.deepEqual(received(), ['welcome']);
    });

    it('tells a source by its port', async (t) => {
      const { guard, fd, friend, send, received } = await guarded(t, v6);
      const neighbour = await Phone.open(t, friend.address);
      guard.shut(slot, fd, false, 0);
      await send(neighbour, rtp('next door'));
      await send(friend, rtp('friend'));
      assert.deepEqual(received(), ['friend']);
    });

    it('lets in what looks like STUN where checks are answered', async (t) => {
      const { guard, fd, friend, stranger, send, received, strangers } = await guarded(t, v6);
      guard.shut(slot, fd, true, 0);
      for (const first of [0, 1, 3, 4, 20, 0x80]) {
        const payload = rtp(`first byte ${first}`);
        payload[0] = first;
        await send(stranger, payload);
      }
      await send(stranger, Buffer.alloc(0));
      await send(friend, rtp('friend'));
      assert.deepEqual(received(), ['first byte 0', 'first byte 1', 'first byte 3', 'friend']);
      guard.open(slot);
      assert.equal(strangers(), 4);
    });

    it('lets in who may still begin from one of some addresses, by any port, until somebody has', async (t) => {
      const { guard, fd, friend, stranger, send, received, strangers } = await guarded(t, v6);
      const other = await Phone.open(t, v6 ? '::1' : '127.0.0.7');
      const near = await Phone.open(t, friend.address);
      // There is one address of IPv6 on the loopback: of those who have it, all come late or none.
      const addresses = v6 ? ['fd00::1', '2001:db8::7', '::1'] : ['10.0.0.1', '127.0.0.7', '192.0.2.1'];
      guard.shut(slot, fd, false, 0, { addresses, beside: 9 });
      await send(friend, rtp('friend'));
      await send(other, rtp('other'));
      await send(near, rtp('near'));
      await send(stranger, rtp('stranger'));
      assert.deepEqual(received(), v6 ? ['friend', 'other', 'near', 'stranger'] : ['friend', 'other']);
      guard.shut(slot, fd, false, 0);
      for (const from of [other, near, stranger, friend]) await send(from, rtp('now'));
      assert.deepEqual(received(), ['now']);
      guard.shut(slot, fd, false, 0, { addresses, beside: 9 });
      await send(other, rtp('too late'));
      guard.open(slot);
      assert.deepEqual(received(), []);
      assert.equal(strangers(), v6 ? 4 : 6);
    });

    it('comes off once the RTP that tells who may begin moved', async (t) => {
      const { guard, fd, stranger, send, received, strangers } = await guarded(t, v6);
      guard.shut(slot, fd, false, 0, { addresses: [], beside: 9 });
      await send(stranger, rtp('out'));
      guard.open(8);
      await send(stranger, rtp('still out'));
      guard.open(9);
      await send(stranger, rtp('to be looked at'));
      assert.deepEqual(received(), ['to be looked at']);
      assert.equal(strangers(), 2);
    });

    it('with nobody who may begin lets in STUN alone, and that where checks are answered', async (t) => {
      const { guard, fd, stranger, send, received } = await guarded(t, v6);
      const stun = Buffer.concat([Buffer.from([0, 1, 0, 0]), Buffer.alloc(8), Buffer.from('check')]);
      guard.shut(slot, fd, false, 0, { addresses: [], beside: -1 });
      await send(stranger, stun);
      guard.open(slot);
      guard.shut(slot, fd, true, 0, { addresses: [], beside: -1 });
      await send(stranger, stun);
      assert.deepEqual(received(), ['check']);
    });

    it('comes off after a minute without strangers', async (t) => {
      const { guard, fd, stranger, send, received } = await guarded(t, v6);
      guard.shut(slot, fd, false, 0);
      await send(stranger, rtp('out'));
      guard.work(50_000);
      guard.work(109_000);
      await send(stranger, rtp('out again'));
      guard.work(111_000);
      guard.work(171_000);
      await send(stranger, rtp('still out'));
      assert.deepEqual(received(), []);
      guard.work(172_500);
      guard.work(233_000);
      await send(stranger, rtp('in'));
      assert.deepEqual(received(), ['in']);
    });

    it('of a thread before this one is taken off', async (t) => {
      const { guard, fd, table, stranger, send, received } = await guarded(t, v6);
      guard.shut(slot, fd, false, 0);
      new SocketGuard(loadLibc(), table).adopt(fd);
      await send(stranger, rtp('in'));
      assert.deepEqual(received(), ['in']);
      assert.equal(table.values[table.base(slot) + counter.strangers], 0);
    });
  });
}
