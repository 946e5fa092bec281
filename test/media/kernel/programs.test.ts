import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { buildRelayProgram, programsFile } from '../../support/build-relay-program.ts';

test('what is loaded into the kernel is what the source says', async () => {
  const built = await buildRelayProgram();
  assert.equal(await readFile(programsFile, 'utf8'), built, 'run "npm run build:bpf" and commit programs.ts');
});
