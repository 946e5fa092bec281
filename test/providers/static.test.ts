import assert from 'node:assert/strict';
import { test } from 'node:test';
import { staticMapping } from '../../providers/static.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { OsInterface } from '../../src/net/os-interfaces.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

const ETH0: OsInterface = {
  name: 'eth0',
  mac: '02:00:00:00:00:01',
  internal: false,
  addresses: [
    { address: '10.0.0.15', prefixLength: 24, family: 'ipv4' },
    { address: '2001:db8::15', prefixLength: 64, family: 'ipv6' },
  ],
};

const contextOf = (configuration: unknown): DiscoveryContext => ({
  facts: { dmi: {}, interfaces: [ETH0] },
  clock: new ManualClock(),
  log: quietLog(),
  env: {},
  configuration,
});
const discover = (configuration: unknown) =>
  staticMapping.discover(contextOf(configuration), new AbortController().signal);

test('the mapping of the configuration, joined to the interfaces of the machine', async () => {
  const topology = await discover({
    addresses: [
      { private: '10.0.0.15', public: '203.0.113.5' },
      { private: '2001:DB8:0::15', public: null },
      { private: '10.7.0.1', public: '203.0.113.6' },
    ],
  });
  assert.deepEqual(topology, {
    provider: 'static',
    interfaces: [
      {
        mac: '02:00:00:00:00:01',
        osName: 'eth0',
        addresses: [
          { privateAddress: '10.0.0.15', publicAddress: '203.0.113.5', provenance: 'config' },
          { privateAddress: '2001:db8::15', provenance: 'config' },
        ],
        subnets: ['10.0.0.0/24', '2001:db8::/64'],
      },
      {
        mac: '00:00:00:00:00:00',
        addresses: [{ privateAddress: '10.7.0.1', publicAddress: '203.0.113.6', provenance: 'config' }],
        subnets: [],
      },
    ],
    localNetworks: ['10.0.0.0/24'],
  });
});

test('local networks of the configuration go before those of the machine', async () => {
  const topology = await discover({ addresses: [{ private: '10.0.0.15' }], localNetworks: ['10.0.0.0/8'] });
  assert.deepEqual(topology.localNetworks, ['10.0.0.0/8']);
  assert.deepEqual(
    (await discover({ addresses: [{ private: '10.0.0.15' }], localNetworks: [] })).localNetworks,
    [],
  );
});

test('a public address equal to the private one says that nothing stands in front', async () => {
  const { interfaces } = await discover({ addresses: [{ private: '10.0.0.15', public: '10.0.0.15' }] });
  assert.deepEqual(interfaces[0]?.addresses, [{ privateAddress: '10.0.0.15', provenance: 'config' }]);
});

const WRONG: [configuration: unknown, words: RegExp][] = [
  [undefined, /^static: expected a mapping, came nothing\. Write for instance static:/],
  [[], /^static: expected a mapping, came \[\]/],
  [{}, /^static\.addresses: expected a list of one or more, came nothing/],
  [{ addresses: [] }, /^static\.addresses: expected a list of one or more, came \[\]/],
  [{ addresses: ['10.0.0.15'] }, /^static\.addresses\[0\]: expected a mapping, came "10\.0\.0\.15"/],
  [
    { addresses: [{ public: '203.0.113.5' }] },
    /^static\.addresses\[0\]\.private: expected a numeric IP address.*came nothing/,
  ],
  [{ addresses: [{ private: 'sip.example.com' }] }, /--advertise.*came "sip\.example\.com"/],
  [{ addresses: [{ private: '0.0.0.0' }] }, /^static\.addresses\[0\]\.private/],
  [
    { addresses: [{ private: '10.0.0.15', pubic: '203.0.113.5' }] },
    /unknown key "pubic"\. Known ones: private, public\./,
  ],
  [{ addresses: [{ private: '10.0.0.15', public: '2001:db8::1' }] }, /same family as 10\.0\.0\.15/],
  [
    { addresses: [{ private: '10.0.0.15' }, { private: '10.0.0.15' }] },
    /private address 10\.0\.0\.15 stands in two/,
  ],
  [
    {
      addresses: [
        { private: '10.0.0.15', public: '203.0.113.5' },
        { private: '10.0.0.16', public: '203.0.113.5' },
      ],
    },
    /public address 203\.0\.113\.5 stands in two/,
  ],
  [
    { addresses: [{ private: '10.0.0.15' }], localNetworks: '10.0.0.0/8' },
    /^static\.localNetworks: expected a list of CIDRs/,
  ],
  [
    { addresses: [{ private: '10.0.0.15' }], localNetworks: ['vpc'] },
    /^static\.localNetworks\[0\]: expected a CIDR/,
  ],
];
for (const [configuration, words] of WRONG) {
  test(`refuses ${JSON.stringify(configuration)}`, async () => {
    await assert.rejects(discover(configuration), { code: 'discovery.configuration', message: words });
  });
}

test('it is never detected', () => {
  assert.equal(staticMapping.detect({ dmi: {}, interfaces: [] }), false);
});
