import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { ForwarderKind, MediaRelay } from '../../src/media/media-contract.ts';
import { writeSockaddr } from '../../src/media/sockaddr.ts';
import { systemCallSource } from '../../src/media/socket-source.ts';
import { IOVEC, loadLibc } from '../../src/net/libc.ts';
import { kinds, portsOf, relayAddress, relayFor, rtp, sdp } from './support.ts';

const libc = loadLibc();
const loopback = { v4: relayAddress, v6: '::1' } as const;
const phones = { v4: '127.0.0.1', v6: '::1' } as const;
/** Of a relay, without what it marks packets with. */
const settings = {
  portRange: { from: 10_000, to: 20_000 },
  silence: { initialMs: 0, runningMs: 0, heldMs: 0 },
  keepOrigin: false,
};
type Family = keyof typeof loopback;

/** Level and name of the option that says what to send with. */
const options = { v4: [0, 1], v6: [41, 67] } as const;

/** The TOS or traffic class of the next packet that waits, read by recvmsg. */
function nextTos(fd: number): number {
  const view = new DataView(new ArrayBuffer(4096));
  const at = libc.addressOf(new Uint8Array(view.buffer));
  const [vector, control, data] = [64, 128, 256];
  for (const [offset, value] of [
    [16, at + vector],
    [24, 1],
    [32, at + control],
    [40, 64],
    [vector + IOVEC.base, at + data],
    [vector + IOVEC.length, 2048],
  ] as const)
    view.setBigUint64(offset, BigInt(value), true);
  assert.ok(libc.recvmsg(fd, at, 0x40) > 0);
  return view.getUint8(control + 16);
}

function setOption(fd: number, [level, name]: readonly [number, number], value: number): void {
  const bytes = new Uint8Array(new ArrayBuffer(4));
  bytes[0] = value;
  assert.equal(libc.setsockopt(fd, level, name, libc.addressOf(bytes), 4), 0);
}

/** A bound socket of this process that nobody reads but us. */
function systemSocket(t: TestContext, family: Family): { fd: number; port: number } {
  const source = systemCallSource(libc);
  for (let port = 40_000 + (process.pid % 10_000); port < 60_000; port++) {
    const fd = source.bind(phones[family], port, 0);
    if (fd === 'EADDRINUSE') continue;
    assert.ok(typeof fd === 'number', String(fd));
    t.after(() => source.close(fd));
    return { fd, port };
  }
  throw new Error('no port is free');
}

/** A call between two families; sends packets with these TOS and gives those that they arrive with. */
async function call(t: TestContext, forwarder: ForwarderKind, dscp: number, from: Family, to: Family) {
  const { relay } = await relayFor(t, { forwarder, dscp });
  return callThrough(t, relay, from, to);
}

async function callThrough(
  t: TestContext,
  relay: MediaRelay,
  from: Family,
  to: Family,
  between?: () => void,
) {
  const [caller, callee] = [systemSocket(t, from), systemSocket(t, to)];
  const view = new DataView(new ArrayBuffer(256));
  const at = libc.addressOf(new Uint8Array(view.buffer));
  const session = relay.createSession('marked', { onSilence: () => {} });
  t.after(() => session.close());
  const identity = (family: Family) => ({
    boundAddress: loopback[family],
    advertisedAddress: loopback[family],
  });
  const facing = [identity(from), identity(to)] as const;
  session.rewrite(sdp(phones[from], caller.port), 'offer', 'caller', '0', facing[0], facing[1]);
  between?.();
  const answer = sdp(phones[to], callee.port);
  const [port] = portsOf(session.rewrite(answer, 'answer', 'callee', '0', facing[1], facing[0]));
  session.settle('0');
  await relay.flush();
  const length = writeSockaddr(view, 0, { address: loopback[from], port: port! });
  const payload = rtp('marked');
  return async (sent: readonly number[]): Promise<number[]> => {
    const arrived: number[] = [];
    for (const tos of sent) {
      setOption(caller.fd, options[from], tos);
      const before = relay.stats.packets;
      // Also keeps the memory.
      new Uint8Array(view.buffer).set(payload, 64);
      assert.equal(libc.sendto(caller.fd, at + 64, payload.length, 0, at, length), payload.length);
      const deadline = performance.now() + 5000;
      while (relay.stats.packets === before) {
        assert.ok(performance.now() < deadline);
        await new Promise(setImmediate);
      }
      await relay.flush();
      arrived.push(nextTos(callee.fd));
    }
    return arrived;
  };
}

for (const kind of kinds.filter((each) => each !== 'dgram')) {
  describe(`DSCP by the sockets of ${kind}`, () => {
    for (const [from, to] of [
      ['v4', 'v4'],
      ['v6', 'v6'],
      ['v4', 'v6'],
      ['v6', 'v4'],
    ] as const) {
      it(`${from} to ${to}: kept packet by packet without an option`, async (t) => {
        const through = await call(t, kind, 0, from, to);
        // EF, the same again, AF41, none, and EF with a word of ECN, which is of one hop.
        assert.deepEqual(await through([184, 184, 136, 0, 185]), [184, 184, 136, 0, 184]);
      });

      it(`${from} to ${to}: set with one`, async (t) => {
        const through = await call(t, kind, 46, from, to);
        assert.deepEqual(await through([0, 136, 184]), [184, 184, 184]);
      });
    }

    it('another one counts for the calls that come; those that run keep theirs, also at another address', async (t) => {
      const { relay } = await relayFor(t, { forwarder: kind });
      const told = '203.0.113.5';
      relay.follow(new Map([[told, relayAddress]]));
      const kept = await callThrough(t, relay, 'v4', 'v4');
      relay.configure({ ...settings, dscp: 46 });
      const set = await callThrough(t, relay, 'v4', 'v4');
      relay.configure({ ...settings, dscp: 10 });
      const other = await callThrough(t, relay, 'v4', 'v4');
      relay.configure({ ...settings, dscp: 0 });
      const again = await callThrough(t, relay, 'v4', 'v4');
      for (let round = 0; round < 2; round++) {
        assert.deepEqual(await kept([184, 136, 0]), [184, 136, 0]);
        assert.deepEqual(await set([0, 136]), [184, 184]);
        assert.deepEqual(await other([0, 184]), [40, 40]);
        assert.deepEqual(await again([136, 0]), [136, 0]);
      }
    });

    it('one that is set or taken back between offer and answer counts for the sockets that are made after it', async (t) => {
      const { relay } = await relayFor(t, { forwarder: kind });
      // Packets leave by the socket that the callee faces, which is made for the offer.
      const set = () => relay.configure({ ...settings, dscp: 46 });
      const kept = await callThrough(t, relay, 'v4', 'v4', set);
      assert.deepEqual(await kept([184, 0, 136]), [184, 0, 136]);
      const takeBack = () => relay.configure({ ...settings, dscp: 0 });
      const marked = await callThrough(t, relay, 'v4', 'v4', takeBack);
      assert.deepEqual(await marked([0, 136]), [184, 184]);
    });
  });
}
