/**
 * Inputs that make a parser with nested repetition or repeated searches slow. They are far longer than a datagram:
 * what takes time with the square of the length would need minutes here, what is linear milliseconds.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { validateRequest } from '../../src/proxy/validation.ts';
import { splitList } from '../../src/sip/message/grammar.ts';
import { parseMessage } from '../../src/sip/message/message.ts';
import { parseNameAddr } from '../../src/sip/message/name-addr.ts';
import { paramValue, withoutParam } from '../../src/sip/message/params.ts';
import { buildResponse } from '../../src/sip/message/response.ts';
import { parseDigestCredentials } from '../../src/sip/message/structured.ts';
import { parseSipUri, unescapeUser, uriScheme } from '../../src/sip/message/uri.ts';
import { sameUri } from '../../src/sip/message/uri-equality.ts';
import { parseVia, withSource } from '../../src/sip/message/via.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { requestText } from '../support/sip-text.ts';

/** Messages are searched with the speed of memchr, so that only a long one shows a square. */
const messageSize = 1_000_000;
const valueSize = 200_000;
const limitMs = 3000;

const fill = (pattern: string, length: number): string =>
  pattern.repeat(Math.ceil(length / pattern.length)).slice(0, length);

/** Runs it and asserts that it ended within a time that only a square would miss. */
function inTime(what: string, run: () => void): void {
  const start = performance.now();
  run();
  const took = performance.now() - start;
  assert.ok(took < limitMs, `${what} took ${Math.round(took)} ms`);
}

const patterns = [
  'a',
  ' ',
  '\t',
  '\r\n ',
  ';',
  ';a',
  '; ',
  ';a=b',
  ';rport ',
  ';=',
  '"',
  '\\',
  '"\\',
  '<',
  '>',
  '<>',
  ',',
  ', ',
  '<,',
  '",',
  ':',
  ':1',
  '@',
  'a@',
  'a:',
  '%',
  '%41',
  '[',
  ']',
  '[,',
  '[:',
  '?',
  '&a=b',
  '=',
  '.',
  'a.',
  '/',
  'SIP/2.0/UDP a,',
  'SIP/2.0/UDP a;branch=b,',
  'SIP/2.0/UDP [,',
  'sip:a@b,',
  '<sip:a@b;lr>,',
  '\x00',
  '\xff',
] as const;

describe('values that are repetition', () => {
  for (const pattern of patterns) {
    test(JSON.stringify(pattern), () => {
      const long = fill(pattern, valueSize);
      const values = [long, `${long}x`, `"${long}`, `<${long}`, `;a=${long}`];
      for (const value of values) {
        inTime('splitList', () => splitList(value));
        inTime('parseNameAddr', () => parseNameAddr(value));
        inTime('paramValue', () => paramValue(`;${value}`, 'tag'));
        inTime('withoutParam', () => withoutParam(`;${value}`, 'tag'));
        inTime('credentials', () => parseDigestCredentials(`Digest ${value}`));
        for (const start of ['SIP/2.0/UDP ', 'SIP/2.0/UDP a;rport', 'SIP/2.0/UDP a;rport;received=']) {
          inTime('Via', () => {
            const text = start + value;
            const via = parseVia(text, 0, text.length);
            if (via) withSource(via, '192.0.2.1', 5060, false);
          });
        }
      }
      for (const start of [
        '',
        'sip:',
        'sip:a:',
        'sip:a@',
        'sip:a@b:',
        'sip:a@b;',
        'sip:a@b?',
        'sip:[',
        'sip:a@[',
      ]) {
        inTime('URI', () => {
          parseSipUri(start + long);
          parseSipUri(`${start}${long}<`);
          uriScheme(start + long);
        });
      }
      inTime('user', () => unescapeUser(long));
      // URIs that are compared were bounded before.
      const short = long.slice(0, 4096);
      inTime('equality', () => sameUri(`sip:a@b;${short}`, `sip:a@b;x;${short}`));
    });
  }
});

