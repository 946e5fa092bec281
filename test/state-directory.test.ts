import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { preparePrivateFile, prepareStateDirectory } from '../src/state-directory.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cloudsip-state-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

const mode = (path: string) => statSync(path).mode & 0o777;

describe('the state directory', () => {
  test('is made for its owner alone', () => {
    const made = join(directory, 'a', 'b');
    prepareStateDirectory(made);
    assert.equal(mode(made), 0o700);
  });

  test('is refused, and not tried for ever, where no directory can be made', () => {
    assert.throws(() => prepareStateDirectory('/proc/no/such'), { code: 'ENOENT' });
  });

  test('keeps its mode where it was there before', () => {
    chmodSync(directory, 0o755);
    prepareStateDirectory(directory);
    assert.equal(mode(directory), 0o755);
  });
});

describe('a private file', () => {
  test('is made for its owner alone and keeps what is in it', () => {
    const path = preparePrivateFile(directory, 'x');
    assert.equal(mode(path), 0o600);
    writeFileSync(path, 'kept');
    chmodSync(path, 0o644);
    assert.equal(preparePrivateFile(directory, 'x'), path);
    assert.equal(mode(path), 0o600);
    assert.equal(statSync(path).size, 4);
  });

  test('belongs to whom the directory belongs to', () => {
    const path = preparePrivateFile(directory, 'x');
    assert.equal(statSync(path).uid, statSync(directory).uid);
  });

  test('is never a link to elsewhere', () => {
    const victim = join(directory, 'victim');
    writeFileSync(victim, '', { mode: 0o644 });
    symlinkSync(victim, join(directory, 'x'));
    assert.throws(() => preparePrivateFile(directory, 'x'), { code: 'ELOOP' });
    assert.equal(mode(victim), 0o644);
  });
});
