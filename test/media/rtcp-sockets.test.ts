import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ForwarderKind, MediaRelay, MediaSession, Party } from '../../src/media/media-contract.ts';
import { MediaError } from '../../src/media/media-error.ts';
import type { MediaRelayOptions } from '../../src/media/media-relay.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { runProgram } from '../support/process.ts';
import { kinds, Phone, portsOf, relayAddress, relayFor, rtcp, rtp, sdp, silentLog } from './support.ts';

/** The caller's public address leads to one of these; the other side's always to the first. */
const places = [relayAddress, relayAddress.replace(/1$/, '2')] as const;
const told = { caller: '198.51.100.1', callee: '198.51.100.2' } as const;

/** The UDP ports that this machine has open at an address. */
function boundAt(address: string): number[] {
  // The kernel passes over some where others on this machine close theirs meanwhile: it is read until it says the same twice.
  let before: number[] | undefined;
  for (;;) {
    const now = readBoundAt(address);
    if (before && now.join() === before.join()) return now;
    before = now;
  }
}

function readBoundAt(address: string): number[] {
  const hex = [...address.split('.')].reverse().map((byte) => Number(byte).toString(16).padStart(2, '0'));
  const lines = readFileSync('/proc/net/udp', 'latin1').matchAll(/^ *\d+: ([0-9A-F]{8}):([0-9A-F]{4}) /gm);
  const ports = [...lines]
    .filter(([, local]) => local === hex.join('').toUpperCase())
    .map(([, , port]) => Number.parseInt(port!, 16));
  // Where others open theirs meanwhile it tells some twice.
  return [...new Set(ports)].sort((a, b) => a - b);
}

class Side {
  readonly party: Party;
  readonly branch: string;
  readonly rtp: Phone;
  rtcp: Phone;
  muxes = false;
  relayPort = 0;
  /** What was sent and has to be counted. */
  sent = 0;

  private constructor(party: Party, branch: string, rtpPhone: Phone, rtcpPhone: Phone) {
    this.party = party;
    this.branch = branch;
    this.rtp = rtpPhone;
    this.rtcp = rtcpPhone;
  }

  static async open(t: TestContext, party: Party, branch: string): Promise<Side> {
    return new Side(party, branch, await Phone.open(t), await Phone.open(t));
  }

  /** With RTCP at `rtcpPhone`, and beside RTP where the other side wants that as well. */
  text(muxes: boolean, rtcpPhone: Phone = this.rtcp, proto = 'RTP/AVP'): string {
    const attributes = [`rtcp:${rtcpPhone.port}`, ...(muxes ? ['rtcp-mux'] : [])];
    return sdp('127.0.0.1', { port: this.rtp.port, proto, attributes });
  }
}

/** A call, and what has to be true of it. */
class Call {
  readonly relay: MediaRelay;
  readonly clock: ManualClock;
  readonly session: MediaSession;
  readonly caller: Side;
  readonly callees: readonly Side[];
  place: string = places[0];
  /** The branch that is heard. */
  chosen: Side;
  isSettled = false;
  offersOpen = false;
  crashed = false;

  private constructor(relay: MediaRelay, clock: ManualClock, caller: Side, callees: readonly Side[]) {
    this.relay = relay;
    this.clock = clock;
    this.session = relay.createSession('call', { onSilence: () => {} });
    this.caller = caller;
    this.callees = callees;
    this.chosen = callees[0]!;
    relay.follow(new Map([[told.caller, places[0]]]));
  }

  static async open(t: TestContext, relay: MediaRelay, clock: ManualClock, branches = 1): Promise<Call> {
    const callees: Side[] = [];
    while (callees.length < branches) callees.push(await Side.open(t, 'callee', `b${callees.length}`));
    return new Call(relay, clock, await Side.open(t, 'caller', ''), callees);
  }

