import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Configuration } from '../../src/cli/configuration.ts';
import { type Invocation, readConfiguration } from '../../src/cli/read-configuration.ts';
import { UsageError } from '../../src/cli/usage-error.ts';

interface Given {
  readonly argv?: readonly string[];
  readonly env?: Record<string, string>;
  /** The content of `c.yaml`. */
  readonly file?: string;
}

const machine = { isRoot: false, homeDirectory: '/home/alice', providers: ['ec2', 'gcp', 'static', 'local'] };

async function invoke({ argv = [], env = {}, file }: Given): Promise<Invocation> {
  const flags = file === undefined ? argv : ['--config', 'c.yaml', ...argv];
  return readConfiguration(
    flags,
    env,
    (path) => {
      if (path !== 'c.yaml' || file === undefined) throw new Error(`ENOENT: ${path}`);
      return file;
    },
    machine,
  );
}

async function configure(given: Given): Promise<Configuration> {
  const invocation = await invoke(given);
  assert.equal(invocation.kind, 'run');
  return invocation.configuration;
}

/** Asserts that the given is refused with exactly this sentence. */
async function refused(given: Given, message: string, code = 'usage.arguments'): Promise<void> {
  await assert.rejects(invoke(given), (error) => {
    assert.ok(error instanceof UsageError, String(error));
    assert.deepEqual(
      { message: error.message, code: error.code, exit: error.exitCode },
      { message, code, exit: 2 },
    );
    return true;
  });
}

describe('without anything given', () => {
  test('every option has its default', async () => {
    assert.deepEqual(await configure({}), {
      provider: 'auto',
      configFile: undefined,
      stateDirectory: '/home/alice/.local/state/cloudsip',
      listen: [],
      advertise: undefined,
      logLevel: 'info',
      domains: [],
      aliases: [],
      localNetworks: [],
      rtpPorts: { from: 10000, to: 20000 },
      stun: ['stun.cloudflare.com:3478', 'stun.l.google.com:19302'],
      realm: 'cloudsip',
      media: 'auto',
      unreadableSdp: 'refuse',
      silentCalls: 'report',
      silenceLimits: { initialMs: 60_000, runningMs: 60_000, heldMs: 1_800_000 },
      dscp: 0,
      sdpOrigin: 'replace',
      mediaPath: 'relay',
      record: 'off',
      recordDirectory: undefined,
      dtmf: 'off',
      dtmfHook: undefined,
      udp: 'auto',
      pollIntervalMs: undefined,
      drainTimeoutMs: 300_000,
      drainOn: ['termination', 'reboot', 'scale-in', 'maintenance', 'rebalance'],
      acknowledgeNotices: 'off',
      static: undefined,
    });
  });

  const places: [string, Record<string, string>, boolean, string][] = [
    ['systemd', { STATE_DIRECTORY: '/var/lib/x:/var/lib/y', XDG_STATE_HOME: '/xdg' }, true, '/var/lib/x'],
    ['root', { XDG_STATE_HOME: '/xdg' }, true, '/var/lib/cloudsip'],
    ['XDG', { XDG_STATE_HOME: '/xdg' }, false, '/xdg/cloudsip'],
    ['a relative XDG, which is invalid', { XDG_STATE_HOME: 'xdg' }, false, '/home/a/.local/state/cloudsip'],
    ['HOME', {}, false, '/home/a/.local/state/cloudsip'],
  ];
  for (const [name, env, isRoot, expected] of places) {
    test(`the state directory follows ${name}`, async () => {
      const invocation = await readConfiguration([], { HOME: '/home/a', ...env }, () => '', { isRoot });
      assert.equal(invocation.kind === 'run' && invocation.configuration.stateDirectory, expected);
    });
  }
});

