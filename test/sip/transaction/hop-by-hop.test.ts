import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseMessage } from '../../../src/sip/message/message.ts';
import { buildAck, buildCancel } from '../../../src/sip/transaction/hop-by-hop.ts';
import { responseText } from '../../support/sip-text.ts';

const invite = [
  'INVITE sip:bob@192.0.2.4;transport=udp SIP/2.0',
  'Via: SIP/2.0/UDP 203.0.113.5:5060;rport;branch=z9hG4bKours.1',
  'Record-Route: <sip:203.0.113.5;lr>',
  'Route: <sip:192.0.2.50;lr>',
  'Route: <sip:192.0.2.51;lr>,',
  ' <sip:192.0.2.52;lr>',
  'v: SIP/2.0/UDP 198.51.100.10;branch=z9hG4bKcaller',
  'Max-Forwards: 12',
  'f: "Carol" <sip:carol@elsewhere.example>;tag=caller',
  'To: Bob <sip:bob@example.com>',
  'i: call-1@test',
  'CSeq:  42   INVITE',
  'Contact: <sip:carol@198.51.100.10>',
  'Proxy-Require: nothing',
  'Content-Type: application/sdp',
  'Content-Length: 4',
  '',
  'v=0\n',
].join('\r\n');
const expected = (method: string, to: string): string =>
  [
    `${method} sip:bob@192.0.2.4;transport=udp SIP/2.0`,
    'Via: SIP/2.0/UDP 203.0.113.5:5060;rport;branch=z9hG4bKours.1',
    'Route: <sip:192.0.2.50;lr>',
    'Route: <sip:192.0.2.51;lr>,',
    ' <sip:192.0.2.52;lr>',
    'f: "Carol" <sip:carol@elsewhere.example>;tag=caller',
    to,
    'i: call-1@test',
    `CSeq: 42 ${method}`,
    'Max-Forwards: 70',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');

describe('requests that are made of an INVITE', () => {
  test('ACK: one Via, the Routes, To of the response, no body (RFC 3261 17.1.1.3)', () => {
    const response = parseMessage(responseText(invite, { status: 486, toTag: 'busy' }))!;
    assert.equal(buildAck(invite, response), expected('ACK', 'To: Bob <sip:bob@example.com>;tag=busy'));
  });

  test('ACK: a response without To leaves that of the INVITE', () => {
    const response = parseMessage('SIP/2.0 486 Busy Here\r\nCSeq: 42 INVITE\r\n\r\n')!;
    assert.equal(buildAck(invite, response), expected('ACK', 'To: Bob <sip:bob@example.com>'));
  });

  test('CANCEL: the same with the To of the INVITE (RFC 3261 9.1)', () => {
    assert.equal(buildCancel(invite), expected('CANCEL', 'To: Bob <sip:bob@example.com>'));
  });

  test('both keep the bytes of fields that they take over', () => {
    const strange = invite.replace('"Carol"', '"\xc3\xa9\xff\\""').replace('call-1@test', '"(call)"@x');
    const cancel = buildCancel(strange);
    assert.ok(cancel.includes('\r\nf: "\xc3\xa9\xff\\"" <sip:carol@elsewhere.example>;tag=caller\r\n'));
    assert.ok(cancel.includes('\r\ni: "(call)"@x\r\n'));
  });

  test('a text that is no request is a fault of ours and throws', () => {
    assert.throws(() => buildCancel('nonsense'), /not an INVITE of ours/);
  });
});
