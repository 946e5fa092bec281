import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { showStatus } from '../../src/cli/show-status.ts';
import { listenerRows, type Status, servers, statusTable } from '../../src/cli/status-table.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import type { Endpoint } from '../../src/net/address.ts';
import type { Listener, TransportName } from '../../src/net/listener.ts';

const topology: Topology = {
  provider: 'ec2',
  interfaces: [
    {
      mac: '02:00:00:00:00:01',
      osName: 'ens5',
      addresses: [
        { privateAddress: '10.0.0.15', publicAddress: '203.0.113.5', provenance: 'imds' },
        { privateAddress: '10.0.0.16', provenance: 'imds' },
        { privateAddress: '2001:db8::15', provenance: 'os' },
      ],
      subnets: ['10.0.0.0/24'],
    },
    {
      mac: '02:00:00:00:00:02',
      addresses: [{ privateAddress: '10.0.1.7', publicAddress: '203.0.113.7', provenance: 'api' }],
      subnets: ['10.0.1.0/24'],
    },
  ],
  localNetworks: ['10.0.0.0/16'],
};

const at = (address: string, port = 5060): Endpoint => ({ address, port });
const listener = (transport: TransportName, bound: Endpoint, advertised?: Endpoint): Listener => ({
  transport,
  bound,
  advertised,
});
const status: Status = {
  version: '0.1.0',
  listeners: [
    listener('udp', at('10.0.0.15'), at('203.0.113.5')),
    listener('tcp', at('10.0.0.15'), at('203.0.113.5')),
  ],
  topology,
  domains: [],
  readyAfterMs: 212.4,
};
const accounts = [
  { name: 'alice', password: 'first-password' },
  { name: 'bob', password: 'second-password' },
];

describe('listenerRows', () => {
  const cases: [string, Listener, string, string][] = [
    [
      'the mapping of its address',
      listener('udp', at('10.0.0.15'), at('203.0.113.5')),
      'ens5',
      'instance metadata',
    ],
    [
      'the other interface',
      listener('udp', at('10.0.1.7'), at('203.0.113.7')),
      '02:00:00:00:00:02',
      'cloud API',
    ],
    ['nothing in front', listener('udp', at('10.0.0.16')), 'ens5', 'instance metadata'],
    ['IPv6 in another spelling', listener('udp', at('2001:DB8:0::15')), 'ens5', 'operating system'],
    ['what a person wrote', listener('udp', at('10.0.0.15'), at('sip.example.com')), 'ens5', 'configuration'],
    ['every address', listener('udp', at('0.0.0.0'), at('203.0.113.7')), '02:00:00:00:00:02', 'cloud API'],
    ['an address unknown to discovery', listener('udp', at('127.0.0.1')), '-', 'operating system'],
  ];
  for (const [name, one, nic, learned] of cases) {
    test(name, () => {
      const [row] = listenerRows([one], topology);
      assert.deepEqual([row?.interface, row?.learned], [nic, learned]);
    });
  }
});

describe('servers', () => {
  test('joins the transports of one place and keeps places apart', () => {
    const listeners = [
      ...status.listeners,
      listener('udp', at('2001:db8::15', 5070)),
      listener('udp', at('0.0.0.0')),
    ];
    assert.deepEqual(servers({ listeners, domains: [] }), [
      { endpoint: '203.0.113.5:5060', transports: ['udp', 'tcp'], addressOfRecord: 'sip:NAME@203.0.113.5' },
      { endpoint: '[2001:db8::15]:5070', transports: ['udp'], addressOfRecord: 'sip:NAME@[2001:db8::15]' },
    ]);
  });

  test('the address of record has the domain where one is served', () => {
    const [server] = servers({ ...status, domains: ['*.example.org', 'example.com'] });
    assert.equal(server?.addressOfRecord, 'sip:NAME@example.com');
  });
});

test('the table of a first start', () => {
  assert.equal(
    statusTable(status, accounts),
    `cloudsip 0.1.0 on ec2, ready after 212 ms

  transport  bound           advertised        interface  learned from
  udp        10.0.0.15:5060  203.0.113.5:5060  ens5       instance metadata
  tcp        10.0.0.15:5060  203.0.113.5:5060  ens5       instance metadata

Reach it as:    sip:alice@203.0.113.5
Local networks: 10.0.0.0/16 (told the bound address)

First start: these accounts were made. They are shown here once; 'cloudsip user list' shows them again.

  name   password         server            transport
  alice  first-password   203.0.113.5:5060  udp, tcp
  bob    second-password  203.0.113.5:5060  udp, tcp
`,
  );
});

test('the table of a later start has no account in it', () => {
  const text = statusTable(status);
  assert.match(text, /^Accounts: {7}'cloudsip user list' shows them$/m);
  assert.doesNotMatch(text, /password/);
});

test('accounts are told the server that is reached best', () => {
  const all = [
    listener('udp', at('127.0.0.1')),
    listener('udp', at('2001:db8::15')),
    listener('udp', at('10.0.0.16')),
    listener('udp', at('10.0.0.15'), at('203.0.113.5')),
  ];
  const told = (listeners: Listener[]): string =>
    / first-password +(\S+)/.exec(statusTable({ ...status, listeners }, accounts))![1]!;
  assert.equal(told(all), '203.0.113.5:5060');
  assert.equal(told(all.slice(0, 3)), '10.0.0.16:5060');
  assert.equal(told(all.slice(0, 2)), '[2001:db8::15]:5060');
  assert.equal(told(all.slice(0, 1)), '127.0.0.1:5060');
});

describe('showStatus', () => {
  const show = (isTTY: boolean): { written: string; logged: [object, string][] } => {
    const logged: [object, string][] = [];
    let written = '';
    const output = { isTTY, write: (text: string) => (written += text) !== '' };
    showStatus(
      status,
      accounts,
      { info: (details, message) => logged.push([details, message]) },
      output as unknown as NodeJS.WriteStream,
    );
    return { written, logged };
  };

  test('writes the table to a terminal and logs nothing', () => {
    const { written, logged } = show(true);
    assert.equal(written, `\n${statusTable(status, accounts)}\n`);
    assert.deepEqual(logged, []);
  });

  test('logs lines elsewhere, never a password', () => {
    const { written, logged } = show(false);
    assert.equal(written, '');
    assert.deepEqual(
      logged.map(([, message]) => message),
      ['listening', 'listening', 'ready', "accounts: 'cloudsip user list' shows them"],
    );
    assert.doesNotMatch(JSON.stringify(logged), /(first|second)-password/);
    assert.deepEqual(logged[2]![0], {
      version: '0.1.0',
      provider: 'ec2',
      localNetworks: ['10.0.0.0/16'],
      reach: ['sip:NAME@203.0.113.5'],
      readyAfterMs: 212,
    });
  });
});
