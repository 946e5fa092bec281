import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutCredentials } from '../../../src/media/recording/without-credentials.ts';

const message = (...lines: string[]): string =>
  ['INVITE sip:bob@example.com SIP/2.0', ...lines, 'Content-Length: 0', '', ''].join('\r\n');
const hash = '6629fae49393a05397450978507c4ef1';
const none = '0'.repeat(32);

test('what a password can be guessed by goes, who wanted to be who stays', () => {
  for (const [line, expected] of [
    [
      `Proxy-Authorization: Digest username="alice", response="${hash}", uri="sip:a"`,
      `Proxy-Authorization: Digest username="alice", response="${none}", uri="sip:a"`,
    ],
    [`authorization:Digest\r\n response = ${hash}`, `authorization:Digest\r\n response = ${none}`],
    [
      `AUTHORIZATION : digest realm="r",\r\n\tRESPONSE="${hash}"`,
      `AUTHORIZATION : digest realm="r",\r\n\tRESPONSE="${none}"`,
    ],
    [`Authentication-Info: rspauth="${hash}", qop=auth`, `Authentication-Info: rspauth="${none}", qop=auth`],
    ['Authorization: Basic YWxpY2U6c2VjcmV0', 'Authorization: 00000 0000000000000000'],
    [`X-Authorization: response="${hash}"`, `X-Authorization: response="${hash}"`],
    ['WWW-Authenticate: Digest nonce="abc"', 'WWW-Authenticate: Digest nonce="abc"'],
  ] as const)
    assert.equal(withoutCredentials(message(line)), message(expected));
});

test('the body stays as it is, and so does what is no message', () => {
  const text = `${message()}Authorization: Basic abc`;
  assert.equal(withoutCredentials(text), text);
  assert.equal(withoutCredentials('\0'), '\0');
});

test('a hostile message costs no more time than its length', () => {
  for (const part of ['Authorization:', 'response ', 'response= ', '\r\n ', ' ', 'Authorization: Digest ']) {
    const start = performance.now();
    withoutCredentials(message(`Authorization: Digest ${part.repeat(60_000 / part.length)}`));
    assert.ok(performance.now() - start < 1000, `${part} takes ${performance.now() - start} ms`);
  }
});
