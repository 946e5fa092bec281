import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BaresipPhone } from '../support/baresip.ts';
import { runCloudsip } from '../support/cloudsip.ts';
import { labForwarders } from '../support/lab-forwarders.ts';
import { needsRoot } from '../support/privileged.ts';
import { requestText } from '../support/sip-text.ts';
import { call, hangUp, Office, publicAddress, talk } from './office.ts';

const kinds = labForwarders('kernel', 'kernel-xdp', 'koffi');
const packetsPerSecond = 100_000;
const seconds = 2;
const floodProgram = fileURLToPath(new URL('../support/flood.ts', import.meta.url));

interface EndStream {
  readonly lost: number;
  readonly packets: number;
  readonly strangers: number;
}

for (const kind of kinds) {
  describe(`floods of RTP by a stranger, with media by ${kind}`, needsRoot, () => {
    let office: Office;
    let alice: BaresipPhone;
    let bob: BaresipPhone;
    before(async () => {
      office = await Office.open({ args: ['--media', kind] });
      [alice, bob] = await Promise.all([
        office.phone('alice-host', { user: 'alice', toneHz: 440 }),
        office.phone('bob-host', { user: 'bob', toneHz: 880 }),
      ]);
    });
    after(() => office[Symbol.asyncDispose]());

    /** A call during which a neighbour floods these ports; gives its streams and tells what it cost. */
    async function flooded(
      t: TestContext,
      choosePorts: () => Promise<string>,
    ): Promise<{ streams: readonly EndStream[]; used: number }> {
      await call(alice, bob);
      const before = residentMb(office.cloudsip.pid);
      const usedBefore = usedSeconds(office.cloudsip.pid);
      const options = ['--to', '10.0.0.15', '--ports', await choosePorts()];
      const amount = ['--rate', String(packetsPerSecond), '--seconds', String(seconds)];
      const flood = office.lab
        .host('neighbour')
        .spawn(process.execPath, [floodProgram, ...options, ...amount]);
      const answersMs = await ask(office, () => flood.exit !== undefined);
      const sent = Number((await flood.line(/^sent /)).slice('sent '.length));
      const used = (usedSeconds(office.cloudsip.pid) - usedBefore) / seconds;
      await talk(alice, bob);
      const grown = residentMb(office.cloudsip.pid) - before;
      const from = office.cloudsip.program.lines.length;
      await hangUp(alice, bob);
      const { streams } = await office.cloudsip.logged('the media of a call ended', { from });
      const told = streams as EndStream[];
      const percentile = answersMs.toSorted((a, b) => a - b)[Math.floor(answersMs.length * 0.99)];
      t.diagnostic(
        `${sent} packets sent, ${told.map(({ strangers }) => strangers)} of strangers counted, ${told.map(({ lost }) => lost)} lost; OPTIONS p99 ${percentile?.toFixed(1)} ms of ${answersMs.length}; ${(used * 100).toFixed(0)} % of a processor for the agent, memory ${grown.toFixed(1)} MB more`,
      );
      assert.ok(sent > (packetsPerSecond * seconds) / 2, `${sent} packets sent`);
      assert.ok(told.every(({ strangers }) => strangers > 0));
      assert.ok(grown < 16, `${grown} MB more`);
      assert.ok(percentile !== undefined && percentile < 500, `OPTIONS p99 ${percentile} ms`);
      await office.mediaPortsReturned();
      return { streams: told, used };
    }

    test('to the whole port range: calls lose next to nothing', async (t) => {
      const { streams } = await flooded(t, async () => '10000-20000');
      for (const { lost, packets } of streams) assert.ok(lost <= packets / 100, `${lost} of ${packets} lost`);
    });

    test('to the very ports of a call: it goes on', async (t) => {
      const { streams, used } = await flooded(t, async () => {
        const { stdout } = await runCloudsip(office.cloudsip.host, ['calls', '--json']);
        const bound = JSON.parse(stdout).media[0].streams as { bound: string }[];
        return bound.map((stream) => stream.bound.split(':')[1]).join(',');
      });
      // By koffi the first strangers stand in the same queue as the phone's packets, until the socket has its filter.
      const share = kind === 'koffi' ? 0.05 : 0;
      for (const { lost, packets } of streams)
        assert.ok(lost <= packets * share, `${lost} of ${packets} lost`);
      for (const { strangers } of streams) assert.ok(strangers > 10_000, `${strangers} of strangers counted`);
      // To look at each of them takes a quarter.
      assert.ok(used < 0.15, `${used} of a processor for the agent`);
    });
  });
}

/** Asks every 10 ms how the agent is until it is `over`; how long each answer took. */
async function ask(office: Office, over: () => boolean): Promise<number[]> {
  await using socket = await office.lab.host('alice-host').openUdp();
  const tookMs: number[] = [];
  for (let n = 1; !over(); n++) {
    const via = `${socket.address}:${socket.port}`;
    const names = { method: 'OPTIONS', uri: `sip:${publicAddress}`, via, branch: `z9hG4bKflood${n}` };
    const began = performance.now();
    await socket.send(requestText({ ...names, callId: `flood-${n}`, cseq: n }), 5060, publicAddress);
    await socket.receive();
    tookMs.push(performance.now() - began);
    await setTimeout(10);
  }
  return tookMs;
}

function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

/** Of a processor, by all threads. The clock of /proc ticks 100 times a second. */
function usedSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