  say(kind: 'offer' | 'answer', from: Side, text: string, callee = this.chosen): string {
    const facing = {
      caller: { boundAddress: this.place, advertisedAddress: told.caller },
      callee: { boundAddress: relayAddress, advertisedAddress: told.callee },
    };
    const reader = from.party === 'caller' ? callee : this.caller;
    const written = this.session.rewrite(
      text,
      kind,
      from.party,
      callee.branch,
      facing[from.party],
      facing[reader.party],
    );
    reader.relayPort = portsOf(written)[0]!;
    return written;
  }

  other(side: Side): Side {
    return side.party === 'caller' ? this.chosen : this.caller;
  }

  settle(callee = this.chosen): void {
    this.session.settle(callee.branch);
    this.chosen = callee;
    this.isSettled = true;
  }

  /** Both offer and answer; settled at once. */
  agree(callerMuxes: boolean, calleeMuxes: boolean): void {
    this.say('offer', this.caller, this.caller.text(callerMuxes));
    this.say('answer', this.chosen, this.chosen.text(calleeMuxes));
    [this.caller.muxes, this.chosen.muxes] = [callerMuxes, calleeMuxes];
    this.settle();
  }

  /** RTP and RTCP go both ways by what is agreed, and no more ports are open than are needed for it. */
  async judge(): Promise<void> {
    await this.relay.flush();
    const needed = new Map(places.map((place) => [place, [] as number[]]));
    for (const side of [this.caller, ...(this.isSettled ? [this.chosen] : this.callees)]) {
      if (side.relayPort === 0) continue;
      const ports = needed.get((side === this.caller ? this.place : relayAddress) as (typeof places)[0])!;
      ports.push(side.relayPort);
      if (!side.muxes || !this.isSettled || this.offersOpen) ports.push(side.relayPort + 1);
    }
    for (const [place, ports] of needed)
      assert.deepEqual(
        boundAt(place),
        ports.toSorted((a, b) => a - b),
        place,
      );
    assert.equal(this.relay.stats.portsInUse, [...needed.values()].flat().length);
    for (const from of [this.caller, this.chosen]) await this.passes(from, this.other(from));
  }

  async passes(from: Side, to: Side): Promise<void> {
    const address = from === this.caller ? this.place : relayAddress;
    const voice = rtp(`voice ${from.sent}`);
    await from.rtp.send(voice, from.relayPort, address);
    const heard = await to.rtp.next();
    assert.deepEqual([heard.payload, heard.source.port], [voice, to.relayPort]);
    await this.report(from);
    const { payload, source } = await (to.muxes ? to.rtp : to.rtcp).next();
    assert.deepEqual(
      [payload, source.port],
      [rtcp(`report ${from.sent}`), to.relayPort + (to.muxes ? 0 : 1)],
    );
    from.sent += 2;
    for (const { rtp: a, rtcp: b } of [from, to]) assert.deepEqual([a.unread, b.unread], [0, 0]);
  }

  async report(from: Side): Promise<void> {
    const address = from === this.caller ? this.place : relayAddress;
    const phone = from.muxes ? from.rtp : from.rtcp;
    await phone.send(rtcp(`report ${from.sent}`), from.relayPort + (from.muxes ? 0 : 1), address);
  }

  async crash(): Promise<void> {
    // Where packets go by SDP is known to the thread alone, once it has read it.
    await this.relay.flush();
    // One that dies again within a second waits for the next one.
    this.clock.advance(1001);
    await (this.relay as MediaRelay & { crash(): Promise<void> }).crash();
    this.crashed = true;
  }

  async move(): Promise<void> {
    this.place = this.place === places[0] ? places[1] : places[0];
    this.relay.follow(new Map([[told.caller, this.place]]));
    await this.relay.flush();
  }

  async close(): Promise<void> {
    const counted = this.session.snapshot();
    for (const side of [this.caller, this.chosen]) {
      const stream = counted.find(({ party, branch }) => party === side.party && branch === side.branch);
      assert.deepEqual([stream?.packets, stream?.droppedStrangers], [side.sent, 0], side.party);
    }
    this.session.close();
    await this.relay.flush();
    assert.deepEqual(places.flatMap(boundAt), []);
  }
}

