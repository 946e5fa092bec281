import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { systemCallSource } from '../../src/media/socket-source.ts';
import { loadLibc } from '../../src/net/libc.ts';
import { relayAddress } from './support.ts';

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
const getsockopt = koffi.load(null).func('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']);

function option(fd: number, level: number, name: number): number {
  const value = Buffer.alloc(4);
  const length = Buffer.from([4, 0, 0, 0]);
  assert.equal(getsockopt(fd, level, name, value, length), 0);
  return value.readInt32LE();
}

describe('a media socket', () => {
  for (const [address, level, name] of [
    [relayAddress, 0, 1],
    ['::1', 41, 67],
  ] as const) {
    it(`at ${address} sends with the DSCP that was asked for`, () => {
      for (const dscp of [0, 46]) {
        const source = systemCallSource(loadLibc());
        const fd = source.bind(address, 0, dscp);
        assert.equal(typeof fd, 'number');
        try {
          assert.equal(option(fd as number, level, name), dscp << 2);
        } finally {
          source.close(fd as number);
        }
      }
    });
  }
});
