import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { needsRoot } from '../../support/privileged.ts';
import type { Frame } from '../../support/wire.ts';
import { rtcp, rtp } from '../support.ts';
import {
  type Call,
  kernelCall,
  kernelKinds,
  kernelRelay,
  RelayNetwork,
  type Side,
  sentBySocket,
} from './support.ts';

/** What has to be true of each packet that the kernel forwarded from one side to the other. */
function judge(frame: Frame, from: Side, to: Side, payload: Buffer, ttl = 39): void {
  assert.ok(frame.sound, 'checksums');
  assert.deepEqual(
    { ...frame, udpChecksum: 0, sound: true },
    {
      destinationMac: to.mac,
      sourceMac: to.relayMac,
      source: to.relay.address,
      sourcePort: to.relay.port,
      destination: to.at.address,
      destinationPort: to.at.port,
      ttl,
      tos: 0xb8,
      payload,
      udpChecksum: 0,
      sound: true,
    },
    `from ${from.at.address}`,
  );
}

async function bothWays({ caller, callee, pass }: Call, payload: Buffer): Promise<void> {
  judge(await pass(caller, payload), caller, callee, payload);
  judge(await pass(callee, payload), callee, caller, payload);
}

for (const forwarder of kernelKinds) {
  describe(`forwarding by ${forwarder}`, needsRoot, () => {
    let network: RelayNetwork;
    before(() => {
      network = new RelayNetwork();
    });
    after(() => network[Symbol.dispose]());

    it('takes a flow over once both ends are known, and leaves by the card that it came in by', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      assert.equal(relay.stats.forwarder, forwarder);
      assert.ok(sentBySocket(await call.pass(call.caller, rtp('first'))), 'one side is not known yet');
      await call.settle();
      for (const length of [1, 2, 3, 159, 160, 161, 1300]) await bothWays(call, rtp('x'.repeat(length)));
    });

    it('keeps a UDP checksum of zero, and writes none of zero', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      const frame = await call.pass(call.caller, rtp('no checksum'), { zeroChecksum: true });
      judge(frame, call.caller, call.callee, rtp('no checksum'));
      assert.equal(frame.udpChecksum, 0);
      // Every sum comes up once in 65,536 payloads: the one that would be written as zero among them.
      const payload = rtp('....');
      let allOnes = 0;
      for (let value = 0; value <= 0xffff; value++) {
        payload.writeUInt16BE(value, 12);
        const { udpChecksum, sound } = await call.pass(call.caller, payload);
        assert.ok(sound && udpChecksum !== 0, `with ${value}`);
        if (udpChecksum === 0xffff) allOnes++;
      }
      assert.equal(allOnes, 1);
    });

    it('leaves by another card where the other side is behind that', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay, { callee: { address: '10.92.0.2', port: 5000 } });
      await call.settle();
      for (const length of [1, 160, 161]) await bothWays(call, rtp('y'.repeat(length)));
    });

    it('forwards IPv6, by one card and by two', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      for (const callee of ['fd00:91::3', 'fd00:92::2']) {
        const call = await kernelCall(network, relay, {
          caller: { address: 'fd00:91::2', port: 4000 },
          callee: { address: callee, port: 5000 },
        });
        await call.settle();
        for (const length of [1, 160, 161]) await bothWays(call, rtp('z'.repeat(length)));
        call.session.close();
      }
    });

    it('forwards RTCP beside RTP, and counts it apart', async (t) => {
      const { relay } = await kernelRelay(t, forwarder, { silenceMs: 600 });
      const call = await kernelCall(network, relay);
      await call.settle();
      await bothWays(call, rtcp('report'));
      const { caller, callee } = call;
      const odd = (side: Side): Side => ({
        ...side,
        at: { ...side.at, port: side.at.port + 1 },
        relay: { ...side.relay, port: side.relay.port + 1 },
      });
      const [callerRtcp, calleeRtcp] = [odd(caller), odd(callee)];
      let taken = 0;
      for (let round = 0; round < 5000 && taken < 2; round++) {
        call.send(callerRtcp, rtcp('report'));
        const there = await callee.wire.next();
        call.send(calleeRtcp, rtcp('report'));
        const back = await caller.wire.next();
        taken = [there, back].filter((frame) => !sentBySocket(frame)).length;
        if (taken === 2) judge(there, callerRtcp, calleeRtcp, rtcp('report'));
      }
      assert.equal(taken, 2);
    });

    it('leaves to the socket what is more than an exact match', async (t) => {
      const { relay, clock } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      clock.advance(10_000);
      await relay.flush();
      const { caller, callee, pass, send } = call;
      const options = Buffer.from([7, 3, 4, 0]); // record route, empty
      for (const [name, more] of [
        ['an expiring TTL', { ttl: 1 }],
        ['IP options', { options }],
      ] as const) {
        const frame = await pass(caller, rtp(name), more);
        assert.ok(sentBySocket(frame), name);
        assert.deepEqual(frame.payload, rtp(name));
      }
      assert.ok(sentBySocket(await pass(caller, Buffer.from([0x80]))), 'one byte');
      // Half of a packet is forwarded by nobody; the other half would be taken for one by who looks at ports only.
      send(caller, rtp('half'), { fragment: 0x2000 });
      const strangers = relay.stats.droppedStrangers;
      send(caller, rtp('stranger'), { source: '10.91.0.9' });
      send(caller, rtp('stranger'), { sourcePort: 4001 });
      const next = await pass(caller, rtp('a friend'));
      assert.deepEqual(next.payload, rtp('a friend'));
      assert.ok(!sentBySocket(next));
      await relay.flush();
      assert.equal(relay.stats.droppedStrangers - strangers, 2);
      assert.equal(callee.wire.unread, 0);
    });
  });
}
