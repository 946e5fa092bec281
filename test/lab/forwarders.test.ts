import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { BaresipPhone } from '../support/baresip.ts';
import { labForwarders } from '../support/lab-forwarders.ts';
import { needsRoot } from '../support/privileged.ts';
import { call, hangUp, holdAndResume, Office, talk } from './office.ts';

const kinds = labForwarders('kernel', 'kernel-xdp', 'koffi', 'dgram');

interface EndLine {
  readonly streams: readonly {
    readonly packets: number;
    readonly inKernel?: number;
    readonly lost?: number;
  }[];
}

for (const kind of kinds) {
  describe(`calls with media by ${kind}`, needsRoot, () => {
    let office: Office;
    let alice: BaresipPhone;
    let bob: BaresipPhone;
    let heidi: BaresipPhone;
    let nina: BaresipPhone;
    before(async () => {
      office = await Office.open({ args: ['--media', kind] });
      [alice, bob, heidi, nina] = await Promise.all([
        office.phone('alice-host', { user: 'alice', toneHz: 440 }),
        office.phone('bob-host', { user: 'bob', toneHz: 880 }),
        office.phone('home-phone', { user: 'heidi', toneHz: 1200 }),
        office.neighbour('neighbour', { user: 'nina', toneHz: 660 }),
      ]);
    });
    after(() => office[Symbol.asyncDispose]());

    /** What the agent says of the call that ends now. */
    const ending = async (end: () => Promise<void>): Promise<EndLine> => {
      const from = office.cloudsip.program.lines.length;
      await end();
      return (await office.cloudsip.logged('the media of a call ended', { from })) as unknown as EndLine;
    };
    const judge = ({ streams }: EndLine): void => {
      assert.equal(streams.length, 2);
      for (const { packets, inKernel = 0, lost } of streams) {
        assert.equal(lost, 0);
        if (kind === 'koffi' || kind === 'dgram') assert.equal(inKernel, 0);
        // What is left: the first packets of each side, those around a hold, RTCP.
        else assert.ok(inKernel > packets / 2, `${inKernel} of ${packets}`);
      }
    };

    test('internet to internet by one card, on hold and back', async () => {
      await call(alice, bob);
      await holdAndResume(alice, bob);
      await holdAndResume(bob, alice);
      await talk(alice, bob);
      judge(await ending(() => hangUp(alice, bob)));
    });

    test("a home behind a NAT, a neighbour in the cloud's network", async () => {
      await call(heidi, nina);
      await holdAndResume(heidi, nina);
      await talk(heidi, nina);
      judge(await ending(() => hangUp(nina, heidi)));
    });

    test('all ports come back', () => office.mediaPortsReturned());
  });
}
