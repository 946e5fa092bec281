import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { parseMessage } from '../../../src/sip/message/message.ts';
import {
  challengeHeader,
  type DigestCredentials,
  digestResponse,
  loadSipPackage,
  parseDigestCredentials,
  stringifyMessage,
  userRealmPasswordHash,
} from '../../../src/sip/message/structured.ts';

function credentials(value: string): DigestCredentials {
  const parsed = parseDigestCredentials(value);
  assert.ok(parsed.ok, value);
  return parsed.credentials;
}

function reason(value: string): string {
  const parsed = parseDigestCredentials(value);
  return parsed.ok ? 'ok' : parsed.reason;
}

/** RFC 2617 3.5. */
const rfc2617 =
  'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", ' +
  'uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b", ' +
  'response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"';

/** RFC 7616 3.9.1, the MD5 half. */
const rfc7616 =
  'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=MD5, ' +
  'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, ' +
  'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, ' +
  'response="8ca523f5e9506fed4657c9700eebdbec", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';

describe('digest vectors', () => {
  test('RFC 2617 3.5', () => {
    const given = credentials(rfc2617);
    const ha1 = userRealmPasswordHash('Mufasa', given.realm, 'Circle Of Life');
    assert.equal(ha1, '939e7578ed9e3c518a452acee763bce9');
    assert.equal(digestResponse(ha1, 'GET', given), given.response);
  });

  test('RFC 7616 3.9.1', () => {
    const given = credentials(rfc7616);
    const ha1 = userRealmPasswordHash('Mufasa', given.realm, 'Circle of Life');
    assert.equal(digestResponse(ha1, 'GET', given), given.response);
  });

  test('without qop as in RFC 2069 2.4 with the correction of RFC 2617', () => {
    const given = credentials(
      'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", ' +
        'uri="/dir/index.html", response="1949323746fe6a43ef61f9606e7febea"',
    );
    const ha1 = userRealmPasswordHash('Mufasa', given.realm, 'CircleOfLife');
    assert.equal(digestResponse(ha1, 'GET', given), given.response);
  });

  test('bytes beyond ASCII are hashed as they were sent', () => {
    const md5 = (text: string) => createHash('md5').update(text, 'utf8').digest('hex');
    const uri = 'sip:grüße@example.com';
    const wire = { ...credentials(rfc2617), uri: Buffer.from(uri, 'utf8').toString('latin1') };
    const { nonce, nc, cnonce } = wire;
    const expected = md5(`ha1:${nonce}:${nc}:${cnonce}:auth:${md5(`INVITE:${uri}`)}`);
    assert.equal(digestResponse('ha1', 'INVITE', wire), expected);
  });
});

