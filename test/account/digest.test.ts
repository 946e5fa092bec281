import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { beforeEach, describe, test } from 'node:test';
import { type Authentication, DigestAuthenticator, nonceLifeMs } from '../../src/account/digest.ts';
import { type Message, parseMessage } from '../../src/sip/message/message.ts';
import { ManualClock } from '../support/manual-clock.ts';

const realm = 'cloudsip';
const key = Buffer.alloc(32, 7);
const passwords = new Map([['alice', { password: 'secret' }]]);

let clock: ManualClock;
let authenticator: DigestAuthenticator;

beforeEach(() => {
  clock = new ManualClock();
  authenticator = new DigestAuthenticator(realm, passwords, key, clock);
});

function request(headers: string, uri = 'sip:example.com', method = 'REGISTER'): Message {
  const message = parseMessage(
    `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:alice@example.com>;tag=1\r\n` +
      `To: <sip:alice@example.com>\r\nCall-ID: 1\r\nCSeq: 1 ${method}\r\n${headers}\r\n`,
  );
  assert.ok(message);
  return message;
}

const md5 = (...parts: string[]) => createHash('md5').update(parts.join(':')).digest('hex');

interface Answer {
  nonce: string;
  user?: string;
  password?: string;
  uri?: string;
  method?: string;
  /** Undefined for the form without qop. */
  nc?: string | undefined;
  realm?: string;
  more?: string;
}

/** What a client answers, computed without the code under test. */
function answer(given: Answer): string {
  const { nonce, user = 'alice', password = 'secret', uri = 'sip:example.com', method = 'REGISTER' } = given;
  const nc = 'nc' in given ? given.nc : '00000001';
  const ha1 = md5(user, given.realm ?? realm, password);
  const ha2 = md5(method, uri);
  const response = nc ? md5(ha1, nonce, nc, 'cn', 'auth', ha2) : md5(ha1, nonce, ha2);
  const qop = nc ? `,qop=auth,nc=${nc},cnonce="cn"` : '';
  return `Digest username="${user}",realm="${given.realm ?? realm}",nonce="${nonce}",uri="${uri}",response="${response}"${qop}${given.more ?? ''}`;
}

function ask(authorization?: string): Authentication {
  return authenticator.authenticate(
    request(authorization === undefined ? '' : `Authorization: ${authorization}\r\n`),
    'REGISTER',
    'www',
  );
}

function nonceOf(result: Authentication): string {
  assert.ok(!result.ok);
  return /nonce="([^"]+)"/.exec(result.headers)![1]!;
}

function failure(result: Authentication): string {
  if (result.ok) return 'ok';
  // The flag stands in the challenge exactly where the nonce alone was at fault.
  assert.equal(result.headers.includes('stale=true'), result.reason === 'stale');
  return result.reason;
}

const fresh = () => nonceOf(ask());

describe('the challenge', () => {
  test('asks an endpoint with 401 and a proxied request with 407', () => {
    const www = ask();
    assert.ok(!www.ok);
    assert.equal(www.status, 401);
    assert.equal(www.reason, 'absent');
    assert.match(
      www.headers,
      /^WWW-Authenticate: Digest realm="cloudsip",nonce="[\w-]+",algorithm=MD5,qop="auth"\r\n$/,
    );
    const proxy = authenticator.authenticate(request(''), 'INVITE', 'proxy');
    assert.ok(!proxy.ok);
    assert.equal(proxy.status, 407);
    assert.match(proxy.headers, /^Proxy-Authenticate: Digest /);
  });

  test('the two schemes look at their own header only', () => {
    const line = answer({ nonce: fresh() });
    const asProxy = request(`Proxy-Authorization: ${line}\r\n`);
    assert.equal(failure(authenticator.authenticate(asProxy, 'REGISTER', 'www')), 'absent');
    assert.equal(failure(authenticator.authenticate(asProxy, 'REGISTER', 'proxy')), 'ok');
  });
});

describe('right answers', () => {
  test('with qop', () => assert.deepEqual(ask(answer({ nonce: fresh() })), { ok: true, account: 'alice' }));

  test('without qop, as in RFC 2069', () =>
    assert.equal(failure(ask(answer({ nonce: fresh(), nc: undefined }))), 'ok'));

  test('with the algorithm named', () => {
    assert.equal(failure(ask(answer({ nonce: fresh(), more: ',algorithm=md5,opaque=""' }))), 'ok');
  });

  test('one nonce serves for many requests with a growing count', () => {
    const nonce = fresh();
    for (const nc of ['00000001', '00000002', '0000000a', '0000000F'])
      assert.equal(failure(ask(answer({ nonce, nc }))), 'ok', nc);
  });

  test('among credentials of other realms and schemes', () => {
    const headers =
      `Authorization: ${answer({ nonce: 'theirs', realm: 'elsewhere' })}\r\n` +
      `Authorization: Bearer abc\r\nAuthorization: ${answer({ nonce: fresh() })}\r\n`;
    assert.equal(failure(authenticator.authenticate(request(headers), 'REGISTER', 'www')), 'ok');
  });

  test('the nonce outlives a restart', () => {
    const nonce = fresh();
    authenticator = new DigestAuthenticator(realm, passwords, key, clock);
    assert.equal(failure(ask(answer({ nonce }))), 'ok');
  });

  const sameTargets: [string, string][] = [
    ['sip:example.com', 'sip:example.com;transport=tcp'],
    ['sip:example.com:5060', 'sip:example.com'],
    ['sip:EXAMPLE.com', 'sip:example.com'],
    ['sip:bob@example.com;user=phone', 'sip:b%6Fb@example.com'],
    ['sip:[2001:db8:0::1]', 'sip:[2001:db8::1]'],
    ['tel:+1', 'tel:+1'],
  ];
  for (const [uri, requestUri] of sameTargets) {
    test(`made for ${uri}, sent to ${requestUri}`, () => {
      const line = answer({ nonce: fresh(), uri });
      const message = request(`Authorization: ${line}\r\n`, requestUri);
      assert.equal(failure(authenticator.authenticate(message, 'REGISTER', 'www')), 'ok');
    });
  }
});