/** Numbers below a bound, the same in every run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % sides;
  };
}

async function start(
  t: TestContext,
  forwarder: ForwarderKind,
  options: Partial<MediaRelayOptions> = {},
): Promise<{ relay: MediaRelay; clock: ManualClock }> {
  return relayFor(t, { forwarder, portRange: { from: 20_000, to: 20_019 }, ...options });
}

/** Another program takes a port of the relay's; it leaves when it is told, or with the test. */
async function squat(t: TestContext, port: number): Promise<() => Promise<void>> {
  const socket = createSocket('udp4');
  socket.bind(port, relayAddress);
  await once(socket, 'listening');
  const closed = once(socket, 'close');
  let stays = true;
  const leave = async (): Promise<void> => {
    if (stays) socket.close();
    stays = false;
    await closed;
  };
  t.after(leave);
  return leave;
}

/** One offer with its answer, or without. */
async function exchange(t: TestContext, call: Call, roll: (sides: number) => number): Promise<void> {
  const offerer = roll(2) === 0 ? call.caller : call.chosen;
  const answerer = call.other(offerer);
  let asked = roll(2) === 0;
  call.say('offer', offerer, offerer.text(asked));
  call.offersOpen = true;
  const looks = roll(3) === 0;
  if (looks) await call.judge();
  if (roll(6) === 0 && !call.crashed) await call.crash();
  if (roll(4) === 0) {
    call.session.rollBack(call.chosen.branch, offerer.party);
    call.offersOpen = false;
    return;
  }
  const moves = roll(4) === 0;
  const rtcpPhone = moves ? await Phone.open(t) : offerer.rtcp;
  if (moves || roll(5) === 0) {
    asked = roll(2) === 0;
    call.say('offer', offerer, offerer.text(asked, rtcpPhone));
  }
  const answer = roll(2) === 0;
  // A report that is under way while the answer is read is not lost.
  const late = !moves && roll(3) === 0;
  const arrivals = new AbortController();
  const { signal } = arrivals;
  const arrived =
    late && [answerer.rtp, answerer.rtcp].map(({ socket }) => once(socket, 'message', { signal }));
  if (late) {
    await call.relay.flush();
    await call.report(offerer);
    offerer.sent++;
  }
  call.say('answer', answerer, answerer.text(answer));
  call.offersOpen = false;
  [offerer.muxes, answerer.muxes, offerer.rtcp] = [asked, answer, rtcpPhone];
  if (!arrived) return;
  await Promise.any(arrived);
  arrivals.abort();
  await Promise.allSettled(arrived);
  for (const phone of [answerer.rtp, answerer.rtcp]) while (phone.unread > 0) await phone.next();
}

