import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ownText } from '../../src/net/own-text.ts';

describe('own text', () => {
  it('is the same text', () => {
    for (const text of ['', '10.0.0.1', '2001:db8::1234:5678', 'Größe der Straße 中文']) {
      assert.equal(ownText(`before ${text} behind`.slice(7, 7 + text.length)), text);
    }
  });

  it('does not keep what it was cut out of', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const before = process.memoryUsage().heapUsed;
    const kept = Array.from({ length: 200 }, (_, i) => {
      const message = Buffer.alloc(100_000, 0x61).toString('latin1') + String(i);
      return ownText(message.slice(50_000, 50_020));
    });
    collect();
    // 20 MB of messages, of which nothing but 4 kB is needed.
    assert.ok(process.memoryUsage().heapUsed - before < 5e6);
    assert.ok(kept.every((text) => text.length === 20));
  });
});
