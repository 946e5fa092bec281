import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSipUri } from '../../../src/sip/message/uri.ts';
import { sameSipUri, sameUri } from '../../../src/sip/message/uri-equality.ts';

/** RFC 3261 19.1.4, its own examples, then ours. */
const equal: [string, string][] = [
  ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtLanTa.CoM;Transport=tcp'],
  ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
  ['sip:carol@chicago.com', 'sip:carol@chicago.com;security=on'],
  ['sip:carol@chicago.com;newparam=5', 'sip:carol@chicago.com;security=on'],
  [
    'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
    'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
  ],
  [
    'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
    'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
  ],
  ['SIP:alice@atlanta.com', 'sip:alice@atlanta.com'],
  ['sip:a@[2001:db8:0:0::1]:5070', 'sip:a@[2001:DB8::1]:5070'],
  ['sip:a%3d@x.com', 'sip:a%3D@x.com'],
  ['sip:a@x.com;lr', 'sip:a@x.com'],
  ['sip:a@x.com?Subject=x', 'sip:a@x.com?subject=x'],
  ['sip:a:pass%77ord@x.com', 'sip:a:password@x.com'],
];

const different: [string, string][] = [
  ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
  ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
  ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp'],
  ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
  ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
  ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
  ['sip:carol@chicago.com;security=on', 'sip:carol@chicago.com;security=off'],
  ['sip:a@x.com', 'sips:a@x.com'],
  ['sip:a@x.com', 'sip:x.com'],
  ['sip:a@x.com', 'sip:a:p@x.com'],
  ['sip:a:p@x.com', 'sip:a:P@x.com'],
  ['sip:a@x.com', 'sip:a@x.com;user=phone'],
  ['sip:a@x.com;user=ip', 'sip:a@x.com'],
  ['sip:a@x.com', 'sip:a@x.com;ttl=1'],
  ['sip:a@x.com', 'sip:a@x.com;method=INVITE'],
  ['sip:a@x.com', 'sip:a@x.com;maddr=239.255.255.1'],
  ['sip:a@x.com?Subject=x', 'sip:a@x.com?Subject=X'],
  ['sip:a@x.com?a=1&a=1', 'sip:a@x.com?a=1'],
  // Escaped, these are other users; and a NUL ends nothing (RFC 4475 3.1.1.4).
  ['sip:%00@x.com', 'sip:%00%00@x.com'],
  ['sip:a%3Bb@x.com', 'sip:a;b@x.com'],
];

describe('URI equality', () => {
  for (const [a, b] of equal) {
    test(`${a} is ${b}`, () => {
      assert.equal(sameSipUri(parseSipUri(a)!, parseSipUri(b)!), true);
      assert.equal(sameUri(b, a), true);
    });
  }
  for (const [a, b] of different) {
    test(`${a} is not ${b}`, () => {
      assert.equal(sameSipUri(parseSipUri(a)!, parseSipUri(b)!), false);
      assert.equal(sameUri(b, a), false);
    });
  }

  test('what is no SIP URI equals only itself', () => {
    assert.equal(sameUri('tel:+1', 'tel:+1'), true);
    assert.equal(sameUri('tel:+1', 'TEL:+1'), false);
    assert.equal(sameUri('tel:+1', 'sip:a@x.com'), false);
    assert.equal(sameUri('sip:a@x.com', 'tel:+1'), false);
  });
});
