import assert from 'node:assert/strict';
import { test } from 'node:test';
import { harmless, harmlessInLine } from '../../src/cli/harmless.ts';

test('no control character and no turn of the direction gets through; text and line breaks do', () => {
  const controls = Array.from({ length: 0x20 }, (_, code) => code).filter((code) => code !== 0x0a);
  const more = [0x7f, 0x85, 0x9b, 0x200e, 0x200f, 0x2028, 0x2029, 0x202e, 0x2066, 0x2069];
  for (const code of [...controls, ...more]) {
    assert.equal(harmless(`a${String.fromCharCode(code)}b`), 'a?b', `U+${code.toString(16)}`);
  }
  assert.equal(harmless('Grüße,\n"世界" 👋 [1m'), 'Grüße,\n"世界" 👋 [1m');
  assert.equal(harmlessInLine('one\nFAIL forged'), 'one FAIL forged');
});
