import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AddressMapping, NetworkInterface, Topology } from '../../src/discovery/topology.ts';
import { type ListenOptions, planListeners, subnetsByAddress } from '../../src/identity/listener-plan.ts';
import { formatEndpoint } from '../../src/net/address.ts';
import type { Listener } from '../../src/net/listener.ts';

const mapping = (privateAddress: string, publicAddress?: string): AddressMapping => ({
  privateAddress,
  ...(publicAddress !== undefined && { publicAddress }),
  provenance: 'imds',
});
const nic = (mac: string, osName: string | undefined, ...addresses: AddressMapping[]): NetworkInterface => ({
  mac,
  ...(osName !== undefined && { osName }),
  addresses,
  subnets: ['10.0.0.0/24'],
});

const TOPOLOGY: Topology = {
  provider: 'ec2',
  interfaces: [
    nic(
      '02:00:00:00:00:01',
      'ens5',
      mapping('10.0.0.15', '203.0.113.5'),
      mapping('10.0.0.16', '203.0.113.6'),
    ),
    nic('02:00:00:00:00:02', 'ens6', mapping('10.0.1.15'), mapping('2001:db8::15')),
  ],
  localNetworks: ['10.0.0.0/16'],
};
const OWN = ['127.0.0.1', '::1', '10.0.0.15', '10.0.0.16', '10.0.1.15', '2001:DB8:0::15', '172.17.0.1'];

const show = ({ transport, bound, advertised }: Listener): string =>
  `${transport}:${formatEndpoint(bound)}${advertised ? ` as ${formatEndpoint(advertised)}` : ''}`;
const plan = (options: Partial<ListenOptions>, own: Iterable<string> = OWN, topology = TOPOLOGY) => {
  const { listeners, warnings } = planListeners(
    topology,
    { listen: [], transports: ['udp'], ...options },
    own,
  );
  return { listeners: listeners.map(show), warnings };
};

test('without a word: every private address, as its public one where there is one', () => {
  assert.deepEqual(plan({}), {
    listeners: [
      'udp:10.0.0.15:5060 as 203.0.113.5:5060',
      'udp:10.0.0.16:5060 as 203.0.113.6:5060',
      'udp:10.0.1.15:5060',
      'udp:[2001:db8::15]:5060',
    ],
    warnings: [],
  });
});

test('each transport has its own listeners, on its own default port', () => {
  assert.deepEqual(plan({ transports: ['tcp', 'tls'] }, ['10.0.0.15']).listeners, [
    'tcp:10.0.0.15:5060 as 203.0.113.5:5060',
    'tls:10.0.0.15:5061 as 203.0.113.5:5061',
  ]);
});

test('of many addresses that the operating system does not have one sentence tells', () => {
  const many = Array.from({ length: 1000 }, (_, index) => mapping(`10.0.${2 + (index >> 8)}.${index & 255}`));
  const topology = {
    ...TOPOLOGY,
    interfaces: [nic('02:00:00:00:00:01', 'ens5', mapping('10.0.0.15'), ...many)],
  };
  const { listeners, warnings } = plan({}, OWN, topology);
  assert.equal(listeners.length, 1);
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0]!,
    /^10\.0\.2\.0, .*10\.0\.2\.11 and 988 more belong to this machine according to ec2/,
  );
});

test('an address that the operating system does not have is left out with a warning', () => {
  const { listeners, warnings } = plan({}, ['10.0.0.15', '10.0.1.15', '2001:db8::15']);
  assert.equal(listeners.length, 3);
  assert.deepEqual(warnings, [
    '10.0.0.16 belongs to this machine according to ec2, but the operating system does not have it, so nothing listens there. Configure it on ens5 ("ip address add") and it is taken up by itself.',
  ]);
});

test('an entry without "as" gets the discovered public address, one with "as" keeps its own', () => {
  assert.deepEqual(
    plan({
      listen: ['udp:10.0.0.15:5080', 'tcp:10.0.0.16 as sip.example.com', 'udp:10.0.1.15', 'udp:172.17.0.1'],
    }),
    {
      listeners: [
        'udp:10.0.0.15:5080 as 203.0.113.5:5080',
        'tcp:10.0.0.16:5060 as sip.example.com:5060',
        'udp:10.0.1.15:5060',
        'udp:172.17.0.1:5060',
      ],
      warnings: [],
    },
  );
});

test('an "as" that contradicts the cloud is obeyed with a warning', () => {
  const { listeners, warnings } = plan({ listen: ['udp:10.0.0.15 as 198.51.100.1:5099'] });
  assert.deepEqual(listeners, ['udp:10.0.0.15:5060 as 198.51.100.1:5099']);
  assert.match(warnings.join(), /ec2 maps it to 203\.0\.113\.5/);
});

