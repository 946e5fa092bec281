import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { answerStun } from '../../src/media/stun.ts';

/** RFC 5769 2.1: a request with long names, an integrity and a fingerprint. */
const request = Buffer.from(
  '000100582112a442b7e7a701bc34d686fa87dfae' +
    '802200105354554e207465737420636c69656e74' +
    '002400046e0001ff' +
    '80290008932ff9b151263b36' +
    '000600096576746a3a68367659202020' +
    '000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2' +
    '80280004e57a3bcf',
  'hex',
);
const ice = { ufrag: 'evtj', password: 'VOkJxbRl1RmTxUk/WvJxBt' };
const source = { address: '192.0.2.1', port: 32_853 };

describe('a connectivity check (RFC 5769)', () => {
  it('is answered with the address that it came from', () => {
    const { response, nominated } = answerStun(request, source, ice)!;
    assert.equal(nominated, false);
    assert.equal(response.readUInt16BE(0), 0x0101);
    assert.equal(response.readUInt16BE(2), response.length - 20);
    assert.deepEqual(response.subarray(4, 20), request.subarray(4, 20));
    // RFC 5769 2.2 has these very bytes.
    assert.equal(response.subarray(20, 32).toString('hex'), '002000080001a147e112a643');
    const sum = (crc32(response.subarray(0, -8)) ^ 0x5354554e) >>> 0;
    assert.equal(response.readUInt32BE(response.length - 4), sum);
  });

  it('by IPv6 too', () => {
    const six = { address: '2001:db8:1234:5678:11:2233:4455:6677', port: 32_853 };
    const { response } = answerStun(request, six, ice)!;
    // RFC 5769 2.3.
    assert.equal(
      response.subarray(20, 44).toString('hex'),
      '002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9',
    );
  });

  it('is met with silence without the right name, password or form', () => {
    assert.equal(answerStun(request, source, { ...ice, password: 'guessed' }), undefined);
    assert.equal(answerStun(request, source, { ...ice, ufrag: 'other' }), undefined);
    assert.equal(answerStun(request, source, { ...ice, ufrag: 'evt' }), undefined);
    for (let length = 0; length < request.length; length++) {
      assert.equal(answerStun(request.subarray(0, length), source, ice), undefined);
    }
    for (let at = 0; at < request.length - 8; at++) {
      const bent = Buffer.from(request);
      bent[at]! ^= 0x40;
      assert.equal(answerStun(bent, source, ice), undefined, `byte ${at}`);
    }
    assert.equal(answerStun(Buffer.concat([request, Buffer.alloc(2000)]), source, ice), undefined);
  });
});