describe('messages that are repetition', () => {
  const heads = [
    'INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n',
    'SIP/2.0 200 OK\r\n',
    '',
  ];
  for (const pattern of [
    ...patterns,
    '\n',
    '\r',
    '\r\n',
    'a\n',
    ':\n',
    'a:\n',
    'a:\r\n ',
    'a: b\r\n',
    'Via: a\r\n',
    'v:\n',
  ]) {
    test(JSON.stringify(pattern), () => {
      for (const head of heads) {
        for (const end of ['', '\r\n\r\n']) {
          inTime('parse', () => {
            const message = parseMessage(head + fill(pattern, messageSize) + end);
            if (!message?.isRequest) return;
            validateRequest(message);
            buildResponse(message, 400, { toTag: 'x' });
          });
        }
      }
    });
  }

  test('a start line without an end', () => {
    for (const pattern of patterns) {
      for (const start of ['INVITE ', 'SIP/2.0 ', 'SIP/2.0 200 ', '', 'INVITE sip:a '])
        inTime(pattern, () => parseMessage(`${start}${fill(pattern, messageSize)} SIP/2.0\r\n\r\n`));
    }
  });
});

describe('whole datagrams through the agent', () => {
  const room = 60_000;
  const value = (pattern: string): string => fill(pattern, room);
  const cases: readonly (readonly [string, string])[] = [
    ...['Via', 'From', 'To', 'Call-ID', 'CSeq', 'Contact', 'Route', 'Record-Route', 'Proxy-Require'].flatMap(
      (name) =>
        patterns.map((pattern) => [name, requestText({ headers: [`${name}: ${value(pattern)}`] })] as const),
    ),
    [
      'many To lines behind a long one',
      requestText({ to: `<sip:a@b>${fill(';', room / 2)}`, headers: [fill('t:x\r\n', room / 2)] }),
    ],
    ['many Vias', requestText({ headers: [value('Via: SIP/2.0/UDP a;branch=z9hG4bKb\r\n')] })],
    ['many Routes', requestText({ headers: [value('Route: <sip:203.0.113.5;lr>\r\n')] })],
    [
      'many Routes on a line',
      requestText({ headers: [`Route: ${value('<sip:203.0.113.5;lr;r2=on>,')}<sip:a>`] }),
    ],
    [
      'many credentials',
      requestText({ headers: [value('Proxy-Authorization: Digest a="b"\r\n')], uri: 'sip:a@b' }),
    ],
    [
      'one long credential',
      requestText({ headers: [`Proxy-Authorization: Digest ${value('a="b",')}`], uri: 'sip:a@b' }),
    ],
    ['a long Request-URI', requestText({ uri: `sip:${value('%41')}@example.com` })],
    ['a long host', requestText({ uri: `sip:a@${value('a.')}` })],
    ['a long method', requestText({ method: value('A') })],
    ['a long branch', requestText({ branch: `z9hG4bK${value('b')}` })],
    ['a long tag', requestText({ from: `<sip:a@b>;tag=${value('t')}` })],
  ];

  test('nothing takes long, nothing is sent twice', () => {
    const harness = new ProxyHarness();
    harness.bind('bob', 'sip:bob@198.51.100.20', '198.51.100.20:5060');
    inTime('all of them', () => {
      for (const [n, [name, text]] of cases.entries()) {
        harness.receive(text.replace('z9hG4bKtest1', `z9hG4bK${n}`), '198.51.100.10:5060');
        const sent = harness.take();
        assert.ok(sent.length <= 2, name);
        assert.ok(sent.reduce((sum, each) => sum + each.text.length, 0) < 3 * text.length, name);
      }
    });
    harness.clock.advance(600_000);
    assert.equal(harness.layer.serverTransactions, 0);
    assert.equal(harness.layer.clientTransactions, 0);
    assert.equal(harness.layer.pendingTimers, 0);
  });
});
