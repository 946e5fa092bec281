import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { optionList } from '../../src/cli/options.ts';
import { readConfiguration } from '../../src/cli/read-configuration.ts';

async function sourceOf(argv: string[], env: Record<string, string>, file: () => string = () => '') {
  const invocation = await readConfiguration(argv, env, file, { providers: ['ec2'], homeDirectory: '/h' });
  assert.equal(invocation.kind, 'run');
  return (invocation as Extract<typeof invocation, { kind: 'run' }>).source;
}

describe('options that the cloud sets', () => {
  test('stand below flag, variable and file, and above the default', async () => {
    const cloud = {
      realm: 'from-tag',
      advertise: '203.0.113.1',
      'log-level': 'trace',
      domain: 'a.example, b.example',
      'drain-timeout': '2m',
      'DRAIN-ON': 'none',
    };
    const source = await sourceOf(
      ['--realm', 'from-flag', '--config', 'c'],
      { CLOUDSIP_ADVERTISE: '203.0.113.2' },
      () => 'log-level: debug\n',
    );
    const { configuration, warnings } = source.resolve(cloud);
    assert.deepEqual(warnings, []);
    assert.equal(configuration.realm, 'from-flag');
    assert.equal(configuration.advertise, '203.0.113.2');
    assert.equal(configuration.logLevel, 'debug');
    assert.deepEqual(configuration.domains, ['a.example', 'b.example']);
    assert.equal(configuration.drainTimeoutMs, 120_000);
    assert.deepEqual(configuration.drainOn, ['none']);
    const without = source.resolve().configuration;
    assert.deepEqual(without.domains, []);
    assert.equal(without.drainTimeoutMs, 300_000);
    assert.deepEqual(without.drainOn, ['termination', 'reboot', 'scale-in', 'maintenance', 'rebalance']);
  });

  test('that cannot be used are told of with the name of the tag, and leave the default', async () => {
    const source = await sourceOf([], {});
    const { configuration, warnings } = source.resolve({
      'log-level': 'inof',
      listen: 'udp:nowhere:5060:1',
      'log-levle': 'debug',
      alias: 'x'.repeat(5000),
      domain: ' , ',
      [`${'\n'.repeat(300)}`]: 'x',
    });
    assert.equal(configuration.logLevel, 'info');
    assert.deepEqual([configuration.listen, configuration.aliases, configuration.domains], [[], [], []]);
    assert.equal(warnings.length, 5);
    const told = warnings.join('\n');
    assert.match(
      told,
      /the tag cloudsip-log-level: expected one of trace, .*, got "inof"; did you mean info\?; the tag/,
    );
    assert.match(told, /the tag cloudsip-listen: /);
    assert.match(told, /the tag cloudsip-log-levle has no effect: .*did you mean log-level\?/);
    assert.match(told, /the tag cloudsip-alias has no effect: expected 4096 characters/);
    assert.ok(told.length < 2000);
  });

  test('count among ten thousand others, of which a few are told', async () => {
    const source = await sourceOf([], {});
    const strange = Array.from({ length: 10_000 }, (_, index) => [`k${index}`, 'v']);
    const { configuration, warnings } = source.resolve(
      Object.fromEntries([...strange, ['log-level', 'debug']]),
    );
    assert.equal(configuration.logLevel, 'debug');
    assert.equal(warnings.length, 11);
    assert.match(warnings.at(-1)!, /^9990 more tags named cloudsip-… have no effect/);
  });

  test('with the names of what every object has are strange ones', async () => {
    const source = await sourceOf([], {});
    const { configuration, warnings } = source.resolve(JSON.parse('{"__proto__":"x","constructor":"y"}'));
    assert.deepEqual(configuration, source.resolve().configuration);
    assert.equal(warnings.length, 2);
  });

  test('never say where state and secrets lie, which provider or which file', async () => {
    const source = await sourceOf([], {});
    const cloud = {
      config: '/etc/passwd',
      'state-dir': '/tmp',
      provider: 'local',
      static: '{}',
      'record-dir': '/tmp',
      'dtmf-hook': 'http://192.0.2.1/',
    };
    const { configuration, warnings } = source.resolve(cloud);
    assert.deepEqual(configuration, source.resolve().configuration);
    // Each says why.
    assert.deepEqual(
      warnings.map((warning) => warning.replace(/ for .+/, '')),
      Object.keys(cloud).map(
        (name) => `the tag cloudsip-${name} has no effect: a tag cannot set this option,`,
      ),
    );
  });

  test('and cannot be used leave what the same tag said before, as long as it stands', async () => {
    const source = await sourceOf([], {});
    const stunAndDscp = ({ configuration }: ReturnType<typeof source.resolve>) => [
      configuration.dscp,
      configuration.stun,
    ];
    const good = { dscp: 'ef', stun: 'a.example, b.example' };
    const set = [46, ['a.example', 'b.example']];
    assert.deepEqual(stunAndDscp(source.resolve(good)), set);
    const bad = source.resolve({ dscp: 'most', stun: 'a.example' });
    assert.deepEqual(stunAndDscp(bad), set);
    assert.match(
      bad.warnings.join('\n'),
      /^the tag cloudsip-stun: .*two servers.*before still counts\nthe tag/,
    );
    assert.match(bad.warnings.join('\n'), /cloudsip-dscp: .*, got "most"; what it said before still counts$/);
    assert.deepEqual(stunAndDscp(source.resolve({ dscp: '99', stun: 'b.example' })), set, 'nor another one');
    assert.deepEqual(
      stunAndDscp(source.resolve({})),
      stunAndDscp(await sourceOf([], {}).then((s) => s.resolve())),
    );
    const again = source.resolve({ dscp: 'most' });
    assert.equal(again.configuration.dscp, 0, 'what was taken away is over');
    assert.match(again.warnings.join(), /the tag has no effect$/);
  });

  test('are of three kinds: what counts at once, what needs a restart and says why, what is refused and says why', () => {
    const named = (test: (option: (typeof optionList)[number]) => boolean): string[] =>
      optionList.filter(test).map(({ name }) => name);
    assert.deepEqual(
      named(({ notInCloud }) => notInCloud !== undefined),
      ['provider', 'config', 'state-dir', 'record-dir', 'dtmf-hook', 'static'],
    );
    assert.deepEqual(
      named(({ notInCloud, restart }) => notInCloud === undefined && restart !== undefined),
      ['media', 'udp'],
    );
  });
});

test('a file that was changed counts once it was read again; a bad one changes nothing', async () => {
  let text = 'realm: one\n';
  const source = await sourceOf(['--config', 'c'], {}, () => text);
  text = 'realm: two\n';
  assert.equal(source.resolve().configuration.realm, 'one');
  await source.reread();
  assert.equal(source.resolve().configuration.realm, 'two');
  text = 'realm: three\nlog-level: loud\n';
  await assert.rejects(source.reread(), { code: 'usage.file', message: /c:2: log-level: expected one of/ });
  assert.equal(source.resolve().configuration.realm, 'two');
  text = 'realm: [';
  await assert.rejects(source.reread(), { code: 'usage.file' });
  assert.equal(source.resolve().configuration.realm, 'two');
});
