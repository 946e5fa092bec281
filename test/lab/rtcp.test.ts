import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Capture } from '../support/capture.ts';
import type { Packet } from '../support/capture-decoder.ts';
import { asRtp } from '../support/capture-rtp.ts';
import { needsRoot } from '../support/privileged.ts';
import { call, hangUp, holdAndResume, Office, publicAddress } from './office.ts';

/** Sender and receiver reports (RFC 3550 12.1). */
const isReport = ({ payload }: Packet): boolean =>
  payload.length >= 8 && payload[0]! >> 6 === 2 && (payload[1] === 200 || payload[1] === 201);

/** The ports of a stream at one end, by its RTP. */
interface Ports {
  readonly phone: number;
  readonly relay: number;
}

describe('RTCP beside RTP (RFC 5761) on one side alone', needsRoot, () => {
  let office: Office;
  before(async () => {
    office = await Office.open();
    await Promise.all([office.account('alice'), office.account('bob')]);
  });
  after(() => office[Symbol.asyncDispose]());

  const toPhone = ({ source }: Packet): boolean => source.address === publicAddress;
  const toRelay = ({ destination }: Packet): boolean => destination.address === publicAddress;

  async function portsAt(wire: Capture, from: number): Promise<Ports> {
    const isVoice = (packet: Packet): boolean => toPhone(packet) && asRtp(packet) !== undefined;
    const voice = await wire.packet((packet) => wire.packets.indexOf(packet) >= from && isVoice(packet));
    return { phone: voice.destination.port, relay: voice.source.port };
  }

  /** Reports go both ways at this end, from and to the ports that are `apart` from those of RTP. */
  async function reportsPass(wire: Capture, apart: 0 | 1): Promise<void> {
    const from = wire.packets.length;
    const { phone, relay } = await portsAt(wire, from);
    const next = (wanted: (packet: Packet) => boolean): Promise<Packet> =>
      // Each phone reports every five seconds.
      wire.packet(
        (packet) => wire.packets.indexOf(packet) >= from && isReport(packet) && wanted(packet),
        15_000,
      );
    const [came, went] = await Promise.all([next(toPhone), next(toRelay)]);
    assert.deepEqual([came.source.port, came.destination.port], [relay + apart, phone + apart]);
    assert.deepEqual([went.source.port, went.destination.port], [phone + apart, relay + apart]);
  }

  for (const caller of ['alice', 'bob'] as const) {
    test(`${caller} calls: she has one port, he has two, and each gets the other's reports`, async () => {
      await using alice = await office.phone('alice-host', {
        user: 'alice',
        toneHz: 440,
        configuration: ['rtcp_mux yes'],
      });
      await using bob = await office.phone('bob-host', {
        user: 'bob',
        toneHz: 880,
        configuration: ['rtcp_mux no'],
      });
      await using hers = await office.lab.capture('alice-host', 'eth0', 'udp and not port 5060');
      await using his = await office.lab.capture('bob-host', 'eth0', 'udp and not port 5060');
      const [one, other] = caller === 'alice' ? [alice, bob] : [bob, alice];
      await call(one, other);
      // She takes it up only where it was offered, and nobody offers it to her for him.
      await Promise.all([reportsPass(hers, caller === 'alice' ? 0 : 1), reportsPass(his, 1)]);
      if (caller === 'alice') {
        // His offer knows nothing of it: what she has stays.
        await holdAndResume(bob, alice);
        await Promise.all([reportsPass(hers, 0), reportsPass(his, 1)]);
      }
      await hangUp(one, other);
      for (const wire of [hers, his]) {
        const ours = (await wire.stop()).filter(toPhone);
        // Neither is told what is none of its port: reports where only voice is expected, or the reverse.
        const reports = new Set(ours.filter(isReport).map(({ destination }) => destination.port));
        const voices = new Set(
          ours.filter((packet) => asRtp(packet)).map(({ destination }) => destination.port),
        );
        assert.deepEqual([reports.size, voices.size], [1, 1]);
      }
      await office.mediaPortsReturned();
    });
  }
});