describe('precedence', () => {
  const file = 'realm: from-file\nlocal-network: [10.3.0.0/16]\n';
  const env = { CLOUDSIP_REALM: 'from-env', CLOUDSIP_LOCAL_NETWORK: '10.2.0.0/16, 10.2.1.0/24,' };
  const argv = ['--realm', 'from-flag', '--local-network=10.1.0.0/16', '--local-network', '10.1.1.0/24'];

  test('flag over environment over file over default', async () => {
    assert.equal((await configure({ argv, env, file })).realm, 'from-flag');
    assert.equal((await configure({ env, file })).realm, 'from-env');
    assert.equal((await configure({ file })).realm, 'from-file');
    assert.equal((await configure({})).realm, 'cloudsip');
  });

  test('a list of a stronger source replaces those of the weaker', async () => {
    const networks = async (given: Given): Promise<readonly string[]> =>
      (await configure(given)).localNetworks;
    assert.deepEqual(await networks({ argv, env, file }), ['10.1.0.0/16', '10.1.1.0/24']);
    assert.deepEqual(await networks({ env, file }), ['10.2.0.0/16', '10.2.1.0/24']);
    assert.deepEqual(await networks({ file }), ['10.3.0.0/16']);
  });

  test('an empty variable counts as absent', async () => {
    assert.equal((await configure({ env: { CLOUDSIP_REALM: '' }, file })).realm, 'from-file');
  });

  test('of one flag given twice the last one counts', async () => {
    assert.equal((await configure({ argv: ['--realm', 'a', '--realm', 'b'] })).realm, 'b');
  });

  test('the file itself is found by flag or by environment', async () => {
    const read = (path: string): string => `realm: ${path}`;
    const realmOf = async (argv: string[], env: Record<string, string>): Promise<unknown> => {
      const invocation = await readConfiguration(argv, env, read, machine);
      return invocation.kind === 'run' && invocation.configuration.realm;
    };
    assert.equal(await realmOf([], { CLOUDSIP_CONFIG: 'e.yaml' }), 'e.yaml');
    assert.equal(await realmOf(['--config=f.yaml'], { CLOUDSIP_CONFIG: 'e.yaml' }), 'f.yaml');
  });
});

