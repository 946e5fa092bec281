import assert from 'node:assert/strict';
import { test } from 'node:test';
import { local } from '../../providers/local.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import type { OsAddress, OsInterface } from '../../src/net/os-interfaces.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

const device = (name: string, ...addresses: string[]): OsInterface => ({
  name,
  mac: name === 'lo' ? '00:00:00:00:00:00' : '02:00:00:00:00:01',
  internal: name === 'lo',
  addresses: addresses.map((text): OsAddress => {
    const [address, prefix] = text.split('/');
    return { address: address!, prefixLength: Number(prefix), family: text.includes(':') ? 'ipv6' : 'ipv4' };
  }),
});
const LO = device('lo', '127.0.0.1/8', '::1/128');

const contextOf = (interfaces: OsInterface[], clock = new ManualClock()): DiscoveryContext => ({
  facts: { dmi: {}, interfaces },
  clock,
  log: quietLog(),
  env: {},
  configuration: undefined,
});
const discover = (...interfaces: OsInterface[]) =>
  local.discover(contextOf(interfaces), new AbortController().signal);

test('the own addresses without loopback and link-local IPv6, nothing in front of them', async () => {
  const topology = await discover(
    LO,
    device('eth0', '192.168.1.7/24', 'fe80::1/64', '2001:db8::7/64'),
    device('eth1', '203.0.113.5/24'),
    device('eth2', 'fe80::2/64'),
  );
  assert.deepEqual(
    topology.interfaces.map((nic) => [nic.osName, nic.addresses]),
    [
      [
        'eth0',
        [
          { privateAddress: '192.168.1.7', provenance: 'os' },
          { privateAddress: '2001:db8::7', provenance: 'os' },
        ],
      ],
      ['eth1', [{ privateAddress: '203.0.113.5', provenance: 'os' }]],
    ],
  );
  assert.deepEqual(topology.interfaces[0]?.subnets, ['192.168.1.0/24', '2001:db8::/64']);
  assert.deepEqual(topology.localNetworks, ['192.168.1.0/24']);
});

test('loopback where there is nothing else', async () => {
  const topology = await discover(LO, device('eth2', 'fe80::2/64'));
  assert.deepEqual(
    topology.interfaces.flatMap((nic) => nic.addresses.map((each) => each.privateAddress)),
    ['127.0.0.1', '::1'],
  );
});

test('watching tells of an address that comes', async () => {
  const clock = new ManualClock();
  let interfaces = [LO, device('eth0', '192.168.1.7/24')];
  const context = { ...contextOf(interfaces, clock), currentInterfaces: () => interfaces };
  const abort = new AbortController();
  const known = await local.discover(context, abort.signal);
  const changed = Promise.withResolvers<Topology>();
  local.watch(context, changed.resolve, abort.signal, known);
  interfaces = [LO, device('eth0', '192.168.1.7/24', '192.168.1.8/24')];
  clock.advance(16_500);
  const topology = await changed.promise;
  assert.deepEqual(
    topology.interfaces[0]?.addresses.map((each) => each.privateAddress),
    ['192.168.1.7', '192.168.1.8'],
  );
  abort.abort();
  assert.equal(clock.pending, 0);
});
