import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { checkedProvider } from '../../src/discovery/checked-provider.ts';
import { selectProvider } from '../../src/discovery/detect.ts';
import type { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import { loadPlugin } from '../../src/discovery/load-plugin.ts';
import { prepareProviders } from '../../src/discovery/prepare-providers.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

const directory = mkdtempSync(join(tmpdir(), 'cloudsip-plugins-'));
after(() => rmSync(directory, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), text);
}

const TOPOLOGY: Topology = {
  provider: 'mine',
  interfaces: [
    {
      mac: '02:00:00:00:00:01',
      addresses: [{ privateAddress: '10.0.0.5', publicAddress: '203.0.113.5', provenance: 'imds' }],
      subnets: ['10.0.0.0/24'],
    },
  ],
  localNetworks: ['10.0.0.0/16'],
};
const module = (type = '') => `
  export const provider = {
    name: 'mine',
    detect: (facts${type}) => facts.dmi.sys_vendor === 'Mine',
    discover: async () => (${JSON.stringify(TOPOLOGY)}),
  };`;
const context = (clock = new ManualClock()) => ({
  facts: { dmi: {}, interfaces: [] },
  clock,
  log: quietLog(),
  env: {},
  configuration: undefined,
});
const { signal } = new AbortController();

describe('loaded', () => {
  test('TypeScript from a path, relative or absolute', async () => {
    write('mine.ts', module(': { dmi: Record<string, string> }'));
    for (const path of ['./mine.ts', join(directory, 'mine.ts')]) {
      const provider = await loadPlugin(path, directory);
      assert.equal(provider.name, 'mine');
      assert.equal(provider.detect({ dmi: { sys_vendor: 'Mine' }, interfaces: [] }), true);
      assert.deepEqual(await provider.discover(context(), signal), TOPOLOGY);
    }
  });

  for (const [what, name, manifest] of [
    ['a package', 'cloudsip-provider-mine', { main: 'lib/index.js' }],
    ['a package of a scope, for import alone', '@mine/provider', { exports: { import: './lib/index.js' } }],
  ] as const) {
    test(what, async () => {
      write(`node_modules/${name}/package.json`, JSON.stringify({ name, type: 'module', ...manifest }));
      write(`node_modules/${name}/lib/index.js`, module());
      assert.equal((await loadPlugin(name, directory)).name, 'mine');
    });
  }

  test('and taken by its own name, whatever that is', async () => {
    write('mine.ts', module());
    const path = join(directory, 'mine.ts');
    const prepared = await prepareProviders([], { provider: path, stun: ['off'] });
    assert.deepEqual(
      prepared.map(({ name }) => name),
      ['mine'],
    );
    assert.equal(selectProvider(prepared, path, { dmi: {}, interfaces: [] }), prepared[0]);
  });
});

describe('refused', () => {
  const cases: [what: string, specifier: string, files: Record<string, string>, words: RegExp][] = [
    [
      'a path where nothing is',
      './none.ts',
      {},
      /cannot be loaded: .*none\.ts.*Check the path; it starts at the working directory/,
    ],
    [
      'a package that is not installed',
      'cloudsip-provider-none',
      {},
      /cloudsip-provider-none.*Install it with npm/,
    ],
    [
      'a package of TypeScript',
      'typed-provider',
      {
        'node_modules/typed-provider/package.json':
          '{"name": "typed-provider", "type": "module", "main": "index.ts"}',
        'node_modules/typed-provider/index.ts': module(': unknown'),
      },
      /expected a module of JavaScript, came TypeScript below node_modules.*A package ships JavaScript/,
    ],
    [
      'what does not parse',
      './broken.mjs',
      { 'broken.mjs': 'export const = 1;' },
      /expected a module that loads, came "/,
    ],
    ['what throws', './throws.mjs', { 'throws.mjs': 'throw new Error("no\\nway");' }, /came "no"\. Run it/],
    [
      'another export',
      './other.mjs',
      { 'other.mjs': 'export default {};' },
      /expected a named export "provider" with an object, found undefined/,
    ],
    [
      'half a provider',
      './half.mjs',
      { 'half.mjs': 'export const provider = { name: "Half", discover: 1, watch: 2 };' },
      /expected a "name" in lower case, found "Half"; expected a function "detect", found undefined; expected a function "discover", found number; expected a function "watch", found number\. See docs\/providers\.md/,
    ],
  ];
  for (const [what, specifier, files, words] of cases) {
    test(what, async () => {
      for (const [path, text] of Object.entries(files)) write(path, text);
      await assert.rejects(loadPlugin(specifier, directory), (error: DiscoveryError) => {
        assert.equal(error.code, 'discovery.plugin');
        assert.match(error.message, words);
        return true;
      });
    });
  }
});