describe('values', () => {
  test('each option is read into its type', async () => {
    const configuration = await configure({
      argv: [
        ...['--provider', 'ec2', '--state-dir', '/s', '--log-level=DEBUG', '--advertise', 'SIP.Example.COM.'],
        ...['--listen', ' UDP:10.0.0.15:5060  AS  203.0.113.5:5060 ', '--listen', 'tcp:[2001:db8::1]:5070'],
        ...[
          '--domain',
          'Example.com',
          '--domain=.Example.org',
          '--alias',
          '203.0.113.9',
          '--alias',
          '[2001:DB8:0::2]:5062',
        ],
        ...['--rtp-ports', '30000-30100', '--realm', 'my house', '--media', 'off', '--udp', 'dgram'],
        ...[
          '--unreadable-sdp',
          'pass',
          '--silent-calls=bye',
          '--silence',
          '10, 60,0',
          '--dscp=AF41',
          '--sdp-origin=keep',
          '--media-path=Local-Direct',
          '--record=alice, bob',
          '--record-dir=/r',
          '--dtmf=inband',
          '--dtmf-hook=http://127.0.0.1:80/keys',
          '--stun',
          'Stun.example.com',
          '--stun=192.0.2.1:3479',
        ],
      ],
    });
    assert.deepEqual(configuration, {
      provider: 'ec2',
      configFile: undefined,
      stateDirectory: '/s',
      listen: ['udp:10.0.0.15:5060 as 203.0.113.5:5060', 'tcp:[2001:db8::1]:5070'],
      advertise: 'sip.example.com',
      logLevel: 'debug',
      domains: ['example.com', '*.example.org'],
      aliases: ['203.0.113.9', '[2001:db8::2]:5062'],
      localNetworks: [],
      rtpPorts: { from: 30000, to: 30100 },
      stun: ['stun.example.com', '192.0.2.1:3479'],
      realm: 'my house',
      media: 'off',
      unreadableSdp: 'pass',
      silentCalls: 'bye',
      silenceLimits: { initialMs: 10_000, runningMs: 60_000, heldMs: 0 },
      dscp: 34,
      sdpOrigin: 'keep',
      mediaPath: 'local-direct',
      record: ['alice', 'bob'],
      recordDirectory: '/r',
      dtmf: 'inband',
      dtmfHook: 'http://127.0.0.1/keys',
      udp: 'dgram',
      pollIntervalMs: undefined,
      drainTimeoutMs: 300_000,
      drainOn: ['termination', 'reboot', 'scale-in', 'maintenance', 'rebalance'],
      acknowledgeNotices: 'off',
      static: undefined,
    });
  });

  test('a provider may be a plugin: a path, made absolute, or a package that is no typing error', async () => {
    for (const [given, expected] of [
      ['./mine.ts', join(process.cwd(), 'mine.ts')],
      ['../mine.js', join(process.cwd(), '../mine.js')],
      ['/opt/mine.mjs', '/opt/mine.mjs'],
      ['cloudsip-provider-mycloud', 'cloudsip-provider-mycloud'],
      ['@mine/ec2', '@mine/ec2'],
    ]) {
      assert.equal((await configure({ argv: ['--provider', given!] })).provider, expected);
    }
  });

  const wrong: [string, string, string][] = [
    ['log-level', 'inof', 'one of trace, debug, info, warn, error, fatal, got "inof"; did you mean info?'],
    ['media', 'ebpf', 'one of auto, kernel, kernel-xdp, koffi, dgram, off, got "ebpf"'],
    ['silence', '60', 'three numbers of seconds such as 60,60,1800 (0 is without end), or off, got "60"'],
    ['dscp', '64', 'a number from 0 to 63 or a name such as ef, cs5 or af41, got "64"'],
    ['provider', 'ec3', 'auto or one of ec2, gcp, static, local, got "ec3"; did you mean ec2?'],
    [
      'provider',
      'EC 2',
      'a provider\'s name in lower case, auto, or a plugin: a path such as ./mine.ts, or an npm package, got "EC 2"',
    ],
    ['stun', 'stun:', 'HOST or HOST:PORT, such as stun.example.com:3478, or off, got "stun:"'],
    ['local-network', '10.0.0.0/33', 'a network such as 10.0.0.0/16 or 2001:db8::/56, got "10.0.0.0/33"'],
    [
      'domain',
      'sip:example.com',
      'a domain such as example.com, or *.example.com for all names below it, got "sip:example.com"',
    ],
    ['realm', 'a"b', 'up to 128 characters without quotes, backslashes and control characters, got "a"b"'],
    ['alias', '1.2.3', 'HOST or HOST:PORT, such as sip.example.com or 203.0.113.9:5062, got "1.2.3"'],
  ];
  for (const port of ['20000-10000', '10000', '80-90', '10000-10002', '60000-70000']) {
    wrong.push([
      'rtp-ports',
      port,
      `FIRST-LAST within 1024-65535, at least four ports, such as 10000-20000, got "${port}"`,
    ]);
  }
  for (const [name, value, sentence] of wrong) {
    test(`--${name} ${value} is refused`, async () => {
      await refused({ argv: [`--${name}=${value}`] }, `--${name}: expected ${sentence}`);
    });
  }

  test('a wrong listener is explained by its notation, under the name of the flag', async () => {
    await assert.rejects(invoke({ argv: ['--listen', '10.0.0.15:5060'] }), {
      code: 'usage.arguments',
      message: /^--listen: Expected a listener, .*"10\.0\.0\.15:5060".*udp:10\.0\.0\.15:5060/,
    });
    await assert.rejects(invoke({ env: { CLOUDSIP_ADVERTISE: '0.0.0.0' } }), {
      code: 'usage.environment',
      message: /^CLOUDSIP_ADVERTISE: Expected a host to advertise, /,
    });
  });

  test('a wrong variable is named', async () => {
    await refused(
      { env: { CLOUDSIP_UDP: 'batch' } },
      'CLOUDSIP_UDP: expected one of auto, batched, dgram, got "batch"; did you mean batched?',
      'usage.environment',
    );
  });

  test('a weaker source that is overruled is not looked at', async () => {
    assert.equal((await configure({ argv: ['--udp=auto'], env: { CLOUDSIP_UDP: 'batch' } })).udp, 'auto');
  });
});

