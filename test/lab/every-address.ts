import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { BaresipPhone } from '../support/baresip.ts';
import type { Packet } from '../support/capture-decoder.ts';
import { asRtp } from '../support/capture-rtp.ts';
import { needsRoot } from '../support/privileged.ts';
import { call, hangUp, holdAndResume, Office, type OfficeOptions, privateAddresses } from './office.ts';

/** Each telephone is registered at another public address: of the first card, its second address, the second card. */
const desks = {
  alice: {
    host: 'alice-host',
    outside: '198.51.100.10',
    at: '203.0.113.5',
    inner: '10.0.0.15',
    card: 'ens5',
  },
  carol: {
    host: 'home-phone',
    outside: '198.51.100.30',
    at: '203.0.113.6',
    inner: '10.0.0.16',
    card: 'ens5',
  },
  bob: { host: 'bob-host', outside: '198.51.100.20', at: '203.0.113.7', inner: '10.0.1.15', card: 'ens6' },
} as const;
type Name = keyof typeof desks;
const names = Object.keys(desks) as Name[];

/**
 * Two cards, three private addresses, each behind its own public one: calls between every two of them. The same for
 * every cloud and for every way to learn the addresses, which is what `options` are for. `secondInner` is what
 * packets to the second public address arrive at, where that is not the machine's second private one.
 */
export function everyAddressServes(
  title: string,
  options?: OfficeOptions,
  secondInner: string = desks.carol.inner,
): void {
  describe(title, needsRoot, () => {
    let office: Office;
    const phones = new Map<Name, BaresipPhone>();
    before(async () => {
      office = await Office.open(options);
      await Promise.all(
        names.map(async (user, index) => {
          const { host, at } = desks[user];
          await office.knows(at);
          phones.set(user, await office.phone(host, { user, domain: at, toneHz: 440 * (index + 1) }));
        }),
      );
    });
    after(() => office[Symbol.asyncDispose]());

    for (const [one, other] of [
      ['alice', 'bob'],
      ['bob', 'carol'],
      ['carol', 'alice'],
    ] as const) {
      test(`a call from ${desks[one].at} to ${desks[other].at}: each side sees and hears its own address only`, async () => {
        const taps = await Promise.all([
          office.lab.capture('vm', 'ens5', 'udp and net 198.51.100.0/24'),
          office.lab.capture('vm', 'ens6', 'udp and net 198.51.100.0/24'),
        ]);
        const [caller, callee] = [phones.get(one)!, phones.get(other)!];
        // By the caller's own address: the callee's is somebody else's business.
        await call(caller, callee, `sip:${other}@${desks[one].at}`);
        await holdAndResume(caller, callee);
        await holdAndResume(callee, caller);
        await hangUp(callee, caller);
        const [ens5, ens6] = await Promise.all(taps.map((tap) => tap.stop()));
        for (const name of [one, other]) {
          const { outside, card } = desks[name];
          const wires: Record<string, readonly Packet[]> = { ens5: ens5!, ens6: ens6! };
          for (const [wire, packets] of Object.entries(wires)) {
            const inner = name === 'carol' ? secondInner : desks[name].inner;
            judge(name, inner, between(packets, outside), wire === card);
          }
        }
      });
    }
  });
}

/** Packets to and from an address. */
function between(packets: readonly Packet[], address: string): Packet[] {
  return packets.filter(({ source, destination }) =>
    [source, destination].some((end) => end.address === address),
  );
}

function judge(name: Name, inner: string, packets: readonly Packet[], isOwnCard: boolean): void {
  const { outside, at } = desks[name];
  if (!isOwnCard) {
    assert.equal(packets.length, 0, `packets of ${name} at the wrong card`);
    return;
  }
  const media = packets.filter(asRtp);
  assert.ok(media.some(({ source }) => source.address === inner));
  assert.ok(media.some(({ source }) => source.address === outside));
  for (const { source, destination, payload } of packets) {
    const ours = source.address === outside ? destination : source;
    assert.equal(ours.address, inner, `${name} speaks with one address of ours`);
    if (source.address !== inner) continue;
    const text = payload.toString('latin1');
    for (const address of privateAddresses) assert.ok(!text.includes(address), `${address} in\n${text}`);
    const [via] = /^Via: SIP\/2\.0\/UDP [\d.]+/m.exec(text) ?? [];
    if (via && !text.startsWith('SIP/2.0')) assert.equal(via, `Via: SIP/2.0/UDP ${at}`);
    for (const [line] of text.matchAll(/^[co]=.*/gm)) assert.match(line, new RegExp(` ${literal(at)}\r?$`));
  }
}

function literal(text: string): string {
  return text.replaceAll('.', '\\.');
}
