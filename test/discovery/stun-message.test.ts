import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { bindingRequest, readStunAnswer } from '../../src/discovery/stun-message.ts';
import type { Endpoint } from '../../src/net/address.ts';
import { attribute, errorCode, fingerprinted, stunAnswer } from '../support/fake-stun.ts';

const id = Buffer.from('0123456789ab');
const request = bindingRequest(id);
const mappedIn = (message: Buffer, transactionId: Buffer): Endpoint | undefined => {
  const answer = readStunAnswer(message, transactionId);
  return answer?.kind === 'mapped' ? answer.mapped : undefined;
};
const V4 = { address: '203.0.113.5', port: 40_000 };

test('a request is a header with the magic cookie and the transaction ID', () => {
  assert.equal(request.toString('hex'), `000100002112a442${id.toString('hex')}`);
});

/** RFC 5769 2.2 and 2.3, whose transaction ID is in both; their integrity is not checked: nothing was agreed. */
const RFC_5769_ID = Buffer.from('b7e7a701bc34d686fa87dfae', 'hex');
test('the vectors of RFC 5769', () => {
  const ipv4 = Buffer.from(
    '0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96',
    'hex',
  );
  const ipv6 = Buffer.from(
    '010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c',
    'hex',
  );
  assert.deepEqual(mappedIn(ipv4, RFC_5769_ID), { address: '192.0.2.1', port: 32_853 });
  assert.deepEqual(mappedIn(ipv6, RFC_5769_ID), {
    address: '2001:db8:1234:5678:11:2233:4455:6677',
    port: 32_853,
  });
});

describe('taken', () => {
  const software = attribute(0x8022, Buffer.from('server'));
  const old = attribute(0x0001, Buffer.from([0, 1, 0, 80, 192, 0, 2, 9]));
  for (const [what, message] of [
    ['with a fingerprint', fingerprinted(stunAnswer(request, V4))],
    ['with the plain address of an old server beside it', stunAnswer(request, V4, { before: [old] })],
    ['with what need not be understood', stunAnswer(request, V4, { before: [software], after: [software] })],
    [
      'the first of two',
      stunAnswer(request, V4, {
        after: [stunAnswer(request, { ...V4, address: '192.0.2.66' }).subarray(20)],
      }),
    ],
  ] as const) {
    test(what, () => assert.deepEqual(mappedIn(message, id), V4));
  }
});

/** An error answer with these attributes. */
function refusal(...attributes: Buffer[]): Buffer {
  const header = Buffer.from(request);
  header.writeUInt16BE(0x0111, 0);
  header.writeUInt16BE(Buffer.concat(attributes).length, 2);
  return Buffer.concat([header, ...attributes]);
}

describe('an error', () => {
  // RFC 8489 14.15: 0x8023 names the server to ask instead.
  const alternate = attribute(0x8023, Buffer.from([0, 1, 0x0d, 0x96, 192, 0, 2, 66]));
  for (const [what, message, code] of [
    [
      '300 with another server, which is not gone to',
      refusal(errorCode(300, 'Try Alternate'), alternate),
      300,
    ],
    [
      '420 with what it did not understand',
      refusal(errorCode(420, ''), attribute(0x000a, Buffer.alloc(2))),
      420,
    ],
    [
      '500, and no address counts beside it',
      refusal(errorCode(500, ''), stunAnswer(request, V4).subarray(20)),
      500,
    ],
  ] as const) {
    test(what, () => assert.deepEqual(readStunAnswer(message, id), { kind: 'error', code }));
  }
});

describe('ignored', () => {
  const good = stunAnswer(request, V4);
  const changed = (change: (message: Buffer) => void, message = good): Buffer => {
    const copy = Buffer.from(message);
    change(copy);
    return copy;
  };
  for (const [what, message] of [
    ['an empty datagram', Buffer.alloc(0)],
    ['half a header', good.subarray(0, 19)],
    ['a request', request],
    ['an error answer without its code', stunAnswer(request, V4, { type: 0x0111 })],
    ['an error answer of half a code', refusal(attribute(0x0009, Buffer.from([0, 0])))],
    ['an error answer whose code is none', refusal(attribute(0x0009, Buffer.from([0, 0, 7, 0])))],
    [
      'a fingerprint that is wrong',
      changed((copy) => copy.writeUInt8(copy[39]! ^ 1, 39), fingerprinted(good)),
    ],
    [
      'a fingerprint before the end',
      Buffer.concat([fingerprinted(good, 4), attribute(0x8022, Buffer.alloc(0))]),
    ],
    [
      'a fingerprint of another length',
      stunAnswer(request, V4, { after: [attribute(0x8028, Buffer.alloc(8))] }),
    ],
    [
      'an address behind the signature, which anybody can add',
      changed(
        (copy) => copy.writeUInt16BE(0x0008, 20),
        stunAnswer(request, V4, { after: [good.subarray(20)] }),
      ),
    ],
    ['an indication', stunAnswer(request, V4, { type: 0x0011 })],
    ['another transaction', changed((copy) => copy.writeUInt8(copy[19]! ^ 1, 19))],
    ['another cookie', changed((copy) => copy.writeUInt32BE(0x2112a443, 4))],
    ['a length that lies', changed((copy) => copy.writeUInt16BE(copy.readUInt16BE(2) + 4, 2))],
    [
      'a length that is not a multiple of four',
      Buffer.concat([changed((copy) => copy.writeUInt16BE(13, 2)), Buffer.alloc(1)]),
    ],
    ['an attribute longer than the message', changed((copy) => copy.writeUInt16BE(0xffff, 22))],
    ['no address', changed((copy) => copy.writeUInt16BE(0x8022, 20))],
    ['an address of no family', changed((copy) => copy.writeUInt8(3, 25))],
    ['an IPv4 address that says it is IPv6', changed((copy) => copy.writeUInt8(2, 25))],
    [
      'what has to be understood and is not',
      stunAnswer(request, V4, { after: [attribute(0x7fff, Buffer.alloc(4))] }),
    ],
    ['a plain address alone', changed((copy) => copy.writeUInt16BE(0x0001, 20))],
    ['more than a datagram', stunAnswer(request, V4, { after: [attribute(0x8022, Buffer.alloc(1500))] })],
  ] as const) {
    test(what, () => assert.equal(readStunAnswer(message, id), undefined));
  }

  test('every truncation, and noise', () => {
    for (let length = 0; length < good.length; length++) {
      assert.equal(readStunAnswer(good.subarray(0, length), id), undefined);
    }
    for (let round = 0; round < 5000; round++) {
      const noise = randomBytes(20 + 4 * (round % 40));
      noise.writeUInt16BE(0x0101, 0);
      noise.writeUInt16BE(noise.length - 20, 2);
      noise.writeUInt32BE(0x2112a442, 4);
      id.copy(noise, 8);
      const found = mappedIn(noise, id);
      if (found) assert.match(found.address, /^[0-9a-f.:]+$/);
    }
  });
});