describe('parseDigestCredentials', () => {
  test('takes quotes off and brings names, algorithm and qop to lower case', () => {
    const given = credentials(
      `DIGEST Username="alice",REALM="x",Nonce="n",Uri="sip:a",Response="${'A'.repeat(32)}",` +
        'ALGORITHM="MD5",QOP="AUTH",NC=0000000A,CNonce=c',
    );
    assert.deepEqual(given, {
      username: 'alice',
      realm: 'x',
      nonce: 'n',
      uri: 'sip:a',
      response: 'a'.repeat(32),
      algorithm: 'md5',
      qop: 'auth',
      nc: '0000000A',
      cnonce: 'c',
    });
  });

  test('reads what is folded over lines', () => {
    assert.equal(credentials(rfc2617.replaceAll(', ', ',\r\n  ')).cnonce, '0a4f113b');
  });

  test('a quoted value may hold commas, escapes and signs of equality', () => {
    const given = credentials(rfc2617.replace('0a4f113b', 'a,b=\\"c'));
    assert.equal(given.cnonce, 'a,b=\\"c');
  });

  test('another scheme is somebody else’s business (RFC 4475 3.3.7)', () => {
    assert.equal(reason('NoOneKnowsThisScheme opaque-data=here'), 'other-scheme');
    assert.equal(reason('Basic QWxhZGRpbg=='), 'other-scheme');
    assert.equal(reason(''), 'other-scheme');
    assert.equal(reason('Digestive username="a"'), 'other-scheme');
  });

  const broken: Record<string, string> = {
    'the scheme alone': 'Digest',
    'no parameters': 'Digest ,,,',
    'no username': rfc2617.replace('username="Mufasa", ', ''),
    'an empty username': rfc2617.replace('"Mufasa"', '""'),
    'no realm': rfc2617.replace('realm="testrealm@host.com", ', ''),
    'no nonce': rfc2617.replace(/nonce="dcd\w+", /, ''),
    'no uri': rfc2617.replace('uri="/dir/index.html", ', ''),
    'no response': rfc2617.replace(/response="\w+", /, ''),
    'a short response': rfc2617.replace('6629fae4', '6629'),
    'a response that is not hex': rfc2617.replace('6629fae4', '6629faeg'),
    'qop without a count': rfc2617.replace('nc=00000001, ', ''),
    'a count that is not hex': rfc2617.replace('nc=00000001', 'nc=0000000x'),
    'a long count': rfc2617.replace('nc=00000001', 'nc=000000001'),
    'qop without cnonce': rfc2617.replace('cnonce="0a4f113b", ', ''),
    'a quote that stays open': rfc2617.slice(0, -1),
    'a name without a value': `${rfc2617}, stray`,
    'two commas': rfc2617.replace(', qop', ',, qop'),
    'a header that never ends': `${rfc2617}, x="${'x'.repeat(5000)}"`,
    'a prototype': 'Digest __proto__="x", constructor="y", toString="z"',
  };
  for (const [what, value] of Object.entries(broken)) {
    test(`refuses ${what}`, () => assert.equal(reason(value), 'malformed'));
  }

  test('hostile text costs no more than its length', () => {
    loadSipPackage();
    const hostile = [
      `Digest ${'a'.repeat(4000)}`,
      `Digest ${'a=b '.repeat(1000)}`,
      `Digest a="${'\\"'.repeat(2000)}`,
      `Digest ${' '.repeat(4000)}`,
      `Digest a=b${' , '.repeat(1300)}`,
      `Digest ${'a=b,'.repeat(1000)}`,
    ];
    const start = process.cpuUsage();
    for (let round = 0; round < 20; round++)
      for (const text of hostile) assert.equal(reason(text), 'malformed');
    // Quadratic time would be some hundred times as much; the bound is far from both.
    assert.ok(process.cpuUsage(start).user < 1_000_000);
  });
});

describe('what the agent writes itself', () => {
  test('a challenge', () => {
    assert.equal(
      challengeHeader('www', 'cloudsip', 'abc', false),
      'WWW-Authenticate: Digest realm="cloudsip",nonce="abc",algorithm=MD5,qop="auth"\r\n',
    );
    assert.equal(
      challengeHeader('proxy', 'cloudsip', 'abc', true),
      'Proxy-Authenticate: Digest realm="cloudsip",nonce="abc",algorithm=MD5,qop="auth",stale=true\r\n',
    );
  });

  test('a request, IPv6 included, that the parser reads back', () => {
    const headers = {
      via: [
        { protocol: 'UDP', host: '[2001:db8::1]', port: 5060, params: { branch: 'z9hG4bK1', rport: null } },
      ],
      from: { uri: 'sip:cloudsip@[2001:db8::1]', params: { tag: 'a' } },
      to: { uri: 'sip:[2001:db8::2]' },
      'call-id': 'one',
      cseq: { seq: 7, method: 'OPTIONS' },
      'max-forwards': 70,
    };
    const text = stringifyMessage({
      method: 'OPTIONS',
      uri: 'sip:[2001:db8::2]:5070',
      headers,
      content: 'hi',
    });
    const message = parseMessage(text);
    assert.ok(message);
    assert.equal(message.defect, undefined);
    assert.equal(message.requestUri, 'sip:[2001:db8::2]:5070');
    assert.equal(message.via?.host, '[2001:db8::1]');
    assert.equal(message.via?.rport, '');
    assert.equal(message.fromTag, 'a');
    assert.equal(message.to?.uri, 'sip:[2001:db8::2]');
    assert.equal(message.cseqNumber, 7);
    assert.equal(message.maxForwards, 70);
    assert.equal(message.body, 'hi');
    assert.ok(!('content-length' in headers), 'what was given stays as it was');
  });
});
