import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { AgentState } from '../../src/agent.ts';
import type { Packet } from '../support/capture-decoder.ts';
import { needsRoot } from '../support/privileged.ts';
import { runSipp, SippRun } from '../support/sipp.ts';
import { clouds } from './clouds.ts';
import { Office, publicAddress } from './office.ts';

const calls = 500;
const talkMs = 2_000;
// The tone ends before the BYE: a packet that leaves after the other side's BYE is nobody's loss.
const toneMs = 1_700;
const rtpPackets = toneMs / 20;

/** The offices that the calls went through, by the name of their cloud; they stay open until all has ended in each. */
const offices = new Map<string, { office: Office; idleDescriptors: number }>();
after(async () => {
  for (const { office } of offices.values()) await office[Symbol.asyncDispose]();
});

const descriptors = ({ cloudsip }: Office) => openFiles(cloudsip.pid).length;

for (const [name, options] of Object.entries(clouds)) {
  describe(`500 calls at 50 a second, with digest and media: ${name}`, needsRoot, () => {
    let office: Office;
    before(async () => {
      office = await Office.open(options);
      offices.set(name, { office, idleDescriptors: 0 });
      await office.knows(publicAddress);
    });

    test('none fails, no packet of media is lost, next to nothing is said twice', async () => {
      const [alice, bob] = await Promise.all([office.account('alice'), office.account('bob')]);
      const target = publicAddress;
      const bobHost = office.lab.host('bob-host');
      const register = await runSipp(bobHost, {
        scenario: 'register',
        target,
        users: [{ user: bob.name, password: bob.password }],
      });
      assert.equal(register.failed, 0, register.errors);
      offices.set(name, { office, idleDescriptors: descriptors(office) });
      await using callee = await SippRun.start(bobHost, {
        scenario: 'uas',
        calls,
        talkMs,
        toneMs,
        toneHz: 880,
      });
      await using signalling = await office.lab.capture('vm', 'ens5', 'udp port 5060');
      const caller = await runSipp(office.lab.host('alice-host'), {
        scenario: 'uac',
        target,
        callee: 'bob',
        users: [{ user: alice.name, password: alice.password }],
        calls,
        callsPerSecond: 50,
        talkMs,
        toneMs,
      });
      const called = await callee.stop();
      assert.deepEqual([caller.successful, caller.failed, caller.errors], [calls, 0, '']);
      assert.deepEqual([called.successful, called.failed, called.errors], [calls, 0, '']);

      const lost = (received: ReadonlyMap<number, number>) =>
        [...received.values()].filter((count) => count !== rtpPackets);
      assert.deepEqual([caller.rtpReceived.size, called.rtpReceived.size], [calls, calls]);
      if (process.env['LAB_MEDIA'] === 'dgram') {
        // A port may open some moments after the SDP that names it (docs/media.md): all from then on came.
        const heard = [called, caller].map(({ rtpReceived }) => [...rtpReceived.values()].sort());
        assert.deepEqual(heard, await relayedWhole(office));
      } else {
        assert.deepEqual(lost(called.rtpReceived), [], 'what the caller said');
        assert.deepEqual(lost(caller.rtpReceived), [], 'what the callee said');
      }

      const packets = await signalling.stop();
      const repeated = packets.length - new Set(packets.map(nameOf)).size;
      assert.ok(repeated < packets.length / 100, `${repeated} of ${packets.length} messages were repeats`);
      await office.mediaPortsReturned();
    });
  });
}

// Looked at when the calls of all clouds are over: the last transactions of the first have ended meanwhile.
describe('after 500 calls', needsRoot, () => {
  for (const name of Object.keys(clouds)) {
    test(`all is given back: ${name}`, async () => {
      const { office, idleDescriptors } = offices.get(name)!;
      await office.mediaPortsReturned();
      assert.equal(descriptors(office), idleDescriptors, 'file descriptors');
      await stateOf(office, ({ serverTransactions }) => serverTransactions === 0);
      const { bindings, drain, ...underWay } = await stateOf(office, () => true);
      assert.deepEqual([bindings, drain], [1, 'serving']);
      assert.deepEqual(new Set(Object.values(underWay)), new Set([0]), JSON.stringify(underWay));
    });
  }
});

/** How many packets each caller's stream had for the relay, and each callee's; in none of them one is missing. */
async function relayedWhole(office: Office): Promise<number[][]> {
  await office.mediaPortsReturned();
  const lines = office.cloudsip.log.filter(({ msg }) => msg === 'the media of a call ended');
  assert.equal(lines.length, calls);
  const streams = lines.flatMap(
    (line) => line['streams'] as { party: string; packets: number; lost: number }[],
  );
  assert.ok(streams.every(({ lost }) => lost === 0));
  const of = (party: string) =>
    streams.filter((stream) => stream.party === party).map(({ packets }) => packets);
  return [of('caller').sort(), of('callee').sort()];
}

/** The last transaction ends 32 seconds after its call (timer J, RFC 3261 17.2.2). */
const transactionsEndMs = 40_000;

/** Asks the agent what is under way until it is as expected. */
async function stateOf({ cloudsip }: Office, expected: (state: AgentState) => boolean): Promise<AgentState> {
  const deadline = Date.now() + transactionsEndMs;
  for (;;) {
    const from = cloudsip.program.lines.length;
    cloudsip.program.signal('SIGUSR2');
    const { time, level, pid, hostname, msg, ...state } = await cloudsip.logged('state', { from });
    if (expected(state as unknown as AgentState)) return state as unknown as AgentState;
    assert.ok(Date.now() < deadline, `still under way: ${JSON.stringify(state)}`);
    await setTimeout(1000);
  }
}

/** A retransmission is the same bytes on the same way (RFC 3261 17). */
function nameOf({ source, destination, payload }: Packet): string {
  return `${source.address}:${source.port} ${destination.address}:${destination.port}\n${payload.toString('latin1')}`;
}

/** What a process has open, but for the links of its program in the kernel: one for each card, from the first call on. */
function openFiles(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
    .filter((name) => name !== 'anon_inode:bpf_link');
}
