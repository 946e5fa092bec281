import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

/** Every module that is loaded with this one, whatever happens then: types cost nothing, `import()` comes later. */
function loadedWith(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  const text = readFileSync(path, 'utf8');
  const imports = text.matchAll(/^(?:import|export) (?!type )[^;]*?from '(\.[^']+)';$/gm);
  for (const [, name = ''] of imports) loadedWith(join(path, '..', name), seen);
  return seen;
}

test('the start of the agent loads no command of rare use and no SDK', () => {
  const loaded = [...loadedWith(join(root, 'src/main.ts'))].map((path) => path.slice(root.length + 1));
  assert.ok(loaded.includes('src/agent.ts'), 'the walk finds what is loaded');
  const heavy = loaded.filter((path) =>
    /^src\/(doctor|cli\/(discover|doctor|drain|provider-check)-)/.test(path),
  );
  assert.deepEqual(heavy, []);
  const sdk = loaded.filter((path) =>
    /from '@(aws-sdk|azure|google-cloud)\//.test(readFileSync(join(root, path), 'utf8')),
  );
  assert.deepEqual(sdk, []);
});
