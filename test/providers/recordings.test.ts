import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const filesBelow = (path: string): string[] =>
  readdirSync(join(root, path), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

test('every recorded document is read by a test', () => {
  const sources = ['providers', 'support', 'discovery', 'lab', 'doctor']
    .flatMap(filesBelow)
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n');
  const documents = filesBelow('fixtures/metadata').filter((path) => !path.endsWith('SOURCES.md'));
  assert.ok(documents.length > 60, `${documents.length}`);
  const unread = documents.filter(
    (path) =>
      !sources.includes(
        path
          .split('/')
          .at(-1)!
          .replace(/\.\w+$/, ''),
      ),
  );
  assert.deepEqual(unread, []);
});