for (const forwarder of kinds) {
  describe(`sockets for RTCP that comes beside RTP, by ${forwarder}:`, () => {
    it('whatever is offered and answered, packets arrive where they are wanted and no other port is open', async (t) => {
      const { relay, clock } = await start(t, forwarder);
      const roll = dice(20_261);
      for (let round = 0; round < 25; round++) {
        const call = await Call.open(t, relay, clock, 1 + roll(2));
        const asked = roll(3) > 0;
        for (const callee of call.callees) call.say('offer', call.caller, call.caller.text(asked), callee);
        // Early answers: of one branch or of both, some of them twice, and not always the same.
        const answered = new Set<Side>();
        for (let early = 1 + roll(4); early > 0; early--) {
          const callee = call.callees[roll(call.callees.length)]!;
          callee.muxes = roll(3) > 0;
          call.say('answer', callee, callee.text(callee.muxes), callee);
          call.caller.muxes = asked;
          call.chosen = callee;
          answered.add(callee);
          if (roll(2) === 0) await call.judge();
        }
        call.settle([...answered][roll(answered.size)]);
        for (let step = 0; step < 6; step++) {
          if (roll(3) > 0) await call.judge();
          switch (roll(8)) {
            case 0:
              if (!call.crashed) await call.crash();
              break;
            case 1:
              await call.move();
              break;
            case 2:
              clock.advance(20_000);
              break;
            default:
              await exchange(t, call, roll);
          }
        }
        await call.judge();
        await call.close();
      }
      assert.ok(relay.stats.restarts > 5, `${relay.stats.restarts}`);
      // All ten pairs are there still, and each once.
      for (let n = 0; n < 5; n++) (await Call.open(t, relay, clock)).agree(false, false);
      await relay.flush();
      assert.equal(boundAt(relayAddress).length, 20);
      const last = await Call.open(t, relay, clock);
      assert.throws(() => last.agree(true, true), { code: 'media.ports-exhausted' });
    });

    it('one that another program has taken meanwhile refuses who wants it back, and ends no call', async (t) => {
      const warnings: string[] = [];
      const log = { ...silentLog, warn: (line: string) => void warnings.push(line) };
      const { relay, clock } = await start(t, forwarder, { log });
      const call = await Call.open(t, relay, clock);
      const { caller, chosen: callee } = call;
      call.agree(true, true);
      await call.judge();
      const leave = await Promise.all([caller, callee].map(({ relayPort }) => squat(t, relayPort + 1)));
      const isHeld = (side: Side): boolean => boundAt(relayAddress).includes(side.relayPort + 1);
      for (const side of [caller, callee]) {
        assert.throws(
          () => call.say('offer', side, side.text(false)),
          (error) => error instanceof MediaError && error.code === 'media.ports-exhausted',
        );
        await call.passes(caller, callee);
        await call.passes(callee, caller);
      }
      // A fax needs no RTCP.
      call.say('offer', caller, caller.text(false, caller.rtcp, 'udptl'));
      call.session.rollBack(callee.branch, 'caller');
      // Who is to go on at another address has other ports there.
      call.place = places[1];
      call.say('offer', caller, caller.text(false));
      call.session.rollBack(callee.branch, 'caller');
      call.place = places[0];
      // Who does not want it goes on.
      const offer = call.say('offer', caller, caller.text(true));
      assert.match(offer, new RegExp(`^a=rtcp:${callee.relayPort}\r$`, 'm'), 'there is no other port');
      assert.deepEqual(warnings, []);
      // Who goes back though nobody can hear it has RTP alone.
      call.say('answer', callee, callee.text(false));
      assert.match(warnings.join('\n'), new RegExp(`goes on without RTCP: .*:${callee.relayPort + 1}`));
      await relay.flush();
      for (const [from, to] of [
        [caller, callee],
        [callee, caller],
      ] as const) {
        await from.rtp.send(rtp('voice'), from.relayPort);
        assert.deepEqual((await to.rtp.next()).payload, rtp('voice'));
        from.sent++;
      }
      // And has it again with the next offer after the port is free.
      for (const each of leave) await each();
      assert.ok(!isHeld(callee));
      call.say('offer', caller, caller.text(true));
      call.say('answer', callee, callee.text(false));
      callee.muxes = false;
      await call.judge();
      await call.close();
    });

    it('no room for another file refuses who wants it back as well, and ends no call', async () => {
      const program = join(import.meta.dirname, 'few-descriptors.ts');
      const { stdout } = await runProgram('prlimit', ['--nofile=128', process.execPath, program, forwarder]);
      const { warnings, ...rest } = JSON.parse(stdout);
      assert.deepEqual(rest, {
        refused: 'media.sockets-exhausted',
        goesOn: 'none',
        alone: 'none',
        portsInUse: 2,
        later: 3,
      });
      assert.match(warnings.join('\n'), /^call goes on without RTCP: .* EMFILE/);
    });

    it('with keys of its own for each port it stays where it was offered, if there is no other', async (t) => {
      const { relay, clock } = await start(t, forwarder);
      const call = await Call.open(t, relay, clock);
      const { caller, chosen: callee } = call;
      const web = (side: Side, muxes: boolean): string => side.text(muxes, side.rtcp, 'UDP/TLS/RTP/SAVPF');
      call.say('offer', caller, web(caller, true));
      call.say('answer', callee, web(callee, true));
      call.settle();
      [caller.muxes, callee.muxes] = [true, true];
      await call.judge();
      const leave = await squat(t, caller.relayPort + 1);
      call.say('offer', caller, web(caller, true));
      assert.match(call.say('answer', callee, web(callee, false)), /^a=rtcp-mux\r$/m);
      callee.muxes = false;
      await relay.flush();
      await call.passes(caller, callee);
      await call.passes(callee, caller);
      await leave();
      call.say('offer', caller, web(caller, true));
      assert.doesNotMatch(call.say('answer', callee, web(callee, false)), /rtcp-mux/);
      caller.muxes = false;
      await call.judge();
      await call.close();
    });

    it('one that is not to be had again is no candidate of ICE', async (t) => {
      const { relay, clock } = await start(t, forwarder);
      const call = await Call.open(t, relay, clock);
      const { caller, chosen: callee } = call;
      const web = (side: Side, muxes: boolean): string =>
        `${side.text(muxes, side.rtcp, 'UDP/TLS/RTP/SAVPF')}a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n`;
      call.say('offer', caller, web(caller, true));
      call.say('answer', callee, web(callee, true));
      call.settle();
      await relay.flush();
      await squat(t, callee.relayPort + 1);
      for (const muxes of [false, true]) {
        const offer = call.say('offer', caller, web(caller, true));
        assert.equal(offer.match(/^a=candidate:/gm)?.length, 1);
        assert.match(offer, new RegExp(`^a=rtcp:${callee.relayPort}\r$`, 'm'));
        call.say('answer', callee, web(callee, muxes));
      }
    });

    it('whoever sent reports there long ago is forgotten: they may come from another port', async (t) => {
      const { relay, clock } = await start(t, forwarder);
      const call = await Call.open(t, relay, clock);
      const { caller, chosen: callee } = call;
      const said = caller.rtcp;
      const hears = async (from: Phone): Promise<void> => {
        await relay.flush();
        caller.rtcp = from;
        await call.passes(caller, callee);
        await call.passes(callee, caller);
      };
      call.agree(false, false);
      // Behind a NAT, by a port that nobody named.
      await hears(await Phone.open(t));
      clock.advance(20_000);
      for (const muxes of [true, false]) {
        call.say('offer', caller, caller.text(muxes, said));
        call.say('answer', callee, callee.text(muxes));
        [caller.muxes, callee.muxes] = [muxes, muxes];
        if (muxes) await call.judge();
      }
      await hears(await Phone.open(t));
      const stranger = await Phone.open(t);
      await stranger.send(rtcp('x'), caller.relayPort + 1);
      await hears(caller.rtcp);
      assert.equal(call.session.snapshot()[0]?.droppedStrangers, 1);
    });

    it('a branch that loses while an offer is open there takes none from the one that wins', async (t) => {
      const { relay, clock } = await start(t, forwarder);
      const call = await Call.open(t, relay, clock, 2);
      const { caller } = call;
      const [winner, loser] = call.callees as [Side, Side];
      // Each port has keys of its own: the caller has RTCP as the branch has it that is heard.
      const web = (side: Side, muxes: boolean): string => side.text(muxes, side.rtcp, 'UDP/TLS/RTP/SAVPF');
      for (const callee of call.callees) call.say('offer', caller, web(caller, true), callee);
      assert.doesNotMatch(call.say('answer', winner, web(winner, false), winner), /rtcp-mux/);
      assert.match(call.say('answer', loser, web(loser, true), loser), /^a=rtcp-mux\r$/m);
      call.say('offer', caller, web(caller, true), loser);
      call.settle(winner);
      await call.judge();
      await call.close();
    });

    it('an offer without a description leaves it to the answer in the ACK', async (t) => {
      const { relay, clock } = await start(t, forwarder);
      const call = await Call.open(t, relay, clock);
      const { caller, chosen: callee } = call;
      call.say('offer', callee, callee.text(true));
      call.settle();
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 4);
      call.say('answer', caller, caller.text(true));
      [caller.muxes, callee.muxes] = [true, true];
      await call.judge();
      await call.close();
    });
  });
}