describe('wrong answers', () => {
  test('a wrong password', () =>
    assert.equal(failure(ask(answer({ nonce: fresh(), password: 'guess' }))), 'wrong'));
  test('nobody of that name', () =>
    assert.equal(failure(ask(answer({ nonce: fresh(), user: 'eve' }))), 'wrong'));
  test('another method', () =>
    assert.equal(failure(ask(answer({ nonce: fresh(), method: 'INVITE' }))), 'wrong'));
  test('a digest made for another realm', () => {
    assert.equal(failure(ask(answer({ nonce: fresh(), realm: 'elsewhere' }))), 'absent');
  });
  test('a wrong password with an old nonce is wrong, not stale', () => {
    const nonce = fresh();
    clock.advance(nonceLifeMs + 1);
    assert.equal(failure(ask(answer({ nonce, password: 'guess' }))), 'wrong');
  });
  for (const uri of ['sip:elsewhere.com', 'sip:bob@example.com', 'tel:+1', 'x', '<sip:example.com>'])
    test(`made for ${uri}`, () => assert.equal(failure(ask(answer({ nonce: fresh(), uri }))), 'wrong'));

  test('an unknown user does not pass with the password that stands in for his', () => {
    // Whatever it is, it is no empty or undefined one.
    for (const password of ['', 'undefined', 'null'])
      assert.equal(failure(ask(answer({ nonce: fresh(), user: 'eve', password }))), 'wrong');
  });
});

describe('a nonce that does not serve', () => {
  test('within its life, and not after', () => {
    const nonce = fresh();
    clock.advance(nonceLifeMs);
    assert.equal(failure(ask(answer({ nonce }))), 'ok');
    clock.advance(1);
    const late = ask(answer({ nonce, nc: '00000002' }));
    assert.equal(failure(late), 'stale');
    assert.equal(failure(ask(answer({ nonce: nonceOf(late) }))), 'ok', 'the nonce of the challenge serves');
  });

  test('a count that was there before', () => {
    const nonce = fresh();
    ask(answer({ nonce, nc: '00000002' }));
    assert.equal(failure(ask(answer({ nonce, nc: '00000002' }))), 'stale');
    assert.equal(failure(ask(answer({ nonce, nc: '00000001' }))), 'stale');
    assert.equal(failure(ask(answer({ nonce, nc: '00000003' }))), 'ok');
  });

  test('without qop it serves once', () => {
    const nonce = fresh();
    ask(answer({ nonce, nc: undefined }));
    assert.equal(failure(ask(answer({ nonce, nc: undefined }))), 'stale');
    assert.equal(failure(ask(answer({ nonce, nc: '00000005' }))), 'stale');
  });

  test('a wrong password uses no count up', () => {
    const nonce = fresh();
    ask(answer({ nonce, password: 'guess' }));
    assert.equal(failure(ask(answer({ nonce }))), 'ok');
  });

  test('one that was never issued', () => assert.equal(failure(ask(answer({ nonce: 'made-up' }))), 'stale'));

  test('one of a key that is no longer', () => {
    const nonce = fresh();
    authenticator = new DigestAuthenticator(realm, passwords, Buffer.alloc(32, 8), clock);
    assert.equal(failure(ask(answer({ nonce }))), 'stale');
  });
});

describe('malformed credentials', () => {
  for (const value of ['Digest', 'Digest username="alice"', 'Digest realm="cloudsip', 'Digest \u0000\u00ff'])
    test(JSON.stringify(value), () => assert.equal(failure(ask(value)), 'malformed'));

  test('what the challenge did not offer', () => {
    assert.equal(failure(ask(answer({ nonce: fresh(), more: ',algorithm=SHA-256' }))), 'malformed');
    assert.equal(failure(ask(answer({ nonce: fresh() }).replace('qop=auth', 'qop=auth-int'))), 'malformed');
  });

  test('a scheme that nobody knows counts as none (RFC 4475 3.3.7)', () => {
    assert.equal(failure(ask('NoOneKnowsThisScheme opaque-data=here')), 'absent');
  });

  test('a hundred headers are not all examined', () => {
    const headers = `${'Authorization: Bearer x\r\n'.repeat(100)}Authorization: ${answer({ nonce: fresh() })}\r\n`;
    assert.equal(failure(authenticator.authenticate(request(headers), 'REGISTER', 'www')), 'absent');
  });
});
