import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { needsRoot } from '../../support/privileged.ts';
import type { Frame } from '../../support/wire.ts';
import { rtcp, rtp, sdp } from '../support.ts';
import {
  type Call,
  identityFor,
  kernelCall,
  kernelKinds,
  kernelRelay,
  RelayNetwork,
  type Side,
  sentBySocket,
  until,
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

    it('forwards RTCP that nobody can read, by its own port and beside RTP', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay, { proto: 'RTP/SAVP' });
      await call.settle();
      await bothWays(call, rtcp('beside'));
      await settleRtcp(call);
    });

    it('keeps RTP where RTCP is beside it on one side alone, and leaves RTCP to the sockets', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      // Encrypted: nobody reads it, but it has to change ports.
      const call = await kernelCall(network, relay, { proto: 'RTP/SAVP', callerAttributes: ['rtcp-mux'] });
      const { caller, callee } = call;
      await call.settle();
      for (let round = 0; round < 20; round++) {
        await bothWays(call, rtp('voice'));
        const apart = await call.pass(caller, rtcp('report'));
        assert.deepEqual(
          [apart.payload, apart.destinationPort, apart.sourcePort, sentBySocket(apart)],
          [rtcp('report'), callee.at.port + 1, callee.relay.port + 1, true],
        );
        const beside = await call.pass(callee, rtcp('report'), {
          sourcePort: callee.at.port + 1,
          destinationPort: callee.relay.port + 1,
        });
        assert.deepEqual(
          [beside.payload, beside.destinationPort, beside.sourcePort, sentBySocket(beside)],
          [rtcp('report'), caller.at.port, caller.relay.port, true],
        );
      }
    });

    it('takes RTCP over at a port that was given back and is wanted again, and gives it back once more', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay, { proto: 'RTP/SAVP', callerAttributes: ['rtcp-mux'] });
      const { caller, callee, session } = call;
      const identities = { caller: identityFor(caller.at), callee: identityFor(callee.at) };
      const agree = async (...attributes: string[]): Promise<void> => {
        const text = ({ at }: Side, ...more: string[]): string =>
          sdp(at.address, { port: at.port, proto: 'RTP/SAVP', attributes: more });
        const [toCaller, toCallee] = [identities.caller, identities.callee];
        session.rewrite(text(caller, ...attributes), 'offer', 'caller', 'b', toCaller, toCallee);
        session.rewrite(text(callee), 'answer', 'callee', 'b', toCallee, toCaller);
        await relay.flush();
      };
      assert.equal(relay.stats.portsInUse, 4);
      session.settle('b');
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 3);
      for (let round = 0; round < 3; round++) {
        await call.settle();
        const apart = await call.pass(caller, rtcp('report'));
        assert.deepEqual(
          [apart.destinationPort, apart.sourcePort],
          [callee.at.port + 1, callee.relay.port + 1],
        );
        await agree();
        assert.equal(relay.stats.portsInUse, 4);
        await settleRtcp(call);
        await call.settle();
        await bothWays(call, rtp('voice'));
        await agree('rtcp-mux');
        assert.equal(relay.stats.portsInUse, 3);
      }
      session.close();
      await relay.flush();
      assert.deepEqual([relay.stats.packets, relay.stats.portsInUse], [call.sent.length, 0]);
    });

    it('sends RTP to its port where RTCP beside it came first, and RTP while that was looked at', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      for (let round = 0; round < 30; round++) {
        const call = await kernelCall(network, relay, { callerAttributes: ['rtcp-mux'] });
        const { caller, callee } = call;
        const fromReports = { sourcePort: callee.at.port + 1, destinationPort: callee.relay.port + 1 };
        await call.pass(callee, rtp('voice'));
        await call.pass(callee, rtcp('report'), fromReports);
        const ports: number[] = [];
        for (const packet of [rtcp('report'), rtp('one'), rtp('two')]) call.send(caller, packet);
        for (let count = 0; count < 3; count++) ports.push((await callee.wire.next()).destinationPort);
        for (let count = 0; count < 3; count++)
          ports.push((await call.pass(caller, rtp('more'))).destinationPort);
        const { port } = callee.at;
        assert.deepEqual(ports, [port + 1, port, port, port, port, port], `round ${round}`);
        call.session.close();
        await relay.flush();
      }
    });

    it('leaves RTCP with reports to the socket, where they are read', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      for (let round = 0; round < 20; round++) {
        assert.ok(sentBySocket(await call.pass(call.caller, rtcp('report'))));
        assert.ok(!sentBySocket(await call.pass(call.caller, rtp('voice'))));
      }
      await assert.rejects(settleRtcp(call, 20));
    });

    it('leaves packets of another payload type to the socket, and follows when they stay', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      const other = rtp('digit');
      other[1] = 101;
      assert.ok(sentBySocket(await call.pass(call.caller, other)));
      // The thread goes on after it has sent.
      await relay.flush();
      assert.ok(!sentBySocket(await call.pass(call.caller, rtp('voice'))));
      const deadline = performance.now() + 5000;
      while (sentBySocket(await call.pass(call.caller, other))) {
        assert.ok(performance.now() < deadline, 'the new type is not taken over');
      }
    });

    it('marks with a DSCP where one is asked for, and keeps ECN', async (t) => {
      const { relay } = await kernelRelay(t, forwarder, { dscp: 34 });
      for (const address of ['10.91.0.2', 'fd00:91::2']) {
        const call = await kernelCall(network, relay, {
          caller: { address, port: 4000 },
          callee: { address: address.replace(/2$/, '3'), port: 5000 },
        });
        await call.settle();
        const { tos, ttl, sound } = await call.pass(call.caller, rtp('marked'), { tos: 0xb9 });
        assert.deepEqual({ tos, ttl, sound }, { tos: (34 << 2) | 1, ttl: 39, sound: true });
      }
    });

    it('takes no filling of a short frame for a payload, and no header shorter than itself', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      for (const address of ['10.91.0.2', 'fd00:91::2']) {
        const call = await kernelCall(network, relay, {
          caller: { address, port: 4000 },
          callee: { address: address.replace(/2$/, '3'), port: 5000 },
        });
        await call.settle();
        const short = await call.pass(call.caller, Buffer.from([0x80]), { padding: 17 });
        assert.deepEqual(short.payload, Buffer.from([0x80]));
        assert.ok(sentBySocket(short), 'one byte');
        const { droppedUndeliverable } = relay.stats;
        call.send(call.caller, Buffer.alloc(0), { padding: 18 });
        await until(() => relay.stats.droppedUndeliverable > droppedUndeliverable);
        for (const udpLength of [0, 4, 7]) call.send(call.caller, rtp('short'), { udpLength });
        const next = await call.pass(call.caller, rtp('whole'));
        assert.deepEqual(next.payload, rtp('whole'));
        assert.equal(call.callee.wire.unread, 0);
        call.session.close();
      }
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
      await until(() => relay.stats.droppedStrangers - strangers === 2);
      assert.equal(callee.wire.unread, 0);
    });
  });
}

/** Lets RTCP go both ways by its own ports until the kernel forwards it. */
async function settleRtcp({ caller, callee, send }: Call, rounds = 5000): Promise<void> {
  const odd = (side: Side): Side => ({
    ...side,
    at: { ...side.at, port: side.at.port + 1 },
    relay: { ...side.relay, port: side.relay.port + 1 },
  });
  for (let round = 0; round < rounds; round++) {
    send(odd(caller), rtcp('there'));
    const there = await callee.wire.next();
    send(odd(callee), rtcp('back'));
    const back = await caller.wire.next();
    if (sentBySocket(there) || sentBySocket(back)) continue;
    judge(there, odd(caller), odd(callee), rtcp('there'));
    judge(back, odd(callee), odd(caller), rtcp('back'));
    return;
  }
  throw new Error('RTCP is not taken into the kernel');
}