test('--advertise goes before what was discovered and after "as", within its family', () => {
  const { listeners, warnings } = plan({
    advertise: 'sip.example.com:5070',
    listen: ['udp:*', 'tcp:10.0.0.15 as 203.0.113.5'],
  });
  assert.deepEqual(listeners, [
    'udp:10.0.0.15:5060 as sip.example.com:5070',
    'udp:10.0.0.16:5060 as sip.example.com:5070',
    'udp:10.0.1.15:5060 as sip.example.com:5070',
    'udp:[2001:db8::15]:5060 as sip.example.com:5070',
    'tcp:10.0.0.15:5060 as 203.0.113.5:5060',
  ]);
  assert.match(warnings.join(), /both advertised as udp:sip\.example\.com:5070/);
  assert.deepEqual(plan({ advertise: '198.51.100.1', listen: ['udp:[2001:db8::15]'] }).listeners, [
    'udp:[2001:db8::15]:5060',
  ]);
});

test('wildcards are every address of the topology, of their family', () => {
  const v4 = [
    'udp:10.0.0.15:5060 as 203.0.113.5:5060',
    'udp:10.0.0.16:5060 as 203.0.113.6:5060',
    'udp:10.0.1.15:5060',
  ];
  assert.deepEqual(plan({ listen: ['udp:0.0.0.0'] }).listeners, v4);
  assert.deepEqual(plan({ listen: ['udp:[::]'] }).listeners, ['udp:[2001:db8::15]:5060']);
  assert.deepEqual(plan({ listen: ['udp:*'] }).listeners, [...v4, 'udp:[2001:db8::15]:5060']);
});

test('loopback may be listened on, all of it', () => {
  assert.deepEqual(
    plan({ listen: ['udp:127.0.0.9:5060', 'udp:[::1]:0', 'udp:127.0.0.1:0', 'tcp:127.0.0.1:0'] }).listeners,
    ['udp:127.0.0.9:5060', 'udp:[::1]:0', 'udp:127.0.0.1:0', 'tcp:127.0.0.1:0'],
  );
});

test('binding the public address is refused with what to write', () => {
  assert.throws(() => plan({ listen: ['udp:203.0.113.5:5060'] }), {
    name: 'IdentityError',
    code: 'identity.address-not-owned',
    message:
      '203.0.113.5 is the public address in front of 10.0.0.15: write udp:10.0.0.15:5060 as 203.0.113.5:5060',
  });
});

test('other addresses that the machine does not have are refused too', () => {
  assert.throws(() => plan({ listen: ['udp:10.0.0.16'] }, ['10.0.0.15']), {
    code: 'identity.address-not-owned',
    message: /operating system does not have it\. Configure it on ens5/,
  });
  assert.throws(() => plan({ listen: ['udp:192.0.2.9'] }, ['10.0.0.15']), {
    code: 'identity.address-not-owned',
    message: /It has 10\.0\.0\.15\..*write udp:PRIVATE:5060 as 192\.0\.2\.9:5060/,
  });
});

test('duplicates are refused, also those behind a wildcard', () => {
  for (const listen of [
    ['udp:10.0.0.15', 'udp:10.0.0.15:5060'],
    ['udp:*', 'udp:10.0.0.15 as 198.51.100.1'],
    ['udp:[2001:db8::15]', 'udp:[2001:DB8:0:0::15]'],
  ]) {
    assert.throws(() => plan({ listen }), { code: 'identity.duplicate-listener' }, listen.join());
  }
  assert.equal(
    plan({ listen: ['udp:10.0.0.15', 'tcp:10.0.0.15', 'udp:10.0.0.15:5080'] }).listeners.length,
    3,
  );
});

test('a container whose address the cloud does not know is told what to do', () => {
  assert.throws(() => plan({}, ['127.0.0.1', '172.17.0.2']), {
    code: 'identity.no-address',
    message:
      /ec2 tells 10\.0\.0\.15, .*the operating system has 127\.0\.0\.1, 172\.17\.0\.2.*--provider static/,
  });
});

test('the subnets of each address', () => {
  assert.deepEqual(subnetsByAddress(TOPOLOGY).get('2001:db8::15'), ['10.0.0.0/24']);
  assert.equal(subnetsByAddress(TOPOLOGY).size, 4);
});

test('an address that the machine has lost is left out of a running plan as long as another remains', () => {
  const listen = ['udp:10.0.0.15:5060', 'udp:10.0.9.9:5060'];
  assert.throws(() => plan({ listen }), { code: 'identity.address-not-owned' });
  const left = planListeners(TOPOLOGY, { listen, transports: ['udp'], missing: 'leave-out' }, OWN);
  assert.deepEqual(left.listeners.map(show), ['udp:10.0.0.15:5060 as 203.0.113.5:5060']);
  assert.match(left.warnings.join(), /Cannot listen on 10\.0\.9\.9/);
  assert.throws(
    () =>
      planListeners(TOPOLOGY, { listen: listen.slice(1), transports: ['udp'], missing: 'leave-out' }, OWN),
    { code: 'identity.address-not-owned' },
  );
});
