import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { BaresipPhone } from '../support/baresip.ts';
import type { Packet } from '../support/capture-decoder.ts';
import { asRtp } from '../support/capture-rtp.ts';
import { runCloudsip } from '../support/cloudsip.ts';
import { labForwarders } from '../support/lab-forwarders.ts';
import { needsRoot } from '../support/privileged.ts';
import { dualStackCloud, publicAddress6 } from './dual-stack-cloud.ts';
import { call, hangUp, holdAndResume, Office, publicAddress } from './office.ts';

const kinds = labForwarders('kernel', 'koffi', 'dgram');
const sixth = `[${publicAddress6}]`;

for (const kind of kinds) {
  describe(`IPv4 and IPv6 meet, with media by ${kind}`, needsRoot, () => {
    let office: Office;
    let alice: BaresipPhone;
    let carol: BaresipPhone;
    let dave: BaresipPhone;
    before(async () => {
      office = await Office.open({ topology: dualStackCloud, args: ['--media', kind] });
      [alice, carol, dave] = await Promise.all([
        office.phone('alice-host', { user: 'alice', toneHz: 440 }),
        office.phone('carol6-host', { user: 'carol', toneHz: 880, domain: sixth }),
        office.phone('dave6-host', { user: 'dave', toneHz: 1200, domain: sixth }),
      ]);
    });
    after(() => office[Symbol.asyncDispose]());

    /** Of the packets of each stream, those that no process saw. */
    const inKernel = async (end: () => Promise<void>): Promise<readonly boolean[]> => {
      const from = office.cloudsip.program.lines.length;
      await end();
      const { streams } = await office.cloudsip.logged('the media of a call ended', { from });
      const told = streams as { packets: number; inKernel?: number; lost: number }[];
      assert.deepEqual(
        told.map(({ lost }) => lost),
        [0, 0],
      );
      return told.map(({ packets, inKernel: count = 0 }) => count > packets / 2);
    };

    test('a call from IPv4 to IPv6 and one back: tones, hold, no foreign family on either side', async () => {
      const wires = await Promise.all([
        office.lab.capture('alice-host', 'eth0', 'udp'),
        office.lab.capture('carol6-host', 'eth0', 'udp'),
      ]);
      await call(alice, carol, `sip:carol@${publicAddress}`);
      await holdAndResume(alice, carol);
      const { stdout } = await runCloudsip(office.cloudsip.host, ['calls', '--json']);
      const { forwarder, media } = JSON.parse(stdout);
      assert.deepEqual([forwarder, media.length], [kind, 1]);
      const remotes = media[0].streams.map(({ remote }: { remote: string }) => remote.replace(/:\d+$/, ''));
      assert.deepEqual(remotes, ['198.51.100.10', '[2001:db8:f::10]']);
      // Where the families differ each packet needs another header: that is user space's.
      assert.deepEqual(await inKernel(() => hangUp(carol, alice)), [false, false]);
      await call(carol, alice, `sip:alice@${sixth}`);
      await holdAndResume(carol, alice);
      assert.deepEqual(await inKernel(() => hangUp(alice, carol)), [false, false]);
      const [outer4, outer6] = await Promise.all(wires.map((wire) => wire.stop()));
      judge(outer4!, publicAddress, /IP6|2001:db8/i);
      judge(outer6!, publicAddress6, /IP4|\b(203\.0\.113|198\.51\.100|10\.0\.[01])\.\d/);
    });

    test('a call from IPv6 to IPv6', async () => {
      await call(carol, dave, `sip:dave@${sixth}`);
      await holdAndResume(dave, carol);
      const carried = await inKernel(() => hangUp(dave, carol));
      assert.deepEqual(carried, kind.startsWith('kernel') ? [true, true] : [false, false]);
    });

    test('all ports come back', () => office.mediaPortsReturned());
  });
}

/** On the wire of a telephone: media came from the one address that it was told, which alone stands in its SDP. */
function judge(packets: readonly Packet[], ours: string, foreign: RegExp): void {
  const received = packets.filter(({ source }) => source.address === ours);
  assert.ok(received.some(asRtp));
  const bodies = received.flatMap(({ payload }) => {
    const text = payload.toString('latin1');
    return text.includes('\r\nv=0') || text.includes('\r\n\r\nv=0') ? [text.slice(text.indexOf('v=0'))] : [];
  });
  // An offer or an answer of each call, and those of the hold.
  assert.ok(bodies.length >= 4, `${bodies.length} descriptions`);
  for (const body of bodies) {
    assert.match(body, new RegExp(`^c=IN IP[46] ${ours.replaceAll('.', '\\.')}\\r?$`, 'm'));
    // A phone's own name for a source (RFC 5576) is no address.
    assert.doesNotMatch(body.replace(/cname:.*/g, ''), foreign);
  }
}
