import assert from 'node:assert/strict';
import { test } from 'node:test';
import { providers } from '../../providers/index.ts';
import { prepareProviders } from '../../src/discovery/prepare-providers.ts';

test('the known providers stay in their order', async () => {
  const prepared = await prepareProviders(providers, { provider: 'auto', stun: ['off'] });
  assert.deepEqual(
    prepared.map(({ name }) => name),
    providers.map(({ name }) => name),
  );
});

test('one STUN server is too few, and the same one twice is one', async () => {
  for (const stun of [['stun.example.com'], ['stun.example.com', 'stun.example.com:3478']]) {
    await assert.rejects(prepareProviders(providers, { provider: 'auto', stun }), {
      code: 'discovery.stun',
      message: /^--stun: expected two servers or more, came stun\.example\.com.*name a second one/,
    });
  }
  await prepareProviders(providers, { provider: 'auto', stun: ['stun.example.com', 'off'] });
});
