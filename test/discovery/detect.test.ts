import assert from 'node:assert/strict';
import { test } from 'node:test';
import { providers } from '../../providers/index.ts';
import { discover, selectProvider } from '../../src/discovery/detect.ts';
import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { MachineFacts } from '../../src/discovery/machine-facts.ts';
import type { DiscoveryContext, Provider } from '../../src/discovery/provider.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

const machine = (dmi: MachineFacts['dmi']): MachineFacts => ({ dmi, interfaces: [] });

test('a provider is taken by name whatever the machine is', () => {
  assert.equal(selectProvider(providers, 'static', machine({ board_vendor: 'Amazon EC2' })).name, 'static');
  assert.equal(selectProvider(providers, 'local', machine({ board_vendor: 'Amazon EC2' })).name, 'local');
});

test('an unknown name is answered with the known ones', () => {
  assert.throws(() => selectProvider(providers, 'aws', machine({})), {
    name: 'DiscoveryError',
    code: 'discovery.unknown-provider',
    message: `There is no provider "aws". Known ones: ${['auto', ...providers.map(({ name }) => name)].join(', ')}. Write one of them after --provider.`,
  });
});

const context: DiscoveryContext = {
  facts: machine({}),
  clock: new ManualClock(),
  log: quietLog(),
  env: {},
  configuration: undefined,
};

const silent: Provider = {
  name: 'silent',
  detect: () => true,
  discover: () =>
    Promise.reject(new DiscoveryError('discovery.metadata-unreachable', 'GET http://cloud/: nothing came.')),
  watch: () => {},
};
const local = providers.find((provider) => provider.name === 'local')!;

test('a silent cloud is never replaced by private addresses without a word', async () => {
  const { signal } = new AbortController();
  await assert.rejects(discover([silent, local], 'auto', context, signal), (error: DiscoveryError) => {
    assert.equal(error.code, 'discovery.metadata-unreachable');
    assert.match(error.message, /^GET http:\/\/cloud\/: nothing came\./);
    assert.match(error.message, /--provider local --advertise HOST/);
    assert.match(error.message, /--provider static/);
    return true;
  });
});

test('a provider that was asked for by name fails with its own words', async () => {
  const { signal } = new AbortController();
  await assert.rejects(discover([silent, local], 'silent', context, signal), {
    message: 'GET http://cloud/: nothing came.',
  });
});

test('auto tries local last wherever it stands', async () => {
  const cloud: Provider = {
    ...silent,
    name: 'cloud',
    discover: () => Promise.resolve({ provider: 'cloud', interfaces: [], localNetworks: [] }),
  };
  const { signal } = new AbortController();
  const { provider, topology } = await discover([local, cloud], 'auto', context, signal);
  assert.equal(provider, cloud);
  assert.equal(topology.provider, 'cloud');
});
