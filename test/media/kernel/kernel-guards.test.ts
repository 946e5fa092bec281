import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { needsRoot } from '../../support/privileged.ts';
import type { FrameOptions } from '../../support/wire.ts';
import { bindingRequest } from '../ice-client.ts';
import { rtcp, rtp, sdp } from '../support.ts';
import {
  type Call,
  identityFor,
  kernelCall,
  kernelKinds,
  kernelRelay,
  type Relay,
  RelayNetwork,
  type Side,
  sentBySocket,
  until,
} from './support.ts';

/** What the kernel dropped at the socket of this port. */
function socketDrops(port: number): number {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const family of ['udp', 'udp6']) {
    for (const line of readFileSync(`/proc/thread-self/net/${family}`, 'latin1').split('\n')) {
      const words = line.trim().split(/\s+/);
      if (words[1]?.endsWith(end)) return Number(words.at(-1));
    }
  }
  throw new Error(`no socket has port ${port}`);
}

/** A stranger sends so many packets to the port that faces the caller. */
async function flood(
  { caller, send }: Call,
  relay: Relay,
  count: number,
  options: Partial<FrameOptions> = {},
): Promise<void> {
  for (let n = 0; n < count; n++) {
    send(caller, rtp('stranger'), { sourcePort: 6666, ...options });
    if (n % 20 === 19) await relay.flush();
  }
}

for (const forwarder of kernelKinds) {
  describe(`strangers at a port of ${forwarder}`, needsRoot, () => {
    let network: RelayNetwork;
    before(() => {
      network = new RelayNetwork();
    });
    after(() => network[Symbol.dispose]());

    for (const [family, caller, callee, stranger] of [
      ['IPv4', '10.91.0.2', '10.91.0.3', '10.91.0.9'],
      ['IPv6', 'fd00:91::2', 'fd00:91::3', 'fd00:91::9'],
    ] as const) {
      it(`are dropped before the socket once they come in numbers, and counted, ${family}`, async (t) => {
        const { relay, clock } = await kernelRelay(t, forwarder);
        const call = await kernelCall(network, relay, {
          caller: { address: caller, port: 4000 },
          callee: { address: callee, port: 5000 },
        });
        await call.settle();
        clock.advance(10_000);
        await relay.flush();
        // The first ones are looked at; then the filter of the socket has nothing to do.
        await flood(call, relay, 100);
        await until(() => relay.stats.droppedStrangers === 100);
        const drops = socketDrops(call.caller.relay.port);
        await flood(call, relay, 100, { source: stranger });
        await until(() => relay.stats.droppedStrangers === 200);
        assert.equal(socketDrops(call.caller.relay.port), drops);
        for (let round = 0; round < 10; round++) {
          assert.ok(!sentBySocket(await call.pass(call.caller, rtp('voice'))));
          assert.ok(!sentBySocket(await call.pass(call.callee, rtp('voice'))));
          assert.deepEqual((await call.pass(call.caller, rtcp('report'))).payload, rtcp('report'));
        }
        if (family === 'IPv4') {
          // What the program does not look at is kept out of the socket.
          await flood(call, relay, 20, { ttl: 1 });
          await until(() => relay.stats.droppedStrangers === 220);
        }
        assert.equal(call.callee.wire.unread, 0);
        call.session.close();
        await relay.flush();
        assert.equal(relay.stats.droppedStrangers, family === 'IPv4' ? 220 : 200);
      });
    }

    it('get in when SDP names them, and are forwarded in the kernel', async (t) => {
      const { relay, clock } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      clock.advance(10_000);
      await flood(call, relay, 200);
      await until(() => relay.stats.droppedStrangers === 200);
      const [towardsCaller, towardsCallee] = [identityFor(call.caller.at), identityFor(call.callee.at)];
      call.session.rewrite(sdp('10.91.0.2', 6666), 'offer', 'caller', 'b', towardsCaller, towardsCallee);
      call.session.rewrite(
        sdp('10.91.0.3', call.callee.at.port),
        'answer',
        'callee',
        'b',
        towardsCallee,
        towardsCaller,
      );
      await relay.flush();
      const moved = { sourcePort: 6666 };
      const frame = await call.pass(call.caller, rtp('moved'), moved);
      assert.deepEqual(frame.payload, rtp('moved'));
      await until(() => relay.stats.droppedStrangers === 200);
      const deadline = performance.now() + 5000;
      while (sentBySocket(await call.pass(call.caller, rtp('moved'), moved))) {
        const back = await call.pass(call.callee, rtp('back'));
        assert.equal(back.destinationPort, 6666);
        assert.ok(performance.now() < deadline, 'the new source is not forwarded in the kernel');
      }
    });

    it('are dropped where checks of ICE still lead elsewhere', async (t) => {
      const { relay, clock } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay, {
        callerAttributes: ['ice-ufrag:phone', 'ice-pwd:0123456789012345678901', 'rtcp-mux'],
      });
      const told = (name: string): string => new RegExp(`^a=${name}:(\\S+)`, 'm').exec(call.answer)![1]!;
      const check = async (from: Side): Promise<void> => {
        call.send(from, bindingRequest(`${told('ice-ufrag')}:phone`, told('ice-pwd'), true));
        assert.equal((await from.wire.next()).payload.readUInt16BE(0), 0x0101);
      };
      await check(call.caller);
      await call.settle();
      clock.advance(10_000);
      await relay.flush();
      const { droppedStrangers } = relay.stats;
      await flood(call, relay, 100);
      await until(() => relay.stats.droppedStrangers - droppedStrangers === 100);
      const drops = socketDrops(call.caller.relay.port);
      await flood(call, relay, 100);
      await until(() => relay.stats.droppedStrangers - droppedStrangers === 200);
      assert.equal(socketDrops(call.caller.relay.port), drops);
      await check({ ...call.caller, at: { address: '10.91.0.7', port: 4700 } });
      assert.equal((await call.pass(call.callee, rtp('moved'))).destination, '10.91.0.7');
    });

    it('are welcome in the next call that has the port', async (t) => {
      // Room for one call.
      const { relay, clock } = await kernelRelay(t, forwarder, { portRange: { from: 20_000, to: 20_003 } });
      const call = await kernelCall(network, relay);
      await call.settle();
      clock.advance(10_000);
      await relay.flush();
      await flood(call, relay, 200, { source: '10.91.0.9' });
      await until(() => relay.stats.droppedStrangers === 200);
      call.session.close();
      await relay.flush();
      const next = await kernelCall(network, relay, {
        caller: { address: '10.91.0.9', port: 6666 },
        callee: { address: '10.91.0.8', port: 6666 },
      });
      await next.settle();
      assert.equal(relay.stats.droppedStrangers, 200);
    });

    it('are dropped anew by the thread that comes after a crash', async (t) => {
      const { relay, clock } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      clock.advance(10_000);
      await flood(call, relay, 200);
      await until(() => relay.stats.droppedStrangers === 200);
      await relay.crash();
      await until(() => relay.stats.restarts === 1);
      await relay.flush();
      await call.settle();
      await flood(call, relay, 100);
      await until(() => relay.stats.droppedStrangers === 300);
      assert.ok(!sentBySocket(await call.pass(call.caller, rtp('voice'))));
    });
  });
}
