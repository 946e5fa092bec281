import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { NonceMint } from '../../src/account/nonce.ts';
import { NonceCounts } from '../../src/account/nonce-counts.ts';
import { loadNonceKey, nonceKeyFile } from '../../src/account/nonce-key.ts';

const key = Buffer.alloc(32, 1);

describe('NonceMint', () => {
  const mint = new NonceMint(key, 'cloudsip');

  test('tells when one of its own was issued', () => {
    assert.equal(mint.issuedAt(mint.issue(1_700_000_000_123)), 1_700_000_000_123);
  });

  test('never issues the same twice within a millisecond', () => {
    assert.equal(new Set(Array.from({ length: 1000 }, () => mint.issue(1))).size, 1000);
  });

  test('knows the same nonce after a restart with the same key', () => {
    assert.equal(new NonceMint(Buffer.alloc(32, 1), 'cloudsip').issuedAt(mint.issue(5)), 5);
  });

  test('denies what another key or realm signed, what was altered and what is no nonce', () => {
    const nonce = mint.issue(1_700_000_000_000);
    assert.equal(new NonceMint(Buffer.alloc(32, 2), 'cloudsip').issuedAt(nonce), undefined);
    assert.equal(new NonceMint(key, 'elsewhere').issuedAt(nonce), undefined);
    for (let i = 0; i < nonce.length; i++) {
      const altered = nonce.slice(0, i) + (nonce[i] === 'A' ? 'B' : 'A') + nonce.slice(i + 1);
      assert.equal(mint.issuedAt(altered), undefined, `character ${i}`);
    }
    for (const other of [
      '',
      'x',
      `${nonce}=`,
      `${nonce}A`,
      nonce.slice(1),
      '%'.repeat(nonce.length),
      'x'.repeat(9999),
    ])
      assert.equal(mint.issuedAt(other), undefined, other.slice(0, 50));
  });
});

describe('NonceCounts', () => {
  test('a count must grow', () => {
    const counts = new NonceCounts(10, 1000);
    assert.equal(counts.use('a', 0, 1, 0), true);
    assert.equal(counts.use('a', 0, 1, 0), false);
    assert.equal(counts.use('a', 0, 5, 0), true);
    assert.equal(counts.use('a', 0, 4, 0), false);
    assert.equal(counts.use('b', 0, 1, 0), true);
  });

  test('stays within its bounds and takes what it forgot for used', () => {
    const counts = new NonceCounts(3, 1_000_000);
    for (let n = 1; n <= 10; n++) assert.equal(counts.use(`n${n}`, n, 1, 10), true);
    assert.equal(counts.size, 3);
    assert.equal(counts.use('n2', 2, 1, 10), false, 'forgotten, so a replay for all we know');
    assert.equal(counts.use('n9', 9, 2, 10), true, 'still known');
    assert.equal(counts.use('n11', 11, 1, 11), true, 'issued later than all that is forgotten');
  });

  test('lets the expired go without taking later ones for used', () => {
    const counts = new NonceCounts(3, 1000);
    counts.use('a', 0, 1, 0);
    counts.use('b', 10, 1, 10);
    assert.equal(counts.use('c', 5, 1, 2000), true);
    assert.equal(counts.size, 1);
  });
});

describe('loadNonceKey', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'cloudsip-key-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  test('makes a key that nobody else can read and finds it again', () => {
    const made = loadNonceKey(directory);
    assert.equal(made.length, 32);
    assert.equal(statSync(join(directory, nonceKeyFile)).mode & 0o777, 0o600);
    assert.deepEqual(loadNonceKey(directory), made);
  });

  test('replaces what is no key', () => {
    writeFileSync(join(directory, nonceKeyFile), 'short');
    const made = loadNonceKey(directory);
    assert.deepEqual(readFileSync(join(directory, nonceKeyFile)), made);
    assert.equal(made.length, 32);
  });

  test('makes one for this run where none can be kept', () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    assert.equal(loadNonceKey(join(file, 'below')).length, 32);
  });
});
