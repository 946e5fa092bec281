import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { BaresipPhone } from '../support/baresip.ts';
import type { Packet } from '../support/capture-decoder.ts';
import { asRtp } from '../support/capture-rtp.ts';
import { needsRoot } from '../support/privileged.ts';
import { call, hangUp, holdAndResume, Office, privateAddresses, publicAddresses } from './office.ts';

/** Where each telephone stands: its host, and the interface on which it is overheard. */
const desks = {
  alice: { host: 'alice-host', tap: 'eth0', inside: false },
  bob: { host: 'bob-host', tap: 'eth0', inside: false },
  heidi: { host: 'home-phone', tap: 'eth0', inside: false },
  nina: { host: 'neighbour', tap: 'ens0', inside: true },
  ned: { host: 'neighbour2', tap: 'ens0', inside: true },
} as const;
type Name = keyof typeof desks;
const names = Object.keys(desks) as Name[];

/** Who calls whom; those of one row talk at the same time. */
const rounds: readonly (readonly (readonly [caller: Name, callee: Name])[])[] = [
  [
    ['alice', 'bob'],
    ['nina', 'ned'],
  ],
  [
    ['alice', 'nina'],
    ['heidi', 'bob'],
  ],
  [
    ['ned', 'bob'],
    ['heidi', 'nina'],
  ],
  [['nina', 'heidi']],
];

describe('calls between all kinds of networks', needsRoot, () => {
  let office: Office;
  const phones = new Map<Name, BaresipPhone>();
  before(async () => {
    office = await Office.open();
    await Promise.all(
      names.map(async (user, index) => {
        const { host, inside } = desks[user];
        const options = { user, toneHz: 400 + 300 * index };
        phones.set(user, await (inside ? office.neighbour(host, options) : office.phone(host, options)));
      }),
    );
  });
  after(() => office[Symbol.asyncDispose]());

  for (const pairs of rounds) {
    const title = pairs.map(([caller, callee]) => `${where(caller)} to ${where(callee)}`).join(' beside ');
    test(`${title}: tones, hold and back by either side, BYE, no foreign address`, async () => {
      const taps = await Promise.all(
        names.map(async (name) => {
          const { host, tap } = desks[name];
          return { name, capture: await office.lab.capture(host, tap, 'udp') };
        }),
      );
      await Promise.all(
        pairs.map(([caller, callee]) => wholeCalls(phones.get(caller)!, phones.get(callee)!)),
      );
      for (const { name, capture } of taps) {
        const packets = await capture.stop();
        const involved = pairs.flat().includes(name);
        assert.equal(packets.some(asRtp), involved, `RTP at ${name}`);
        if (desks[name].inside) judgeInside(packets, desks[name].host);
        else judgeOutside(packets);
      }
    });
  }
});

function where(name: Name): string {
  if (name === 'heidi') return 'a home';
  return desks[name].inside ? `the cloud's ${desks[name].host}` : 'the internet';
}

/** Two calls: the caller ends the first, the callee the second. */
async function wholeCalls(caller: BaresipPhone, callee: BaresipPhone): Promise<void> {
  await call(caller, callee);
  await holdAndResume(caller, callee);
  await holdAndResume(callee, caller);
  await hangUp(caller, callee);
  await call(caller, callee);
  await hangUp(callee, caller);
}

/** Nobody outside learns a private address of the machine, in whatever packet, and all comes from public ones. */
function judgeOutside(packets: readonly Packet[]): void {
  for (const { source, destination, payload } of packets) {
    for (const { address } of [source, destination]) {
      assert.ok(!address.startsWith('10.'), `${source.address} to ${destination.address} outside`);
    }
    if (!publicAddresses.includes(source.address)) continue;
    const text = payload.toString('latin1');
    for (const address of privateAddresses) assert.ok(!text.includes(address), `${address} in\n${text}`);
  }
}

/** What the agent writes for a neighbour names the private address, where the public one would lead nowhere. */
function judgeInside(packets: readonly Packet[], host: string): void {
  let written = 0;
  for (const { source, destination, payload } of packets) {
    for (const { address } of [source, destination]) {
      assert.ok(!publicAddresses.includes(address), `${address} on the wire of ${host}`);
    }
    if (!privateAddresses.includes(source.address)) continue;
    const lines = payload.toString('latin1').split('\r\n');
    const ours = lines.filter((line) => /^(Via|Record-Route|Route|o=|c=|a=rtcp:)/.test(line));
    written += ours.length;
    const wrong = ours.filter((line) => publicAddresses.some((address) => line.includes(address)));
    assert.deepEqual(wrong, [], `the public address in what ${host} is told`);
  }
  if (packets.some(asRtp)) assert.ok(written > 0);
}
