import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Configuration } from '../../src/cli/configuration.ts';
import { readConfiguration } from '../../src/cli/read-configuration.ts';
import { UsageError } from '../../src/cli/usage-error.ts';

async function read(file: string): Promise<Configuration> {
  const invocation = await readConfiguration(['--config', '/etc/c.yaml'], {}, async () => file, {
    isRoot: true,
  });
  assert.ok(invocation.kind === 'run');
  return invocation.configuration;
}

describe('the configuration file', () => {
  test('says what the flags say, under their names', async () => {
    const configuration = await read(`
# a comment
provider: static
log-level: debug
listen:
  - udp:10.0.0.15:5060 as 203.0.113.5:5060
  - tcp:10.0.0.15:5060
domain: example.com        # one of a list needs no list
alias: [sip.example.com, "203.0.113.9:5062"]
rtp-ports: 30000-30100
realm: 007
media: off
static:
  addresses:
    - private: 10.0.0.15
      public: 203.0.113.5
    - {private: "2001:DB8:0::15"}
`);
    assert.equal(configuration.configFile, '/etc/c.yaml');
    assert.equal(configuration.logLevel, 'debug');
    assert.deepEqual(configuration.listen, ['udp:10.0.0.15:5060 as 203.0.113.5:5060', 'tcp:10.0.0.15:5060']);
    assert.deepEqual(configuration.domains, ['example.com']);
    assert.deepEqual(configuration.aliases, ['sip.example.com', '203.0.113.9:5062']);
    assert.deepEqual(configuration.rtpPorts, { from: 30000, to: 30100 });
    assert.equal(configuration.realm, '007', 'as written, not as the number 7');
    assert.equal(configuration.media, 'off', 'a word, not a false');
    assert.deepEqual(configuration.static, {
      addresses: [{ private: '10.0.0.15', public: '203.0.113.5' }, { private: '2001:db8::15' }],
    });
  });

  test('an empty file is a file with nothing to say', async () => {
    for (const file of ['', '# only a comment\n', '---\n']) {
      assert.equal((await read(file)).provider, 'auto');
    }
  });

  test('anchors and aliases serve', async () => {
    const { domains, aliases } = await read('domain: &name example.com\nalias: [*name]\n');
    assert.deepEqual([domains, aliases], [['example.com'], ['example.com']]);
  });

  const expectedStatic = 'a list such as [{private: 10.0.0.15, public: 203.0.113.5}]';
  const wrong: [string, string, string][] = [
    ['an unknown key', 'realm: x\nloglevel: debug\n', '2: loglevel: unknown key; did you mean log-level?'],
    ['another file', 'config: b.yaml\n', '1: config: unknown key: a file cannot name another file'],
    [
      'a wrong value',
      '\n\nmedia: ebpf\n',
      '3: media: expected one of auto, kernel, kernel-xdp, koffi, dgram, off, got "ebpf"',
    ],
    [
      'a wrong item of a list, by its own line',
      'local-network:\n  - 10.0.0.0/8\n  - 10.0.0/8\n',
      '3: local-network: expected a network such as 10.0.0.0/16 or 2001:db8::/56, got "10.0.0/8"',
    ],
    [
      'nothing',
      'realm:\n',
      '1: realm: expected up to 128 characters without quotes, backslashes and control characters, got nothing',
    ],
    ['a list for one', 'udp: [auto]\n', '1: udp: expected one of auto, batched, dgram, got a list'],
    [
      'a map',
      'domain:\n  - a: b\n',
      '2: domain: expected a domain such as example.com, or *.example.com for all names below it, got a map',
    ],
    ['a list at the top', '- realm\n', '1: expected lines such as \'log-level: debug\', got "- realm"'],
    [
      'static without addresses',
      'static: {}\n',
      `1: static.addresses: expected ${expectedStatic}, got nothing`,
    ],
    ['static without content', 'static:\n', '1: static: expected a map with addresses, got nothing'],
    [
      'a name for an address',
      'static:\n  addresses:\n    - private: 10.0.0.15\n      public: sip.example.com\n',
      '4: static.addresses[0].public: expected a numeric address such as 10.0.0.15, got "sip.example.com"',
    ],
    [
      'two families',
      'static: {addresses: [{private: 10.0.0.15, public: "2001:db8::1"}]}\n',
      '1: static.addresses[0].public: expected an address of the same family as 10.0.0.15, got "2001:db8::1"',
    ],
    [
      'an unknown key of the section',
      'static:\n  addresses:\n    - private: 10.0.0.15\n      publik: 203.0.113.5\n',
      '4: static.addresses[0].publik: expected no other keys than private and public, got "203.0.113.5"; did you mean public?',
    ],
    [
      'one private address twice',
      'static:\n  addresses:\n    - private: 10.0.0.15\n    - private: 10.0.0.15\n',
      '4: static.addresses[1].private: expected each private address once, got "10.0.0.15"',
    ],
  ];
  for (const [name, file, sentence] of wrong) {
    test(`refuses ${name}`, async () => {
      await assert.rejects(read(file), (error) => {
        assert.ok(error instanceof UsageError, String(error));
        assert.equal(error.message, `/etc/c.yaml:${sentence}`);
        assert.equal(error.code, 'usage.file');
        return true;
      });
    });
  }

  test('names the line where it is not YAML, and of a key written twice', async () => {
    await assert.rejects(read('realm: x\nlisten: [a\n'), /^UsageError: \/etc\/c\.yaml:[23]: not YAML: /);
    await assert.rejects(read('realm: x\nrealm: y\n'), /^UsageError: \/etc\/c\.yaml:2: not YAML: .*unique/);
  });

  test('says why it cannot be read', async () => {
    const missing = (): never => {
      throw new Error('ENOENT: no such file or directory');
    };
    await assert.rejects(readConfiguration(['--config', '/nowhere.yaml'], {}, missing), {
      code: 'usage.file',
      message: 'cannot read the configuration file /nowhere.yaml: ENOENT: no such file or directory',
    });
  });
});
