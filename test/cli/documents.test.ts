import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { providers } from '../../providers/index.ts';
import { helpText } from '../../src/cli/help.ts';
import { flagOf } from '../../src/cli/option.ts';
import { optionList } from '../../src/cli/options.ts';
import { readConfiguration } from '../../src/cli/read-configuration.ts';
import { readVersion } from '../../src/cli/version.ts';
import { nameTable, readmeTable } from './option-tables.ts';

const root = join(import.meta.dirname, '../..');
/** Without the spaces and dashes that line up the columns of tables. */
const read = (path: string): string =>
  readFileSync(join(root, path), 'utf8').replace(/^\|.*$/gm, (row) =>
    row.replace(/ +\|/g, ' |').replace(/-{3,}/g, '---'),
  );
const readme = read('README.md');
const configurationPage = read('docs/configuration.md');
const architecture = read('docs/architecture.md');

function assertContains(path: string, text: string): void {
  assert.ok(read(path).includes(text), `${path} does not contain this, from the option table:\n\n${text}\n`);
}

describe('the option table is told the same', () => {
  test('in README.md', () => assertContains('README.md', readmeTable()));
  test('in docs/configuration.md', () => assertContains('docs/configuration.md', nameTable()));

  for (const option of optionList) {
    test(`${option.name} has its part in docs/configuration.md and its lines in the help`, () => {
      assertContains('docs/configuration.md', `\n### ${option.name}\n`);
      const words = helpText().replace(/\s+/g, ' ');
      const flag = flagOf(option);
      assert.ok(words.includes(flag === undefined ? ` ${option.name}: ` : ` ${flag} ${option.placeholder} `));
      assert.ok(words.includes(option.summary));
      if (flag !== undefined) assert.ok(words.includes(`Default: ${option.defaultText}.`));
    });
  }

  test('every provider is named', () => {
    for (const { name } of providers) assertContains('docs/configuration.md', `\`${name}\``);
  });
});

test('the help fits a terminal of 100 columns and every character set', () => {
  for (const line of helpText().split('\n')) {
    assert.ok(line.length <= 100, line);
    assert.match(line, /^[\x20-\x7e]*$/);
  }
});

describe('the examples of docs/configuration.md are understood', () => {
  const blocks = [...configurationPage.matchAll(/^```(yaml|sh)\n(.*?)^```$/gms)];
  const names = providers.map((provider) => provider.name);

  test('there are some', () => assert.ok(blocks.length >= 10, `${blocks.length}`));

  for (const [, language, text = ''] of blocks) {
    if (language === 'yaml') {
      test(`file: ${text.split('\n')[0]}`, async () => {
        const invocation = await readConfiguration(['--config', 'c'], {}, () => text, { providers: names });
        assert.equal(invocation.kind, 'run');
      });
      continue;
    }
    for (const line of text.trim().split(/(?<!\\)\n/)) {
      test(line, async () => {
        const words = shellWords(line);
        const start = words.indexOf('cloudsip');
        assert.notEqual(start, -1, 'not a call of cloudsip');
        const env = Object.fromEntries(words.slice(0, start).map((word) => word.split(/=(.*)/s, 2)));
        await readConfiguration(words.slice(start + 1), env, () => '', { providers: names });
      });
    }
  }
});

describe('docs/architecture.md', () => {
  const { overrides } = JSON.parse(read('biome.json')) as {
    overrides: { includes: string[]; linter: object }[];
  };

  for (const { includes, linter } of overrides) {
    const [, rule] = /"message":"([^"]* may know only: [^"]*)\."/.exec(JSON.stringify(linter)) ?? [];
    if (rule === undefined) continue;
    const [room = '', allowed = ''] = rule.split(' may know only: ');
    test(`tells what ${room} may know as the lint rule for ${includes.join()} does`, () => {
      const row = architecture.split('\n').find((line) => line.startsWith(`| \`${room}/\` |`));
      assert.ok(row, `no row for ${room}/`);
      const told = [...row.split('|')[3]!.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
      const expected = allowed
        .split(', ')
        .map((name) => name.replace('src/', ''))
        .filter((name) => name !== room.replace('src/', '') && name !== 'Node itself');
      assert.deepEqual(told, expected);
    });
  }
});

test('links between the documents lead somewhere', () => {
  for (const path of [
    'README.md',
    'CHANGELOG.md',
    'docs/configuration.md',
    'docs/architecture.md',
    'docs/clouds.md',
    'docs/providers.md',
    'docs/doctor.md',
    'docs/operations.md',
  ]) {
    for (const [, target = ''] of read(path).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      assert.ok(existsSync(join(root, dirname(path), target)), `${path} links ${target}`);
    }
  }
});

test('the changelog and the README know this version', () => {
  assert.match(read('CHANGELOG.md'), new RegExp(`^## \\[${readVersion().replaceAll('.', '\\.')}\\]`, 'm'));
  assert.ok(readme.includes(`cloudsip ${readVersion()} on `));
});

/** Words of a line of shell with quotes and continued lines. */
function shellWords(line: string): string[] {
  const joined = line.replaceAll('\\\n', ' ').replace(/(^|\s)#.*$/, '');
  return [...joined.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) => word.replace(/['"]/g, ''));
}
