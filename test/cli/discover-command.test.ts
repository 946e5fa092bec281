import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { runDiscoverCommand } from '../../src/cli/discover-command.ts';
import { readConfiguration } from '../../src/cli/read-configuration.ts';
import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { Provider } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import { systemClock } from '../../src/net/clock.ts';

/** 127.0.0.0/8 is what every machine owns, so it can be listened on. */
const found: Topology = {
  provider: 'heaven',
  interfaces: [
    {
      mac: '02:00:00:00:00:01',
      osName: 'ens5',
      id: 'eni-1',
      mtu: 9001,
      subnets: ['127.0.0.0/24'],
      addresses: [
        {
          privateAddress: '127.0.0.15',
          publicAddress: '203.0.113.5',
          provenance: 'imds',
          disagreements: [{ provenance: 'api', publicAddress: '203.0.113.9' }, { provenance: 'stun' }],
        },
        { privateAddress: '127.0.0.16', provenance: 'imds', publicUnknown: true },
        { privateAddress: '10.255.254.253', provenance: 'imds' },
      ],
    },
    { mac: '02:00:00:00:00:02', subnets: [], addresses: [] },
  ],
  localNetworks: ['127.0.0.0/16'],
  options: { 'log-level': 'debug', 'local-network': '10.9.0.0/16', colour: 'red' },
  notes: ['Heaven tells no weather.'],
};

function heaven(discover: Provider['discover'] = async () => found): Provider {
  return { name: 'heaven', detect: () => true, discover, watch: () => {} };
}

async function run(
  argv: readonly string[],
  provider: Provider = heaven(),
): Promise<{ code: number; stdout: string; stderr: string }> {
  const invocation = await readConfiguration(['discover', ...argv], {}, () => '');
  assert.ok(invocation.kind === 'discover');
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const code = await runDiscoverCommand(invocation, {
    providers: [provider],
    clock: systemClock,
    env: {},
    stdout,
    stderr,
  }).finally(() => [stdout.end(), stderr.end()]);
  return { code, stdout: await text(stdout), stderr: await text(stderr) };
}

describe('cloudsip discover', () => {
  test('shows a table with what is unknown, what disagrees and what the options of tags are', async () => {
    const { code, stdout, stderr } = await run(['--local-network', '10.8.0.0/16']);
    assert.equal(stderr, '');
    assert.equal(code, 0);
    assert.equal(
      stdout.replace(/asked in \d+ ms/, 'asked in N ms'),
      `heaven, asked in N ms

  interface  private         public       where from         listener
  ens5       127.0.0.15      203.0.113.5  instance metadata  udp 5060
             127.0.0.16      unknown      instance metadata  udp 5060
             10.255.254.253  none         instance metadata  -

Local networks: 127.0.0.0/16, 10.8.0.0/16 (told the bound address)
Options of tags: log-level=debug, local-network=10.9.0.0/16, colour=red

! 127.0.0.15: instance metadata says 203.0.113.5, but cloud API says 203.0.113.9; the former is used.
! 127.0.0.15: instance metadata says 203.0.113.5, but STUN says that no public address stands in front; the former is used.
! What stands in front of 127.0.0.16 could not be found out: name it with --listen 'udp:ADDRESS as PUBLIC' or --advertise.
! Heaven tells no weather.
! the tag cloudsip-colour has no effect: there is no such option
! 10.255.254.253 belongs to this machine according to heaven, but the operating system does not have it, so nothing listens there. Configure it on ens5 ("ip address add") and it is taken up by itself.
`,
    );
  });

  test('shows what a listener claims where that is not what the cloud says', async () => {
    const { stdout } = await run([
      '--listen',
      'udp:127.0.0.15:5080 as sip.example.com',
      '--listen=udp:127.0.0.16:5070',
    ]);
    assert.match(stdout, /127\.0\.0\.15 .* udp 5080 as sip\.example\.com:5080$/m);
    assert.match(stdout, /127\.0\.0\.16 .* udp 5070$/m);
  });

  test('tells the same as JSON, with every key in every place', async () => {
    const { code, stdout } = await run(['--json']);
    assert.equal(code, 0);
    const { askedMs, warnings, ...rest } = JSON.parse(stdout);
    assert.ok(Number.isInteger(askedMs));
    assert.equal(warnings.length, 2);
    assert.deepEqual(rest, {
      provider: 'heaven',
      interfaces: [
        {
          name: 'ens5',
          mac: '02:00:00:00:00:01',
          id: 'eni-1',
          mtu: 9001,
          subnets: ['127.0.0.0/24'],
          addresses: [
            {
              private: '127.0.0.15',
              public: '203.0.113.5',
              publicUnknown: false,
              from: 'imds',
              disagreements: [
                { from: 'api', public: '203.0.113.9' },
                { from: 'stun', public: null },
              ],
              listeners: ['udp:127.0.0.15:5060'],
            },
            {
              private: '127.0.0.16',
              public: null,
              publicUnknown: true,
              from: 'imds',
              disagreements: [],
              listeners: ['udp:127.0.0.16:5060'],
            },
            {
              private: '10.255.254.253',
              public: null,
              publicUnknown: false,
              from: 'imds',
              disagreements: [],
              listeners: [],
            },
          ],
        },
        { name: null, mac: '02:00:00:00:00:02', id: null, mtu: null, subnets: [], addresses: [] },
      ],
      listeners: [
        { transport: 'udp', bound: '127.0.0.15:5060', advertised: '203.0.113.5:5060' },
        { transport: 'udp', bound: '127.0.0.16:5060', advertised: null },
      ],
      localNetworks: ['127.0.0.0/16', '10.9.0.0/16'],
      options: { 'log-level': 'debug', 'local-network': '10.9.0.0/16', colour: 'red' },
      notes: ['Heaven tells no weather.'],
    });
  });

  test('shows what was found and ends with 1 where nothing can be listened on', async () => {
    const { code, stdout, stderr } = await run(['--listen', 'udp:203.0.113.5']);
    assert.equal(code, 1);
    assert.match(stdout, /127\.0\.0\.15/);
    assert.match(
      stderr,
      /^cloudsip: 203\.0\.113\.5 is the public address in front of 127\.0\.0\.15: write udp:/,
    );
  });

  test('prints nothing of a tag, a note or a name that would command the terminal or forge a line', async () => {
    const esc = '\x1b]0;owned\x07\x9b2J\u202e\nforged';
    const [nic] = found.interfaces;
    const hostile: Topology = {
      ...found,
      interfaces: [{ ...nic!, osName: `ens${esc}` }],
      options: { realm: esc, [`x${esc}`]: 'y' },
      notes: [esc],
    };
    const { stdout } = await run(
      [],
      heaven(async () => hostile),
    );
    assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]|^forged/m);
  });

  test('rejects with the error of a cloud that does not answer', async () => {
    const silent = heaven(async () => {
      throw new DiscoveryError('discovery.metadata-timeout', 'No answer came.');
    });
    await assert.rejects(run([], silent), { code: 'discovery.metadata-timeout' });
  });
});
