import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallLine, CallStream } from '../../src/proxy/call-lines.ts';
import { readWav } from '../media/recording/read-wav.ts';
import type { BaresipPhone } from '../support/baresip.ts';
import { runCloudsip } from '../support/cloudsip.ts';
import { labForwarders } from '../support/lab-forwarders.ts';
import { needsRoot } from '../support/privileged.ts';
import { strongestTone } from '../support/tone.ts';
import { cloud } from './cloud.ts';
import { describeMachine } from './lab-metadata.ts';
import { call, hangUp, holdAndResume, Office, talk } from './office.ts';
import type { Topology } from './topology.ts';

const changed = 'the cloud changed: listeners follow';
const followed = 'media ports followed a public address to another card';

/** One more telephone on the internet. */
const withFrank = {
  ...cloud,
  hosts: {
    ...cloud.hosts,
    'frank-host': {
      interfaces: [{ name: 'eth0', segment: 'internet', addresses: ['198.51.100.40/24'] }],
      routes: [{ to: 'default', via: '198.51.100.1' }],
    },
  },
} satisfies Topology;

interface EndLine {
  readonly callId: string;
  readonly streams: readonly { readonly packets: number }[];
}

for (const kind of labForwarders('koffi', 'kernel', 'dgram')) {
  test(`a public address moves to another card during calls, with media by ${kind}`, needsRoot, async () => {
    await using office = await Office.open({
      topology: withFrank,
      args: ['--media', kind],
      env: { CLOUDSIP_POLL_INTERVAL: '200ms' },
    });
    const { lab, metadata, cloudsip } = office;
    const [alice, bob, carol, dave, nina, frank] = await Promise.all([
      office.phone('alice-host', { user: 'alice', toneHz: 440 }),
      office.phone('bob-host', { user: 'bob', toneHz: 880 }),
      // Behind a NAT that lets in what comes from where something was sent to, and nothing else.
      office.phone('home-phone', { user: 'carol', toneHz: 1200 }),
      office.phone('home', { user: 'dave', toneHz: 660, port: 5070 }),
      office.neighbour('neighbour', { user: 'nina', toneHz: 550 }),
      office.phone('frank-host', { user: 'frank', toneHz: 990 }),
    ]);
    await call(alice, bob);
    await call(frank, nina);
    await carol.dial(dave.uri);
    await dave.ringing();
    const sockets = await listening(office);
    const mixed = (await calls(office)).find(({ streams }) =>
      streams.some(({ remote }) => remote?.startsWith('10.0.0.77:')),
    )!.callId;
    assert.equal((await runCloudsip(cloudsip.host, ['record', mixed, 'on'])).exitCode, 0);
    const recording = (await cloudsip.logged('a call is recorded'))['file'] as string;

    await using wire = await lab.capture('router', 'internet', 'udp and src net 203.0.113.0/24');
    await lab.setPublicAddress('10.0.1.15', '203.0.113.5');
    const since = performance.now();
    metadata.replace(describeMachine(lab, 'vm'));
    const { changes, readvertised, added, retired } = await cloudsip.logged(changed);
    assert.ok(performance.now() - since < 3000, 'within the polling time');
    assert.deepEqual(changes, [
      { kind: 'remapped', privateAddress: '10.0.0.15', before: '203.0.113.5' },
      { kind: 'remapped', privateAddress: '10.0.1.15', before: '203.0.113.7', after: '203.0.113.5' },
    ]);
    assert.deepEqual(readvertised, ['udp:10.0.0.15:5060', 'udp:10.0.1.15:5060 as 203.0.113.5:5060']);
    assert.deepEqual([added, retired], [[], []]);
    // Both sides of alice and bob, of carol and dave, and frank: nina knows the private address, which stays.
    assert.deepEqual(
      cloudsip.log.filter(({ msg }) => msg === followed).map(({ calls, ports }) => [calls, ports]),
      [[3, 10]],
    );
    const settled = await streamsBetween(office, alice, bob);
    await Promise.all([talk(alice, bob), talk(frank, nina)]);
    // A second and a half both ways, in the kernel where that is asked for: it took the flows again.
    let later = settled;
    const grew = (field: 'packets' | 'inKernel') =>
      later.map((stream, index) => stream[field] - settled[index]![field]);
    const enough = (counts: readonly number[]): boolean => counts.every((count) => count > 75);
    const deadline = performance.now() + 10_000;
    while (!enough(grew('packets')) || (kind.startsWith('kernel') && !enough(grew('inKernel')))) {
      assert.ok(
        performance.now() < deadline,
        `${grew('packets')} packets, ${grew('inKernel')} in the kernel`,
      );
      later = await streamsBetween(office, alice, bob);
    }
    assert.ok(later.every(({ bound }) => bound.startsWith('10.0.1.15:')));
    assert.ok(kind.startsWith('kernel') || later.every(({ inKernel }) => inKernel === 0));
    assert.equal((await runCloudsip(cloudsip.host, ['record', mixed, 'off'])).exitCode, 0);
    // What rang is answered, though the INVITE came in by the other card.
    await dave.answer();
    await Promise.all([carol.established(), dave.established()]);
    await talk(carol, dave);
    await holdAndResume(alice, bob);
    await holdAndResume(carol, dave);
    // The same ports, and only nina's two stay where they were.
    const now = await listening(office);
    const portOf = (socket: string): string => socket.slice(socket.indexOf(':'));
    assert.deepEqual(now.map(portOf).sort(), sockets.map(portOf).sort());
    assert.equal(now.filter((socket) => sockets.includes(socket)).length, 2);

    const from = cloudsip.program.lines.length;
    await hangUp(bob, alice);
    const { streams } = (await cloudsip.logged('the media of a call ended', { from })) as unknown as EndLine;
    assert.equal(streams.length, 2);
    // Counted from the beginning.
    streams.forEach(({ packets }, index) => {
      assert.ok(packets > later[index]!.packets, `${packets}`);
    });
    // A neighbour's BYE comes to the card that has no public address any more.
    await hangUp(nina, frank);
    await hangUp(carol, dave);
    // Who registered by the old card is reached by the new one.
    await call(alice, carol);
    await hangUp(alice, carol);
    await office.mediaPortsReturned();
    const sources = new Set((await wire.stop()).map(({ source }) => source.address));
    assert.deepEqual([...sources], ['203.0.113.5'], 'nobody heard from an address that he does not know');
    assert.equal(cloudsip.log.filter(({ msg }) => msg === 'ready').length, 1);
    // The recording has the end of what was said, a second and a half after the move.
    const wav = readWav(`${recording}.wav`);
    assert.ok(wav.left.length > 1.5 * wav.sampleRate);
    for (const [samples, hz] of [
      [wav.left, 990],
      [wav.right, 550],
    ] as const) {
      const end = samples.subarray(-0.7 * wav.sampleRate, -0.2 * wav.sampleRate);
      assert.equal(strongestTone(end, wav.sampleRate)?.frequencyHz, hz);
    }
  });
}

/** The media sockets, `10.0.0.15:10000`. */
async function listening(office: Office): Promise<string[]> {
  const { stdout } = await office.cloudsip.host.run('ss', ['-Hlun', 'sport >= 10000 and sport <= 20000']);
  return stdout
    .split('\n')
    .flatMap((line) => line.split(/\s+/)[3] ?? [])
    .sort();
}

async function calls({ cloudsip }: Office): Promise<readonly CallLine[]> {
  const { stdout } = await runCloudsip(cloudsip.host, ['calls', '--json']);
  return (JSON.parse(stdout) as { media: CallLine[] }).media;
}

async function streamsBetween(
  office: Office,
  ...phones: readonly BaresipPhone[]
): Promise<readonly CallStream[]> {
  const addresses = phones.map(({ host }) => host.address);
  const found = (await calls(office)).find(({ streams }) =>
    streams.every(({ remote }) => remote && addresses.includes(remote.slice(0, remote.indexOf(':')))),
  );
  assert.equal(found?.streams.length, 2);
  return found.streams;
}
