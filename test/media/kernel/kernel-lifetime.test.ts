import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { MediaLog } from '../../../src/media/media-log.ts';
import { errorName, loadLibc } from '../../../src/net/libc.ts';
import { run } from '../../support/private-network.ts';
import { needsRoot } from '../../support/privileged.ts';
import { Program } from '../../support/process.ts';
import type { Frame } from '../../support/wire.ts';
import { bindingRequest } from '../ice-client.ts';
import { rtp, sdp } from '../support.ts';
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

const bpfLinkDetach = 34;
const bpfLinkById = 30;
const bpfLinkNext = 31;

/** An RTP packet of a stream. */
function numbered(sequence: number, stamp = sequence * 160, ssrc = 7): Buffer {
  const packet = rtp('voice');
  packet.writeUInt16BE(sequence & 0xffff, 2);
  packet.writeUInt32BE(stamp, 4);
  packet.writeUInt32BE(ssrc, 8);
  return packet;
}

function sequenceOf(packet: Buffer): number {
  return packet.readUInt16BE(2);
}

/** bpf(2) with up to 16 bytes of attributes. */
function bpf(command: number, attributes: DataView): number {
  const libc = loadLibc();
  return libc.bpf(command, libc.addressOf(new Uint8Array(attributes.buffer)), 16);
}

function words(...values: number[]): DataView {
  const view = new DataView(new ArrayBuffer(64));
  values.forEach((value, index) => {
    view.setUint32(4 * index, value, true);
  });
  return view;
}

/** The numbers of all BPF links of this kernel. */
function linkIds(): Set<number> {
  const found = new Set<number>();
  for (let id = 0; ; ) {
    const attributes = words(id);
    if (bpf(bpfLinkNext, attributes) < 0) return found;
    id = attributes.getUint32(4, true);
    found.add(id);
  }
}

/** The numbers of the links that this process holds. */
function ownLinkIds(pid: number | 'self' = 'self'): number[] {
  return readdirSync(`/proc/${pid}/fdinfo`).flatMap((fd) => {
    try {
      const id = /^link_id:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))?.[1];
      return id === undefined ? [] : [Number(id)];
    } catch {
      return []; // the descriptor by which the directory is read
    }
  });
}

/** Detaches a link as an administrator does with bpftool. */
function detach(id: number): void {
  const libc = loadLibc();
  const fd = bpf(bpfLinkById, words(id));
  if (fd < 0) assert.fail(errorName(libc));
  if (bpf(bpfLinkDetach, words(fd)) < 0) assert.fail(errorName(libc));
  libc.close(fd);
}