describe('the command line', () => {
  test('no command runs the agent', async () => {
    assert.equal((await invoke({})).kind, 'run');
    assert.equal((await invoke({ argv: ['--'] })).kind, 'run');
  });

  test('user gets its arguments, without the options that belong to the agent', async () => {
    const invocation = await invoke({
      file: 'realm: r',
      argv: [
        '--state-dir',
        '/a',
        'user',
        'add',
        'alice',
        '--config=c.yaml',
        '--force',
        '--',
        '--state-dir',
        '/b',
      ],
    });
    assert.ok(invocation.kind === 'user');
    assert.deepEqual(invocation.arguments, ['add', 'alice', '--force', '--', '--state-dir', '/b']);
    assert.equal(invocation.configuration.stateDirectory, '/a');
    assert.equal(invocation.configuration.realm, 'r');
  });

  test('user --help and help user are for the command', async () => {
    for (const argv of [
      ['user', '--help'],
      ['help', 'user'],
    ]) {
      const invocation = await invoke({ argv });
      assert.ok(invocation.kind === 'user');
      assert.deepEqual(invocation.arguments, ['--help']);
    }
  });

  test("a command with flags of its own takes the agent's options on either side of its name", async () => {
    const argv = ['--realm', 'r', 'discover', '--provider', 'ec2', '--json', '--listen=udp:10.0.0.15'];
    const invocation = await invoke({ argv });
    assert.ok(invocation.kind === 'discover');
    assert.deepEqual(invocation.arguments, ['--json']);
    const { realm, provider, listen } = invocation.configuration;
    assert.deepEqual(
      { realm, provider, listen },
      { realm: 'r', provider: 'ec2', listen: ['udp:10.0.0.15:5060'] },
    );
    assert.equal((await invoke({ argv: ['discover', '--help'] })).kind, 'help');
  });

  test('--help, -h and help show the help, whatever else is wrong', async () => {
    for (const argv of [['--help'], ['-h'], ['help'], ['--provder', 'x', '--help'], ['runn', '-h']]) {
      assert.equal((await invoke({ argv })).kind, 'help', argv.join(' '));
    }
  });

  test('--version', async () => {
    assert.equal((await invoke({ argv: ['--version'] })).kind, 'version');
  });

  const wrong: [string[], string][] = [
    [['--provder', 'ec2'], 'unknown option --provder; did you mean --provider?'],
    [['--rtp=1'], 'unknown option --rtp; did you mean --rtp-ports?'],
    [['-realm'], 'unknown option -realm; did you mean --realm?'],
    [['--static', 'x'], "unknown option --static; 'cloudsip --help' lists the options"],
    [['-x'], "unknown option -x; 'cloudsip --help' lists the options"],
    [['usr'], 'unknown command "usr"; did you mean user?'],
    [
      ['serve'],
      "unknown command \"serve\"; expected 'user', 'discover', 'doctor', 'calls', 'drain', 'record', 'provider-check', 'help' or nothing, which runs the agent",
    ],
    [['--', '--help'], 'unknown command "--help"; did you mean help?'],
    [['discover', '--jsn'], 'unknown option --jsn; did you mean --json?'],
    [['discover', '--json=1'], '--json takes no value'],
    [['discover', 'ec2'], 'unexpected "ec2" after discover; expected --json or options of the agent'],
    [['--json'], "unknown option --json; 'cloudsip --help' lists the options"],
    [['--realm'], '--realm needs a value: --realm REALM'],
    [['--alias', '--realm', 'x'], "--alias needs a value: --alias 'HOST[:PORT]'"],
  ];
  for (const [argv, message] of wrong) {
    test(`cloudsip ${argv.join(' ')} is refused`, () => refused({ argv }, message));
  }

  test('a variable that looks like a typing error is told, others are not ours', async () => {
    const invocation = await invoke({
      env: { CLOUDSIP_LOGLEVEL: 'debug', CLOUDSIP_METADATA_ENDPOINT: 'x', CLOUDSIP_REALM: 'r' },
    });
    assert.deepEqual(invocation.kind === 'run' && invocation.warnings, [
      'the environment variable CLOUDSIP_LOGLEVEL has no effect; did you mean CLOUDSIP_LOG_LEVEL?',
    ]);
  });
});
