import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetworkInterface, Topology } from '../../src/discovery/topology.ts';
import { mappingChanges, sameTopology } from '../../src/discovery/topology-diff.ts';

const nic = (
  mac: string,
  ...pairs: [privateAddress: string, publicAddress?: string][]
): NetworkInterface => ({
  mac,
  addresses: pairs.map(([privateAddress, publicAddress]) => ({
    privateAddress,
    ...(publicAddress !== undefined && { publicAddress }),
    provenance: 'imds',
  })),
  subnets: ['10.0.0.0/24'],
});

const topology = (...interfaces: NetworkInterface[]): Topology => ({
  provider: 'ec2',
  interfaces,
  localNetworks: ['10.0.0.0/16', '10.1.0.0/16'],
});

const A = nic('02:00:00:00:00:0a', ['10.0.0.1', '203.0.113.1'], ['10.0.0.2'], ['10.0.0.3', '203.0.113.3']);
const B = nic('02:00:00:00:00:0b', ['10.0.1.1']);

test('the order in which a cloud lists things says nothing', () => {
  const shuffled = {
    ...topology(B, { ...A, addresses: [A.addresses[0]!, A.addresses[2]!, A.addresses[1]!] }),
  };
  assert.ok(sameTopology(topology(A, B), { ...shuffled, localNetworks: ['10.1.0.0/16', '10.0.0.0/16'] }));
});

test('everything else is a difference', () => {
  const others: [string, Topology][] = [
    ['an interface less', topology(A)],
    ['another primary address', topology({ ...A, addresses: A.addresses.toReversed() }, B)],
    [
      'a public address gone',
      topology(nic(A.mac, ['10.0.0.1'], ['10.0.0.2'], ['10.0.0.3', '203.0.113.3']), B),
    ],
    [
      'a public address moved',
      topology(nic(A.mac, ['10.0.0.1', '203.0.113.1'], ['10.0.0.2', '203.0.113.3'], ['10.0.0.3']), B),
    ],
    ['a name of the OS', topology({ ...A, osName: 'ens5' }, B)],
    ['a subnet', topology({ ...A, subnets: [] }, B)],
    ['a local network', { ...topology(A, B), localNetworks: ['10.0.0.0/16'] }],
    ['a provider', { ...topology(A, B), provider: 'static' }],
  ];
  for (const [what, other] of others) assert.ok(!sameTopology(topology(A, B), other), what);
});

test('changes of mappings, from nothing and from one to the other', () => {
  assert.deepEqual(mappingChanges(undefined, topology(B)), [{ kind: 'added', privateAddress: '10.0.1.1' }]);
  const after = topology(nic(A.mac, ['10.0.0.1', '203.0.113.9'], ['10.0.0.2', '203.0.113.2']), B);
  assert.deepEqual(mappingChanges(topology(A, B), after), [
    { kind: 'remapped', privateAddress: '10.0.0.1', before: '203.0.113.1', after: '203.0.113.9' },
    { kind: 'remapped', privateAddress: '10.0.0.2', after: '203.0.113.2' },
    { kind: 'removed', privateAddress: '10.0.0.3', before: '203.0.113.3' },
  ]);
  assert.deepEqual(mappingChanges(topology(A, B), topology(B, A)), []);
});
