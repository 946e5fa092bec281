import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONTACT, FROM, ROUTE, SUPPORTED, TO, VIA } from '../../../src/sip/message/header-id.ts';
import { parseMessage } from '../../../src/sip/message/message.ts';
import { buildResponse } from '../../../src/sip/message/response.ts';
import { Splices } from '../../../src/sip/message/splice.ts';

const invite = [
  'INVITE sip:bob@biloxi.example.com SIP/2.0',
  'Via: SIP/2.0/UDP pc33.atlanta.example.com:5066;branch=z9hG4bKnashds8;rport',
  'v:  SIP/2.0/UDP 192.0.2.3;branch=z9hG4bKnashds9 , SIP/2.0/TCP [2001:db8::9]:5061;branch=z9hG4bKx',
  'Max-Forwards : 70',
  't: Bob <sip:bob@biloxi.example.com>',
  'From: "Alice, \\"A\\"" <sip:alice@atlanta.example.com>',
  '  ;tag=1928301774',
  'Call-ID: a84b4c76e66710@pc33.atlanta.example.com',
  'CSeq: 314159   INVITE',
  'X-Unknown: \xc3\xa9\xff',
  'k: timer, path',
  'Content-Length: 4',
  '',
  'v=0\nextra',
].join('\r\n');

test('indexes headers in long, compact and folded spelling', () => {
  const message = parseMessage(invite)!;
  assert.equal(message.method, 'INVITE');
  assert.equal(message.requestUri, 'sip:bob@biloxi.example.com');
  assert.equal(message.headerCount, 10);
  assert.equal(message.count(VIA), 2);
  assert.equal(message.maxForwards, 70);
  assert.equal(message.to?.uri, 'sip:bob@biloxi.example.com');
  assert.equal(message.from?.displayName, '"Alice, \\"A\\""');
  assert.equal(message.fromTag, '1928301774');
  assert.equal(message.toTag, undefined);
  assert.equal(message.cseqNumber, 314159);
  assert.equal(message.cseqMethod, 'INVITE');
  assert.equal(message.value(SUPPORTED), 'timer, path');
  assert.equal(message.valueByName('x-unknown'), '\xc3\xa9\xff');
  assert.deepEqual(message.values(ROUTE), []);
  assert.equal(message.via?.branch, 'z9hG4bKnashds8');
  assert.equal(message.via?.port, 5066);
  assert.equal(message.via?.rport, '');
});

test('a datagram is cut at its Content-Length, and one that is too short is told', () => {
  assert.equal(parseMessage(invite)!.body, 'v=0\n');
  assert.equal(parseMessage(invite)!.defect, undefined);
  const short = parseMessage(invite.replace('Content-Length: 4', 'Content-Length: 400'))!;
  assert.match(short.defect!, /Content-Length/);
});

test('what is no SIP is undefined', () => {
  for (const text of [
    '',
    '\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'INVITE sip:a@b',
    'SIP/2.0 099 x\r\n\r\n',
    'SIP/2.0 700 x\r\n\r\n',
  ]) {
    assert.equal(parseMessage(text), undefined, JSON.stringify(text));
  }
});

test('splices leave every other byte as it was', () => {
  const message = parseMessage(invite)!;
  const n = message.find(FROM);
  const out = new Splices(message)
    .replace(message.valueStart(n), message.valueEnd(n), '<sip:x@y>;tag=1')
    .insert(message.headersStart, 'Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK1\r\n')
    .removeLine(message.find(SUPPORTED))
    .toString();
  const expected = invite
    .replace('"Alice, \\"A\\"" <sip:alice@atlanta.example.com>\r\n  ;tag=1928301774', '<sip:x@y>;tag=1')
    .replace('SIP/2.0\r\n', 'SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK1\r\n')
    .replace('k: timer, path\r\n', '')
    .replace('extra', '');
  assert.equal(out, expected);
});

test('a response repeats Via, From, To, Call-ID and CSeq byte for byte and adds a To tag', () => {
  const message = parseMessage(invite)!;
  const text = buildResponse(message, 486, {
    toTag: 'abc',
    topVia: 'SIP/2.0/UDP a;received=1.2.3.4',
    headers: 'X: y\r\n',
  });
  const response = parseMessage(text)!;
  assert.equal(response.status, 486);
  assert.equal(response.count(VIA), 2);
  assert.equal(response.via?.received, '1.2.3.4');
  assert.equal(response.value(TO), 'Bob <sip:bob@biloxi.example.com>;tag=abc');
  assert.equal(response.value(FROM), message.value(FROM));
  assert.equal(response.count(CONTACT), 0);
  assert.ok(text.endsWith('X: y\r\nContent-Length: 0\r\n\r\n'));
});

test('what is inserted where something is taken out goes in, and the rest stays out', () => {
  const message = parseMessage('OPTIONS sip:a@b SIP/2.0\r\nX: 1\r\nY: 2\r\n\r\n')!;
  const out = new Splices(message).removeLine(0).insert(message.headersStart, 'Z: 0\r\n').toString();
  assert.equal(out, 'OPTIONS sip:a@b SIP/2.0\r\nZ: 0\r\nY: 2\r\n\r\n');
});
