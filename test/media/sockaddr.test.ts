import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readSockaddr, writeSockaddr } from '../../src/media/sockaddr.ts';

describe('socket addresses as the kernel has them', () => {
  const view = new DataView(new ArrayBuffer(40));
  for (const [address, length] of [
    ['127.0.0.1', 16],
    ['255.254.253.252', 16],
    ['::1', 28],
    ['::', 28],
    ['2001:db8::', 28],
    ['2001:db8:1:2:3:4:5:6', 28],
    ['2001:db8::a:0:0:1', 28],
  ] as const) {
    it(`writes and reads ${address}`, () => {
      const endpoint = { address, port: 49_170 };
      assert.equal(writeSockaddr(view, 4, endpoint), length);
      assert.deepEqual(readSockaddr(view, 4), endpoint);
      assert.equal(view.getUint16(6), 49_170, 'the port in network order');
    });
  }

  it('reads nothing from nothing', () => {
    assert.equal(readSockaddr(new DataView(new ArrayBuffer(32)), 0), undefined);
  });

  it('refuses a name', () => {
    assert.throws(() => writeSockaddr(view, 0, { address: 'example.com', port: 1 }), TypeError);
  });
});
