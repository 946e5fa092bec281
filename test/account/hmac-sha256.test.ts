import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, test } from 'node:test';
import { hmacSha256 } from '../../src/account/hmac-sha256.ts';

describe('hmacSha256', () => {
  test('RFC 4231 4.2 and 4.7', () => {
    assert.equal(
      hmacSha256(Buffer.alloc(20, 0x0b))(Buffer.from('Hi There')).toString('hex'),
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    );
    assert.equal(
      hmacSha256(Buffer.alloc(131, 0xaa))(
        Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First'),
      ).toString('hex'),
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    );
  });

  test('agrees with the one of Node, time after time', () => {
    for (const keyBytes of [0, 1, 32, 64, 65]) {
      const key = Buffer.alloc(keyBytes, 9);
      const sign = hmacSha256(key);
      for (const textBytes of [0, 12, 100]) {
        const text = Buffer.alloc(textBytes, 5);
        assert.deepEqual(sign(text), createHmac('sha256', key).update(text).digest());
      }
    }
  });
});
