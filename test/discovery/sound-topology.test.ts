import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { soundTopology } from '../../src/discovery/sound-topology.ts';
import type { AddressMapping, Topology } from '../../src/discovery/topology.ts';

const mapping = (privateAddress: string, publicAddress?: string): AddressMapping => ({
  privateAddress,
  ...(publicAddress !== undefined && { publicAddress }),
  provenance: 'imds',
});
const topologyOf = (...nics: AddressMapping[][]): Topology => ({
  provider: 'cloud',
  interfaces: nics.map((addresses, index) => ({ mac: `02:00:00:00:00:0${index}`, addresses, subnets: [] })),
  localNetworks: ['10.0.0.0/16'],
});
const shown = ({ interfaces }: Topology): string[] =>
  interfaces.flatMap((nic) =>
    nic.addresses.map((each) => `${each.privateAddress} ${each.publicAddress ?? '-'}`),
  );

describe('a sound topology', () => {
  test('is handed on as it is', () => {
    const topology = topologyOf(
      [mapping('10.0.0.5', '203.0.113.5'), mapping('10.0.0.6')],
      [mapping('10.0.1.5', '172.24.4.5'), mapping('2001:db8::5')],
    );
    assert.equal(soundTopology(topology), topology);
  });

  for (const nonsense of [
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '169.254.169.254',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '2001:db8::1',
    'fe80::1',
    '::1',
  ]) {
    test(`advertises no ${nonsense}, and says so`, () => {
      const found = soundTopology(topologyOf([mapping('10.0.0.5', nonsense)]));
      assert.deepEqual(shown(found), ['10.0.0.5 -']);
      assert.match(
        found.notes![0]!,
        new RegExp(`^cloud says that ${nonsense} stands in front of 10\\.0\\.0\\.5`),
      );
    });
  }

  test('takes the same address in front for none', () => {
    const found = soundTopology(topologyOf([mapping('203.0.113.5', '203.0.113.5')]));
    assert.deepEqual(shown(found), ['203.0.113.5 -']);
    assert.equal(found.notes, undefined);
  });

  for (const nonsense of ['224.0.0.1', '255.255.255.255', '0.0.0.0', '::', 'ff02::1']) {
    test(`leaves out ${nonsense} as an address of the machine`, () => {
      const found = soundTopology(topologyOf([mapping(nonsense, '203.0.113.5'), mapping('10.0.0.5')]));
      assert.deepEqual(shown(found), ['10.0.0.5 -']);
      assert.equal(found.notes?.length, 1);
    });
  }

  test('has each address once: the first interface keeps it', () => {
    const found = soundTopology(
      topologyOf([mapping('10.0.0.5', '203.0.113.5')], [mapping('10.0.0.5', '203.0.113.6')]),
    );
    assert.deepEqual(shown(found), ['10.0.0.5 203.0.113.5']);
    assert.match(found.notes![0]!, /10\.0\.0\.5 for two of its interfaces: it is left out/);
  });

  test('calls no whole internet local', () => {
    const found = soundTopology({ ...topologyOf([]), localNetworks: ['10.0.0.0/16', '0.0.0.0/0', '::/0'] });
    assert.deepEqual(found.localNetworks, ['10.0.0.0/16']);
    assert.equal(found.notes?.length, 1);
  });

  test("keeps the cloud's notes, and tells of much nonsense in few words", () => {
    const addresses = Array.from({ length: 500 }, (_, index) =>
      mapping(`224.0.${index >> 8}.${index & 255}`),
    );
    const { notes } = soundTopology({ ...topologyOf(addresses), notes: ['Fine weather.'] });
    assert.equal(notes?.length, 10);
    assert.equal(notes[0], 'Fine weather.');
    assert.equal(notes.at(-1), 'And 492 more of these.');
  });

  test('leaves alone what a person configured', () => {
    const topology = topologyOf([{ ...mapping('127.0.0.1', '127.0.0.2'), provenance: 'config' }]);
    assert.equal(soundTopology(topology), topology);
  });
});