describe('what a plugin does is checked', () => {
  const mine = (discover: (context: DiscoveryContext) => unknown, more: object = {}) =>
    checkedProvider({ name: 'mine', detect: () => true, discover, ...more }, './mine.ts');

  test('its errors get a code', async () => {
    await assert.rejects(
      mine(() => Promise.reject(new TypeError('fetch failed'))).discover(context(), signal),
      {
        code: 'discovery.plugin',
        message: 'The provider mine failed: fetch failed',
      },
    );
    await assert.rejects(
      mine(() => {
        throw 'words';
      }).discover(context(), signal),
      { code: 'discovery.plugin', message: 'The provider mine failed: words' },
    );
  });

  const [nic] = TOPOLOGY.interfaces;
  const wrong: [topology: unknown, words: RegExp][] = [
    [undefined, /topology: expected an object, found nothing/],
    [{ ...TOPOLOGY, provider: 'yours' }, /provider: expected "mine", found "yours"/],
    [{ ...TOPOLOGY, interfaces: {} }, /interfaces: expected a list of at most 1024, found \{\}/],
    [
      { ...TOPOLOGY, interfaces: Array(1025).fill(nic) },
      /interfaces: expected a list of at most 1024, found "1025 items"/,
    ],
    [
      { ...TOPOLOGY, interfaces: [{ ...nic, mac: '02-00-00-00-00-01' }] },
      /interfaces\[0\]\.mac: expected a MAC address/,
    ],
    [{ ...TOPOLOGY, interfaces: [{ ...nic, subnets: ['10.0.0.0'] }] }, /subnets\[0\]: expected a network/],
    [
      { ...TOPOLOGY, interfaces: [{ ...nic, addresses: [{ privateAddress: 'eth0', provenance: 'imds' }] }] },
      /addresses\[0\]\.privateAddress: expected an IP address, found "eth0"/,
    ],
    [
      {
        ...TOPOLOGY,
        interfaces: [{ ...nic, addresses: [{ privateAddress: '10.0.0.5', provenance: 'guess' }] }],
      },
      /provenance: expected one of imds, api, config, stun, os, found "guess"/,
    ],
    [
      {
        ...TOPOLOGY,
        interfaces: [
          {
            ...nic,
            addresses: [{ privateAddress: '10.0.0.5', publicAddress: 'sip.example.com', provenance: 'imds' }],
          },
        ],
      },
      /publicAddress: expected an IP address, found "sip\.example\.com"/,
    ],
    [
      { ...TOPOLOGY, interfaces: [nic, nic] },
      /interfaces\[1\]\.addresses\[0\]\.privateAddress: expected each address once/,
    ],
    [
      { ...TOPOLOGY, localNetworks: undefined },
      /localNetworks: expected a list of at most 1024, found nothing/,
    ],
    [{ ...TOPOLOGY, notes: [1] }, /notes\[0\]: expected a short text, found 1/],
    [{ ...TOPOLOGY, options: { domain: {} } }, /options\.domain: expected a short text/],
  ];
  for (const [topology, words] of wrong) {
    test(`refused: ${words.source}`, async () => {
      await assert.rejects(mine(() => topology).discover(context(), signal), (error: DiscoveryError) => {
        assert.equal(error.code, 'discovery.plugin');
        assert.match(error.message, words);
        return true;
      });
    });
  }

  test('without watch of its own it is asked again and again', async () => {
    const clock = new ManualClock();
    const abort = new AbortController();
    const changed = Promise.withResolvers<Topology>();
    const next = { ...TOPOLOGY, localNetworks: [] };
    mine(() => next).watch(context(clock), changed.resolve, abort.signal, TOPOLOGY);
    clock.advance(16_500);
    assert.deepEqual(await changed.promise, next);
    abort.abort();
    assert.equal(clock.pending, 0);
  });

  test('what it does with its topology afterwards changes nothing', async () => {
    const own = structuredClone(TOPOLOGY) as unknown as { interfaces: { addresses: object[] }[] };
    const given = await mine(() => own).discover(context(), signal);
    own.interfaces[0]!.addresses[0] = { privateAddress: '0.0.0.0' };
    own.interfaces.length = 0;
    assert.deepEqual(given, TOPOLOGY);
  });

  test('what is no plain value is refused', async () => {
    await assert.rejects(mine(() => ({ ...TOPOLOGY, notes: [() => {}] })).discover(context(), signal), {
      code: 'discovery.plugin',
      message: /expected a plain value/,
    });
  });

  for (const [how, fail] of [
    ['throws', () => assert.fail('no way')],
    ['rejects', () => Promise.reject(new Error('no way'))],
  ] as const) {
    test(`a watch that ${how} is reported, and ends nothing`, async () => {
      const surroundings = context();
      const provider = mine(() => TOPOLOGY, { watch: fail, watchNotices: fail });
      provider.watch(surroundings, () => {}, signal);
      provider.watchNotices?.(surroundings, () => {}, signal);
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(
        surroundings.log.lines.map(({ message }) => message),
        ['the provider failed: the cloud is not watched', 'the provider failed: notices are not watched'],
      );
    });
  }

  test('only what is a notice is one; the rest is reported once', () => {
    const good = { id: '1', kind: 'reboot', source: 'mine', deadline: 1_700_000_000_000 };
    const bad: unknown[] = [
      undefined,
      null,
      'reboot',
      {},
      { ...good, id: '' },
      { ...good, id: 'x'.repeat(201) },
      { ...good, kind: 'constructor' },
      { ...good, deadline: Number.NaN },
      { ...good, deadline: 'soon' },
      { ...good, source: undefined },
      { ...good, withdrawn: false },
      { ...good, acknowledge: true },
    ];
    const surroundings = context();
    const told: unknown[] = [];
    const watchNotices = (_context: unknown, notify: (notice: unknown) => void): void => {
      for (const value of [...bad, good]) notify(value);
    };
    mine(() => TOPOLOGY, { watchNotices }).watchNotices?.(surroundings, (one) => told.push(one), signal);
    assert.deepEqual(told, [good]);
    assert.equal(surroundings.log.lines.length, 1);
  });

  const examination = { topology: TOPOLOGY, listeners: [], rtpPorts: { from: 1, to: 2 } };
  test('findings go through', async () => {
    const findings = [{ check: 'weather', verdict: 'pass', evidence: 'It is fine.' }];
    const provider = mine(() => TOPOLOGY, { examine: () => findings });
    assert.deepEqual(await provider.examine?.(context(), examination, signal), findings);
  });
  for (const findings of [undefined, {}, [1], [{ check: 'x', evidence: 'y', verdict: 'toString' }]]) {
    test(`findings that are none are refused: ${JSON.stringify(findings)}`, async () => {
      const provider = mine(() => TOPOLOGY, { examine: () => findings });
      await assert.rejects(provider.examine!(context(), examination, signal), { code: 'discovery.plugin' });
    });
  }
  test('an examination that never ends is given up', async () => {
    const clock = new ManualClock();
    const provider = mine(() => TOPOLOGY, { examine: () => new Promise(() => {}) });
    const asked = provider.examine!(context(clock), examination, signal);
    clock.advance(60_000);
    await assert.rejects(asked, { code: 'discovery.timeout' });
  });

  test('changes that cannot be used are logged once and change nothing', () => {
    const told: Topology[] = [];
    const surroundings = context();
    const watch = (_context: DiscoveryContext, changed: (next: Topology) => void): void => {
      for (let again = 0; again < 1000; again++) changed({} as Topology);
      changed(TOPOLOGY);
    };
    mine(() => TOPOLOGY, { watch }).watch(surroundings, (next) => told.push(next), signal);
    assert.deepEqual(told, [TOPOLOGY]);
    assert.deepEqual(
      surroundings.log.lines.map(({ level }) => level),
      ['warn'],
    );
  });
});