for (const forwarder of kernelKinds) {
  describe(`flows of ${forwarder}`, needsRoot, () => {
    let network: RelayNetwork;
    before(() => {
      network = new RelayNetwork();
    });
    after(() => network[Symbol.dispose]());
    afterEach(() => {
      assert.deepEqual([network.near.unread, network.far.unread], [0, 0], 'packets that nobody asked for');
    });

    const reoffer = async (
      { session, callee }: Call,
      from: string,
      port: number,
      ...attributes: string[]
    ): Promise<void> => {
      const [towardsCaller, towardsCallee] = [
        identityFor({ address: '10.91.0.2', port }),
        identityFor(callee.at),
      ];
      session.rewrite(sdp(from, { port, attributes }), 'offer', 'caller', 'b', towardsCaller, towardsCallee);
      const answer = sdp(callee.at.address, callee.at.port);
      session.rewrite(answer, 'answer', 'callee', 'b', towardsCallee, towardsCaller);
    };

    it('come back to the socket before their addresses change, and settle again', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      await reoffer(call, '10.91.0.4', 4400);
      await relay.flush();
      const moved = await call.pass(call.callee, rtp('to the new place'));
      assert.deepEqual([moved.destination, moved.destinationPort], ['10.91.0.4', 4400]);
      assert.ok(sentBySocket(moved));
      const caller: Side = { ...call.caller, at: { address: '10.91.0.4', port: 4400 } };
      const deadline = performance.now() + 5000;
      for (let taken = false; !taken; ) {
        call.send(caller, rtp('from there'));
        const frame = await call.callee.wire.next();
        assert.deepEqual(frame.payload, rtp('from there'));
        taken = !sentBySocket(frame) && !sentBySocket(await call.pass(call.callee, rtp('and back')));
        assert.ok(performance.now() < deadline);
      }
    });

    it('reach nobody who holds, and nobody after the end', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      await reoffer(call, '0.0.0.0', call.caller.at.port);
      await relay.flush();
      const { droppedUndeliverable } = relay.stats;
      call.send(call.callee, rtp('unheard'));
      await until(() => relay.stats.droppedUndeliverable > droppedUndeliverable);
      assert.deepEqual((await call.pass(call.caller, rtp('music'))).payload, rtp('music'));
      assert.equal(call.caller.wire.unread, 0);
      await reoffer(call, call.caller.at.address, call.caller.at.port);
      await call.settle();
      call.session.close();
      await relay.flush();
      const other = await kernelCall(network, relay, { caller: { address: '10.91.0.5', port: 4500 } });
      call.send(call.caller, rtp('too late'));
      assert.deepEqual((await other.pass(other.caller, rtp('alone'))).payload, rtp('alone'));
      assert.equal(other.callee.wire.unread, 0);
    });

    it('follow a source that fits better inside the learning window, and none after it', async (t) => {
      const { relay, clock } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      const other: Side = { ...call.caller, at: { address: '10.91.0.6', port: 4600 } };
      const settled = async (): Promise<boolean> => {
        const there = await passFrom(other);
        const back = await call.pass(call.callee, rtp('back'));
        return !sentBySocket(there) && !sentBySocket(back);
      };
      const passFrom = (side: Side): Promise<Frame> => {
        call.send(side, rtp('here'));
        return call.callee.wire.next();
      };
      const deadline = performance.now() + 5000;
      while (!(await settled())) assert.ok(performance.now() < deadline);
      assert.ok(sentBySocket(await passFrom(call.caller)), 'whom the SDP names takes over');
      assert.equal((await call.pass(call.callee, rtp('follow'))).destination, call.caller.at.address);
      clock.advance(10_000);
      await relay.flush();
      await call.settle();
      const before = relay.stats.droppedStrangers;
      call.send(other, rtp('no more'));
      await until(() => relay.stats.droppedStrangers === before + 1);
      assert.equal((await call.pass(call.callee, rtp('still'))).destination, call.caller.at.address);
    });

    it('stay where an ICE client chooses the way of now again, and move where it chooses another', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay, {
        callerAttributes: ['ice-ufrag:phone', 'ice-pwd:0123456789012345678901', 'rtcp-mux'],
      });
      const told = (name: string): string => new RegExp(`^a=${name}:(\\S+)`, 'm').exec(call.answer)![1]!;
      const check = async (from: Side): Promise<void> => {
        call.send(from, bindingRequest(`${told('ice-ufrag')}:phone`, told('ice-pwd'), true));
        assert.equal((await from.wire.next()).payload.readUInt16BE(0), 0x0101);
      };
      // The callee's description has no ICE, so it hears nothing but RTP.
      await check(call.caller);
      await call.settle();
      for (let round = 0; round < 3; round++) {
        await check(call.caller);
        assert.ok(!sentBySocket(await call.pass(call.caller, rtp('on'))));
        assert.ok(!sentBySocket(await call.pass(call.callee, rtp('on'))));
      }
      const other: Side = { ...call.caller, at: { address: '10.91.0.7', port: 4700 } };
      await check(other);
      assert.equal((await call.pass(call.callee, rtp('moved'))).destination, '10.91.0.7');
    });

    it('lose no packet and double none while they go in and out of the kernel', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      const perRound = 40;
      const rounds = 100;
      let bySocket = 0;
      for (let round = 0; round < rounds; round++) {
        // Each names another codec, so that the flow is withdrawn while packets are on their way.
        const other = `rtpmap:96 opus/${round % 2 === 0 ? 48_000 : 16_000}`;
        for (let i = 0; i < perRound; i++) {
          call.send(call.caller, numbered(round * perRound + i));
          if (i === perRound / 2) await reoffer(call, call.caller.at.address, call.caller.at.port, other);
        }
        const seen = new Set<number>();
        for (let i = 0; i < perRound; i++) {
          const frame = await call.callee.wire.next();
          if (sentBySocket(frame)) bySocket++;
          seen.add(frame.payload.readUInt16BE(2) - round * perRound);
        }
        assert.deepEqual(
          [...seen].sort((a, b) => a - b),
          Array.from({ length: perRound }, (_, i) => i),
        );
        assert.equal(call.callee.wire.unread, 0);
      }
      assert.ok(bySocket > 0 && bySocket < rounds * perRound, `${bySocket} by the socket`);
    });

    it('are counted exactly, and their quality as if they had been seen one by one', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      const quality = () => call.session.snapshot().find(({ party }) => party === 'caller')?.quality;
      await until(() => relay.stats.packets === call.sent.length);
      const already = quality()?.duplicates ?? 0;
      await call.pass(call.caller, numbered(65_530, 0, 9));
      const changes = quality()?.ssrcChanges ?? 0;
      for (let sequence = 65_531; sequence < 65_631; sequence++) {
        if (sequence % 10 === 0) continue; // lost on the way to us
        const frame = await call.pass(call.caller, numbered(sequence, 0, 9));
        assert.ok(!sentBySocket(frame));
      }
      await call.pass(call.caller, numbered(65_630, 0, 9));
      await call.pass(call.caller, numbered(65_630, 0, 9));
      await call.pass(call.caller, numbered(65_600, 0, 9));
      await until(() => relay.stats.packets >= call.sent.length);
      const bytes = call.sent.reduce((sum, length) => sum + length);
      assert.deepEqual([relay.stats.packets, relay.stats.bytes], [call.sent.length, bytes]);
      assert.ok(relay.stats.kernelPackets > 90);
      const { lost, reordered, duplicates, ssrcChanges } = quality()!;
      assert.deepEqual({ lost, reordered, duplicates }, { lost: 8, reordered: 1, duplicates: already + 1 });
      assert.ok(ssrcChanges >= changes && ssrcChanges <= changes + 1);
      const [first] = call.session.snapshot();
      assert.ok(Math.abs((first?.lastPacketAt ?? 0) - Date.now()) < 5000);
    });

    it('miss no packet of those that came by the socket meanwhile, and keep the payload type of most', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      const caller = () => call.session.snapshot().find(({ party }) => party === 'caller')!;
      const digit = (sequence: number): Buffer => {
        const packet = numbered(sequence);
        packet[1] = 101;
        return packet;
      };
      let sequence = 0;
      let bySocket = 0;
      const pass = async (...packets: readonly Buffer[]): Promise<void> => {
        for (const packet of packets) call.send(call.caller, packet);
        const left = new Set(packets.map(sequenceOf));
        for (const _ of packets) {
          const frame = await call.callee.wire.next();
          // So close together the last of them may overtake the one before, when that is on its way to the socket.
          assert.ok(left.delete(sequenceOf(frame.payload)));
          if (sentBySocket(frame)) bySocket++;
        }
      };
      for (let round = 0; round < 20; round++) {
        // The flow is withdrawn, and several packets wait when the next one is promoted.
        const other = `rtpmap:96 opus/${round % 2 === 0 ? 48_000 : 16_000}`;
        await reoffer(call, call.caller.at.address, call.caller.at.port, other);
        await relay.flush();
        await pass(...Array.from({ length: 6 }, () => numbered(sequence++)));
        await call.settle();
        for (let i = 0; i < 3; i++) await pass(numbered(sequence++));
        for (let i = 0; i < 3; i++) await pass(digit(sequence++));
        for (let i = 0; i < 3; i++) await pass(numbered(sequence++));
      }
      assert.ok(bySocket >= 20 * 4 && bySocket < 20 * 15, `${bySocket} by the socket`);
      await until(() => relay.stats.packets === call.sent.length);
      assert.equal(caller().quality?.lost, 0);
      assert.equal(caller().codec, 'PCMU');
    });

    it('are all on the line that a call ends with', async (t) => {
      const ended = Promise.withResolvers<readonly { party: string; packets: number; bytes: number }[]>();
      const info: MediaLog['info'] = (sentence, fields) => {
        if (sentence === 'the media of a call ended')
          ended.resolve((fields as unknown as { streams: [] }).streams);
      };
      const { relay } = await kernelRelay(t, forwarder, { log: { debug: () => {}, info, warn: () => {} } });
      const call = await kernelCall(network, relay);
      await call.settle();
      const settled = call.sent.length / 2;
      for (let round = 0; round < 40; round++)
        assert.ok(!sentBySocket(await call.pass(call.caller, rtp('voice'))));
      // No counter of the kernel is read between these packets and the end.
      call.session.close();
      const streams = await ended.promise;
      const size = rtp('voice').length;
      assert.deepEqual(
        streams.map(({ party, packets, bytes }) => [party, packets, bytes]),
        [
          ['caller', settled + 40, settled * rtp('settle').length + 40 * size],
          ['callee', settled, settled * rtp('settle').length],
        ],
      );
      const { packets, portsInUse, sessions } = relay.stats;
      assert.deepEqual([packets, portsInUse, sessions], [call.sent.length, 0, 0]);
    });

    it('keep a call from silence', async (t) => {
      const { relay, clock } = await kernelRelay(t, forwarder, {
        silence: { initialMs: 6000, runningMs: 6000, heldMs: 6000 },
      });
      let silent = 0;
      const call = await kernelCall(network, relay, { onSilence: () => silent++ });
      call.session.settle('b');
      await call.settle();
      for (let round = 0; round < 4; round++) {
        const { kernelPackets } = relay.stats;
        assert.ok(!sentBySocket(await call.pass(call.caller, rtp('here'))));
        await until(() => relay.stats.kernelPackets > kernelPackets);
        clock.advance(3000);
      }
      assert.equal(silent, 0);
      clock.advance(7000);
      assert.equal(silent, 1);
    });

    it('go on while the media thread dies, and are taken over by the next', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay);
      await call.settle();
      const links = ownLinkIds().length;
      const before = relay.stats.packets;
      const dying = relay.crash();
      const sent = 50;
      for (let i = 0; i < sent; i++) await call.pass(call.caller, rtp(`packet ${i}`));
      await dying;
      await relay.flush();
      assert.equal(relay.stats.restarts, 1);
      await call.settle();
      await until(() => relay.stats.packets - before >= sent);
      assert.equal(ownLinkIds().length, links, 'links are taken over');
    });

    it('serve on when the program is detached from outside, which is noticed and repaired', async (t) => {
      const said: string[] = [];
      const log: MediaLog = { debug: () => {}, info: () => {}, warn: (sentence) => said.push(sentence) };
      const { relay } = await kernelRelay(t, forwarder, { log });
      const call = await kernelCall(network, relay);
      await call.settle();
      const [id] = ownLinkIds();
      detach(id!);
      assert.ok(sentBySocket(await call.pass(call.caller, rtp('by the socket'))));
      await call.settle();
      await until(() => said.length > 0);
      assert.deepEqual(said, [`the media program was taken off interface ${network.r0.ifindex} and is back`]);
    });

    it('take another way when the route changes', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay, { callee: { address: '10.93.0.9', port: 5000 } });
      network.world.inside(() => run('ip', ['address', 'add', '10.93.0.9/32', 'dev', 'lo']));
      t.after(() => network.world.inside(() => run('ip', ['address', 'del', '10.93.0.9/32', 'dev', 'lo'])));
      run('ip', ['route', 'replace', '10.93.0.0/24', 'via', '10.92.0.2']);
      t.after(() => run('ip', ['route', 'del', '10.93.0.0/24']));
      await call.settle();
      run('ip', ['route', 'replace', '10.93.0.0/24', 'via', '10.91.0.7']);
      const deadline = performance.now() + 5000;
      for (let moved = false; !moved; ) {
        call.send(call.caller, rtp('where to?'));
        await until(() => network.near.unread + network.far.unread > 0);
        const frame = await (network.near.unread > 0 ? network.near : network.far).next();
        moved = !sentBySocket(frame) && frame.sourceMac === network.r0.mac;
        assert.ok(performance.now() < deadline);
      }
    });

    it('wait while a card is down', async (t) => {
      const { relay } = await kernelRelay(t, forwarder);
      const call = await kernelCall(network, relay, { callee: { address: '10.92.0.2', port: 5000 } });
      await call.settle();
      run('ip', ['link', 'set', 'r1', 'down']);
      const before = relay.stats.droppedUndeliverable;
      await until(() => {
        call.send(call.caller, rtp('into the void'));
        return relay.stats.droppedUndeliverable > before;
      });
      run('ip', ['link', 'set', 'r1', 'up']);
      await call.settle();
      // What waited for the card may have come as well.
      while (network.far.unread > 0) await network.far.next();
    });

    it('end with the process, however that ends', async () => {
      const program = new Program(process.execPath, [
        join(import.meta.dirname, 'kernel-process.ts'),
        forwarder,
        '10.91.0.1',
      ]);
      await program.line(/^ready/);
      // Sending by its own sockets is what the call's phones do here: the wire is in this process.
      const ports = JSON.parse((await program.line(/^\{/)).trim()) as { caller: number; callee: number };
      const side = (address: string, port: number, relayPort: number): Side => ({
        wire: network.near,
        mac: network.p0.mac,
        relayMac: network.r0.mac,
        at: { address, port },
        relay: { address: '10.91.0.1', port: relayPort },
      });
      const [caller, callee] = [side('10.91.0.2', 4000, ports.caller), side('10.91.0.3', 5000, ports.callee)];
      const pass = async (from: Side): Promise<boolean> => {
        from.wire.send({
          source: from.at.address,
          sourcePort: from.at.port,
          destination: from.relay.address,
          destinationPort: from.relay.port,
          sourceMac: from.mac,
          destinationMac: from.relayMac,
          payload: rtp('x'),
        });
        return sentBySocket(await network.near.next());
      };
      const deadline = performance.now() + 5000;
      for (let taken = false; !taken; ) {
        const [there, back] = [await pass(caller), await pass(callee)];
        taken = !there && !back;
        assert.ok(performance.now() < deadline);
      }
      const held = ownLinkIds(program.pid);
      assert.ok(held.length > 0);
      await program.stop('SIGKILL');
      // The kernel closes what a process held a moment after its parent has heard of its end.
      await until(() => held.every((id) => !linkIds().has(id)));
      caller.wire.send({
        source: caller.at.address,
        sourcePort: caller.at.port,
        destination: caller.relay.address,
        destinationPort: caller.relay.port,
        sourceMac: caller.mac,
        destinationMac: caller.relayMac,
        payload: rtp('to nobody'),
      });
      const [link] = JSON.parse(run('ip', ['-json', 'link', 'show', 'dev', 'r0'])) as [{ xdp?: unknown }];
      assert.equal(link.xdp, undefined);
      assert.equal(network.near.unread, 0);
    });
  });
}
