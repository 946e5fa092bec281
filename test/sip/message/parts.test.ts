import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { splitList } from '../../../src/sip/message/grammar.ts';
import { parseNameAddr } from '../../../src/sip/message/name-addr.ts';
import { paramValue, withoutParam } from '../../../src/sip/message/params.ts';
import { parseSipUri, unescapeUser } from '../../../src/sip/message/uri.ts';
import { parseVia, withSource } from '../../../src/sip/message/via.ts';

const via = (text: string) => parseVia(text, 0, text.length);

describe('Via', () => {
  test('is read with white space wherever the grammar allows it', () => {
    const hop = via('SIP  / 2.0\r\n / UDP  192.0.2.2 : 5070 ; branch = z9hG4bK1 ; rport')!;
    assert.deepEqual(
      [hop.transport, hop.host, hop.port, hop.branch, hop.rport],
      ['UDP', '192.0.2.2', 5070, 'z9hG4bK1', ''],
    );
  });

  test('ends at a comma outside quotes', () => {
    const text = 'SIP/2.0/UDP a;x="1,2";branch=z9hG4bKa, SIP/2.0/UDP b';
    assert.equal(text.slice(0, via(text)!.end), 'SIP/2.0/UDP a;x="1,2";branch=z9hG4bKa');
  });

  test('refuses an unbracketed IPv6 sent-by, a bad port and no host', () => {
    for (const text of [
      'SIP/2.0/UDP 2001:db8::1',
      'SIP/2.0/UDP a:99999',
      'SIP/2.0/UDP ',
      'SIP/2.0/UDP',
      'HTTP/1.1/TCP a',
    ]) {
      assert.equal(via(text), undefined, text);
    }
  });

  const cases: [string, boolean, string | undefined][] = [
    ['SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bK1', true, undefined],
    [
      'SIP/2.0/UDP host:5060;branch=z9hG4bK1',
      false,
      'SIP/2.0/UDP host:5060;branch=z9hG4bK1;received=198.51.100.9',
    ],
    [
      'SIP/2.0/UDP 198.51.100.9;rport;branch=z9hG4bK1',
      true,
      'SIP/2.0/UDP 198.51.100.9;rport=4000;branch=z9hG4bK1;received=198.51.100.9',
    ],
    // What the sender says of himself is not believed.
    [
      'SIP/2.0/UDP host;received=10.9.9.9;rport=1;branch=z9hG4bK1',
      false,
      'SIP/2.0/UDP host;rport=4000;branch=z9hG4bK1;received=198.51.100.9',
    ],
    [
      'SIP/2.0/UDP 198.51.100.9;received=10.9.9.9;branch=z9hG4bK1',
      true,
      'SIP/2.0/UDP 198.51.100.9;branch=z9hG4bK1',
    ],
  ];
  for (const [text, same, expected] of cases) {
    test(`received and rport: ${text}`, () =>
      assert.equal(withSource(via(text)!, '198.51.100.9', 4000, same), expected));
  }
});

describe('SIP URI', () => {
  test('is taken apart', () => {
    const uri = parseSipUri('SIP:alice;day=tuesday:pw@[2001:DB8::1]:5070;transport=tcp;lr?Subject=x')!;
    assert.deepEqual(
      [uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.params, uri.headers],
      ['sip', 'alice;day=tuesday', 'pw', '[2001:DB8::1]', 5070, ';transport=tcp;lr', '?Subject=x'],
    );
  });
  for (const bad of [
    '',
    'sip:',
    'sip:@host',
    'tel:+1',
    'sip:a@b c',
    'sip:a@host:70000',
    'sip:a%zz@b',
    'sip:a@[::1',
    'sip:<a@b>',
    'sip:a@b..c',
    'sip:a@b..',
    'sip:a@.b',
  ]) {
    test(`refuses ${JSON.stringify(bad)}`, () => assert.equal(parseSipUri(bad), undefined));
  }
  test('a million characters are refused without backtracking', () => {
    assert.ok(!parseSipUri(`sip:${'a;'.repeat(500_000)} `));
    assert.equal(parseSipUri(`sip:${'%61'.repeat(300_000)}@${'a.'.repeat(100_000)}!`), undefined);
  });
  test('escapes of a user are resolved', () => assert.equal(unescapeUser('%61l%69ce'), 'alice'));
});

describe('name-addr', () => {
  test('brackets part URI parameters from header parameters', () => {
    assert.deepEqual(parseNameAddr('"a <b>, c" <sip:x@y;lr>;tag=1'), {
      displayName: '"a <b>, c"',
      uri: 'sip:x@y;lr',
      params: ';tag=1',
    });
    assert.deepEqual(parseNameAddr('sip:x@y;tag=1'), { displayName: '', uri: 'sip:x@y', params: ';tag=1' });
    assert.deepEqual(parseNameAddr('Bob B. <sip:x@y>'), {
      displayName: 'Bob B.',
      uri: 'sip:x@y',
      params: '',
    });
  });
  for (const [value, uri] of [
    ['sip:x@y;tag=1', 'sip:x@y'],
    ['<sip:x@y', undefined],
    ['"x <sip:x@y>', undefined],
    ['Bob', 'Bob'],
    ['', undefined],
  ] as const) {
    test(`${JSON.stringify(value)} is read within its bounds, whatever stands around it`, () => {
      const text = `From: "${value}\r\nTo: >"<sip:c@d>\r\n`;
      const parsed = parseNameAddr(text, 7, 7 + value.length);
      assert.equal(parsed?.uri, uri);
      assert.deepEqual(parsed, parseNameAddr(value));
    });
  }
  test('a bracket that closes behind its bounds does not close it', () => {
    assert.equal(parseNameAddr('<sip:x@y>', 0, 8), undefined);
    assert.equal(parseNameAddr('sip:x@y<', 0, 7)?.uri, 'sip:x@y');
  });
  for (const bad of [
    '',
    'sip:a@b>',
    '"open <sip:a@b>',
    'a, b <sip:c@d>',
    '<sip:a@b',
    '<>',
    'sip:a@b, sip:c@d',
    '<sip:a@b> x',
  ]) {
    test(`refuses ${JSON.stringify(bad)}`, () => assert.equal(parseNameAddr(bad), undefined));
  }
});

test('parameters: case, white space, quotes, absence', () => {
  const params = ';A=1 ; b ; c = "x;y=\\"2" ;lr';
  assert.equal(paramValue(params, 'a'), '1');
  assert.equal(paramValue(params, 'b'), '');
  assert.equal(paramValue(params, 'c'), '"x;y=\\"2"');
  assert.equal(paramValue(params, 'lr'), '');
  assert.equal(paramValue(params, 'y'), undefined);
  assert.equal(paramValue('', 'y'), undefined);
  assert.equal(withoutParam(';a=1;b="x;a";A=2;c', 'a'), ';b="x;a";c');
});

test('lists part at commas outside quotes and brackets', () => {
  assert.deepEqual(splitList('<sip:a,b@c>, "x,y" <sip:d>,e'), ['<sip:a,b@c>', '"x,y" <sip:d>', 'e']);
});
