import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nodeOf } from '../../src/discovery/metadata-node.ts';
import { namesOption, tagOptions } from '../../src/discovery/tag-options.ts';
import { labelledOptions, taggedOptions } from '../../src/discovery/tagged-options.ts';

describe('options from tags', () => {
  test('are those named cloudsip-…, in any case; the rest is nobody’s business', () => {
    const found = tagOptions([
      ['Name', 'edge\x1b[2J'],
      ['cloudsip-log-level', ' debug '],
      ['CloudSIP-Domain', 'example.com'],
      ['cloudsip-domain', 'example.org'],
      ['cloudsip-realm', ''],
    ]);
    assert.deepEqual(found, { options: { 'log-level': 'debug', domain: 'example.org' }, notes: [] });
  });

  test('that cannot be used are told of without their value, and not many of them', () => {
    const names = [
      'cloudsip-',
      'cloudsip-a b',
      'cloudsip-__proto__',
      'cloudsip-../x',
      `cloudsip-${'x'.repeat(65)}`,
    ];
    const { options, notes } = tagOptions(names.map((name) => [name, 'v']));
    assert.deepEqual(options, {});
    assert.equal(notes.length, 5);
    assert.deepEqual(names.filter(namesOption), []);
    for (const value of ['x'.repeat(1025), 'two\nlines', '\x1b[2J', '\x7f']) {
      const one = tagOptions([['cloudsip-realm', value]]);
      assert.deepEqual(one.options, {});
      assert.equal(
        one.notes[0],
        'The tag "cloudsip-realm" sets no option: its value must be one line of at most 1024 characters.',
      );
    }
  });

  test('stay few, and what is left out is told', () => {
    const many = Array.from({ length: 10_000 }, (_, index) => [`cloudsip-a${index}`, 'x'] as const);
    const { options, notes } = tagOptions(many);
    assert.equal(Object.keys(options).length, 64);
    assert.equal(notes.length, 5);
    assert.match(notes[0]!, /only the first 64 tags named cloudsip-… count/);
  });

  test('come from objects and from words with = or :', () => {
    const tags = nodeOf({ 'cloudsip-udp': 'dgram', other: {}, 'cloudsip-dscp': 46 }, 'http://x');
    assert.deepEqual(taggedOptions(tags).options, { udp: 'dgram', dscp: '46' });
    const words = [
      'cloudsip-udp=dgram',
      'cloudsip-domain:a.example:1',
      'plain',
      'cloudsip-x',
      'cloudsip-_=y',
    ];
    const { options, notes } = labelledOptions(nodeOf(words, 'http://x'));
    assert.deepEqual(options, { udp: 'dgram', domain: 'a.example:1' });
    assert.equal(notes.length, 1);
  });
});
