import assert from 'node:assert/strict';
import { type RequestRow, userCalled } from './request-row.ts';

/** RFC 4475 3.2 to 3.4: what is well-formed, and what transactions, proxies and registrars make of it. */
export const semanticsRows: readonly RequestRow[] = [
  {
    file: 'badbranch',
    section: '3.2.1',
    title: 'Missing Transaction Identifier',
    asks: '400, or match as RFC 2543 did. The latter, since it costs nothing; two requests stay two.',
    setting: userCalled,
    outcome: 'forwarded',
    more: ({ harness, received, source }) => {
      harness.receive(received, source);
      assert.equal(harness.take().length, 0, 'a retransmission is absorbed');
      harness.receive(received.replace('badbranch.', 'other.'), source);
      assert.equal(harness.take().length, 1, 'another Call-ID is another transaction');
    },
  },
  {
    file: 'insuf',
    section: '3.3.1',
    title: 'Missing Required Header Fields',
    asks: 'Respond 400: From, To and Call-ID are missing.',
    setting: userCalled,
    outcome: 400,
    reason: /Missing From/,
  },
  {
    file: 'unkscm',
    section: '3.3.2',
    title: 'Request-URI with Unknown Scheme',
    asks: 'Respond 416.',
    setting: userCalled,
    outcome: 416,
  },
  {
    file: 'novelsc',
    section: '3.3.3',
    title: 'Request-URI with Known but Atypical Scheme',
    asks: 'Respond 416 where one cannot route by this scheme.',
    setting: userCalled,
    outcome: 416,
  },
  {
    file: 'unksm2',
    section: '3.3.4',
    title: 'Unknown URI Schemes in Header Fields',
    asks: 'A registrar responds 400: the To has to be a SIP URI (RFC 3261 10.2).',
    setting: { as: 'user' },
    outcome: 400,
    more: ({ harness }) => assert.equal(harness.location.lookup('user').length, 0),
  },
  {
    file: 'bext01',
    section: '3.3.5',
    title: 'Proxy-Require and Require',
    asks: 'A proxy responds 420 and names what Proxy-Require asked for; Require is not its business.',
    setting: userCalled,
    outcome: 420,
    more: ({ sent }) =>
      assert.equal(
        sent[0]!.message.valueByName('unsupported'),
        'noProxiesSupportThis, norDoAnyProxiesSupportThis',
      ),
  },
  {
    file: 'invut',
    section: '3.3.6',
    title: 'Unknown Content-Type',
    asks: 'The endpoint responds 415; a proxy does not look at bodies that it does not know.',
    setting: userCalled,
    outcome: 'forwarded',
  },
  {
    file: 'regaut01',
    section: '3.3.7',
    title: 'Unknown Authorization Scheme',
    asks: 'As without credentials: 401 with a challenge that can be answered.',
    setting: { called: 'j.user' },
    outcome: 401,
    more: ({ sent }) => assert.match(sent[0]!.text, /\r\nWWW-Authenticate: Digest realm="cloudsip"/),
  },
  {
    file: 'multi01',
    section: '3.3.8',
    title: 'Multiple Values in Single Value Required Fields',
    asks: 'Respond 400.',
    setting: { domains: ['company.com'], called: 'user' },
    outcome: 400,
    reason: /Multiple/,
  },
  {
    file: 'mcl01',
    section: '3.3.9',
    title: 'Multiple Content-Length Values',
    asks: 'Respond 400: nobody can say where the body ends.',
    setting: userCalled,
    outcome: 400,
    reason: /Content-Length/,
  },
  {
    file: 'zeromf',
    section: '3.3.11',
    title: 'Max-Forwards of Zero',
    asks: 'A proxy responds 483.',
    setting: userCalled,
    outcome: 483,
  },
  {
    file: 'cparam01',
    section: '3.3.12',
    title: 'REGISTER with a Contact Header Parameter',
    asks: "Without brackets the parameter is the header's: the bound URI does not have it.",
    setting: { as: 'watson' },
    outcome: 200,
    more: ({ harness, sent }) => {
      const [binding] = harness.location.lookup('watson');
      assert.equal(binding?.contact, 'sip:+19725552222@gw1.example.net');
      assert.match(
        sent[0]!.text,
        /\r\nContact: <sip:\+19725552222@gw1\.example\.net>;unknownparam;expires=3600\r\n/,
      );
    },
  },
  {
    file: 'cparam02',
    section: '3.3.13',
    title: 'REGISTER with a url-parameter',
    asks: "Within brackets the parameter is the URI's and bound with it.",
    setting: { as: 'watson' },
    outcome: 200,
    more: ({ harness, sent }) => {
      const [binding] = harness.location.lookup('watson');
      assert.equal(binding?.contact, 'sip:+19725552222@gw1.example.net;unknownparam');
      assert.match(
        sent[0]!.text,
        /\r\nContact: <sip:\+19725552222@gw1\.example\.net;unknownparam>;expires=3600\r\n/,
      );
    },
  },
  {
    file: 'regescrt',
    section: '3.3.14',
    title: 'REGISTER with a URL Escaped Header',
    asks: 'Valid: bound with its header, which is shown in brackets and makes no Route of the answer.',
    setting: { as: 'user' },
    outcome: 200,
    more: ({ sent }) => {
      assert.match(
        sent[0]!.text,
        /\r\nContact: <sip:user@example\.com\?Route=%3Csip:sip\.example\.com%3E>;expires=3600\r\n/,
      );
      assert.doesNotMatch(sent[0]!.text, /\r\nRoute:/);
    },
  },
  {
    file: 'sdp01',
    section: '3.3.15',
    title: 'Unacceptable Accept Offering',
    asks: 'The endpoint responds 406 or sends no body; a proxy passes it on.',
    setting: userCalled,
    outcome: 'forwarded',
  },
  {
    file: 'inv2543',
    section: '3.4.1',
    title: 'INVITE with RFC 2543 Syntax',
    asks: 'Accepted for old senders: no branch, no From tag, no Max-Forwards, no Content-Length, no Contact.',
    setting: { called: 'UserB' },
    outcome: 'forwarded',
    more: ({ harness, received, source }) => {
      harness.receive(received, source);
      assert.equal(harness.take().at(-1)!.message.status, 100, 'a retransmission is absorbed');
    },
  },
];
