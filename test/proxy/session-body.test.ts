import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { replaceDescriptions, sessionBodyOf } from '../../src/proxy/session-body.ts';
import { type Message, parseMessage } from '../../src/sip/message/message.ts';
import { requestText } from '../support/sip-text.ts';

const sdp = 'v=0\r\no=- 1 1 IN IP4 10.0.0.77\r\ns=-\r\n';
const message = (contentType: string, body: string, headers: string[] = []): Message =>
  parseMessage(requestText({ contentType, body, headers }))!;
const found = (contentType: string, body: string, headers: string[] = []): string | undefined => {
  const where = sessionBodyOf(message(contentType, body, headers));
  if (!where) return undefined;
  const { session, aside, problem } = where;
  const texts = (list: typeof session): string[] => list.map(({ start, end }) => body.slice(start, end));
  return [
    ...texts(session),
    ...texts(aside).map((text) => `aside ${text}`),
    ...(problem ? [problem] : []),
  ].join(' | ');
};
/** Parts of a multipart body, each its headers and its content. */
const parts = (...list: readonly string[]): string =>
  `preamble --b\r\n${list.map((part) => `--b\r\n${part}`).join('\r\n')}\r\n--b--\r\nepilogue`;
const sdpPart = `Content-Type: application/sdp\r\n\r\n${sdp}`;
const many = (count: number): string[] => Array.from({ length: count }, () => '\r\nplain');
/** The description inside so many multiparts, the outermost of them with the boundary b1. */
const nested = (levels: number, level = 1): string =>
  `--b${level}\r\n${
    level === levels
      ? sdpPart
      : `Content-Type: multipart/mixed;boundary=b${level + 1}\r\n\r\n${nested(levels, level + 1)}`
  }\r\n--b${level}--`;
const several =
  'The body has several session descriptions, and nothing says which of them counts (RFC 5621).';
const sealed =
  'A part of the body is encrypted or signed: nobody on the way can read, or may change, what it describes.';
const text = 'Content-Type: text/plain\r\n\r\n--bystander\r\nv=0';

describe('the session description in a body', () => {
  const cases: [name: string, type: string, body: string, expected: string | undefined][] = [
    ['is the body itself', 'application/sdp', sdp, sdp],
    ['in any spelling of its type', 'Application/SDP;charset=utf-8', sdp, sdp],
    ['is not what only resembles it', 'application/sdpx', sdp, undefined],
    [
      'is a part among others',
      'multipart/mixed;boundary=b',
      parts(text, `Content-Type: application/sdp\r\n\r\n${sdp}`),
      sdp,
    ],
    [
      'with its own headers in any order and spelling',
      'multipart/related; type="x"; boundary="b"',
      parts(
        `CONTENT-ID: <1@x>\r\nc : application/sdp\r\nContent-Disposition: session;handling=required\r\n\r\n${sdp}`,
      ),
      sdp,
    ],
    [
      'several of which one may choose',
      'multipart/alternative;boundary=b',
      parts(
        `Content-Type: application/sdp\r\n\r\n${sdp}a=1`,
        `Content-Type: application/sdp\r\n\r\n${sdp}a=2`,
      ),
      `${sdp}a=1 | ${sdp}a=2`,
    ],
    [
      'several of which one may choose, inside another',
      'multipart/mixed;boundary=outer',
      `--outer\r\nContent-Type: multipart/alternative;boundary=b\r\n\r\n${parts(sdpPart, sdpPart)}\r\n--outer--`,
      `${sdp} | ${sdp}`,
    ],
    ['twice', 'multipart/mixed;boundary=b', parts(sdpPart, text, sdpPart), `${sdp} | ${sdp} | ${several}`],
    [
      'twice, once among others to choose from',
      'multipart/alternative;boundary=outer',
      `--outer\r\nContent-Type: multipart/related;boundary=b\r\n\r\n${parts(sdpPart, sdpPart)}\r\n--outer\r\n${sdpPart}\r\n--outer--`,
      `${sdp} | ${sdp} | ${sdp} | ${several}`,
    ],
    [
      'beside that of an early session (RFC 3959)',
      'multipart/mixed;boundary=b',
      parts(`Content-Disposition: early-session\r\n${sdpPart}`, sdpPart),
      `${sdp} | aside ${sdp}`,
    ],
    [
      'perhaps in what is encrypted (RFC 8551)',
      'application/pkcs7-mime;smime-type=enveloped-data',
      'MIAGCSqGSIb3DQEHA6CA',
      sealed,
    ],
    [
      'or perhaps in an encrypted part',
      'multipart/mixed;boundary=b',
      parts(sdpPart, 'Content-Type: application/x-pkcs7-mime\r\n\r\nMIAG'),
      `${sdp} | ${sealed}`,
    ],
    [
      'not to be changed where it is signed (RFC 1847)',
      'multipart/signed;protocol="application/pkcs7-signature";boundary=b',
      parts(sdpPart, 'Content-Type: application/pkcs7-signature\r\n\r\nMIAG'),
      sealed,
    ],
    [
      'in a multipart inside another',
      'multipart/mixed;boundary=outer',
      `--outer\r\nContent-Type: multipart/alternative;boundary=b\r\n\r\n${parts(text, `Content-Type: application/sdp\r\n\r\n${sdp}`)}\r\n--outer--`,
      sdp,
    ],
    [
      'of an early session alone (RFC 3959)',
      'multipart/mixed;boundary=b',
      parts(`Content-Type: application/sdp\r\nContent-Disposition: early-session\r\n\r\n${sdp}`),
      `aside ${sdp}`,
    ],
    [
      'with bare line feeds',
      'multipart/mixed;boundary=b',
      `--b\nContent-Type: application/sdp\n\nv=0\n--b--`,
      'v=0',
    ],
    [
      'in a part whose headers are folded',
      'multipart/mixed;boundary=b',
      parts(
        text,
        `Content-Type:\r\n multipart/mixed;\r\n\tboundary=c\r\n\r\n--c\r\nc:\r\n application/sdp\r\n\r\n${sdp}\r\n--c--`,
      ),
      sdp,
    ],
    ['the last of 32', 'multipart/mixed;boundary=b', parts(...many(31), sdpPart), sdp],
    ['not among 32 others', 'multipart/mixed;boundary=b', parts(...many(32)), undefined],
    ['with blanks around the slash (RFC 3261 25.1)', 'application / sdp', sdp, sdp],
    [
      'in a list whose boundary is looked for among its parameters alone',
      'Multipart / Mixed ; type="x; boundary=no" ; boundary = "b"',
      parts(sdpPart),
      sdp,
    ],
    ['with an escape in its boundary', 'multipart/mixed;boundary="\\b";x', parts(sdpPart), sdp],
    ['among delimiters with blanks', 'multipart/mixed;boundary=b', `--b \t\r\n${sdpPart}\r\n--b-- \r\n`, sdp],
    ['on the third level', 'multipart/mixed;boundary=b1', nested(3), sdp],
    ['not in a part without a type', 'multipart/mixed;boundary=b', parts(`\r\n${sdp}`), undefined],
  ];
  for (const [name, type, body, expected] of cases) {
    test(name, () => assert.equal(found(type, body), expected));
  }

  test('is replaced where it lies, and its length with it', () => {
    const body = parts(
      text,
      `Content-Type: application/sdp\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`,
      text,
    );
    const where = sessionBodyOf(message('multipart/mixed;boundary=b', body))!;
    assert.equal(
      replaceDescriptions(body, where, () => 'v=0\r\n'),
      body.replace(sdp, 'v=0\r\n').replace(`Content-Length: ${sdp.length}`, 'Content-Length: 5'),
    );
  });

  test('is replaced in a list of a length of its own', () => {
    const list = (content: string): string => {
      const inner = `--c\r\nl: ${content.length}\r\n${sdpPart.replace(sdp, content)}\r\n--c--`;
      const type = 'Content-Type: multipart/alternative;boundary=c';
      return parts(`Content-Length: ${inner.length}\r\n${type}\r\nl: ${inner.length}\r\n\r\n${inner}`, text);
    };
    const longer = sdp.repeat(30);
    const where = sessionBodyOf(message('multipart/mixed;boundary=b', list(sdp)))!;
    assert.equal(
      replaceDescriptions(list(sdp), where, () => longer),
      list(longer),
    );
  });

  test('is the body without a type, where it begins like one: there is who reads it', () => {
    const bare = (body: string, headers: string[] = []): unknown =>
      sessionBodyOf(
        parseMessage(requestText({ body, headers }).replace('Content-Type: application/sdp\r\n', ''))!,
      );
    const whole = { session: [{ start: 0, end: sdp.length }], aside: [] };
    assert.partialDeepStrictEqual(bare(sdp), whole);
    assert.partialDeepStrictEqual(bare(sdp, ['c:']), whole);
    assert.equal(bare('hello'), undefined);
  });

  test('are replaced each by its own, however many and long they are', () => {
    const long = `Content-Length: ${sdp.length}\r\n${sdpPart}`;
    const body = parts(long, `Content-Disposition: early-session\r\n${long}`, text, long);
    const where = sessionBodyOf(message('multipart/alternative;boundary=b', body))!;
    const kinds = where.session.map(() => 'session').concat(where.aside.map(() => 'aside'));
    assert.deepEqual(kinds, ['session', 'session', 'aside']);
    const part = (content: string): string =>
      `Content-Length: ${content.length}\r\nContent-Type: application/sdp\r\n\r\n${content}`;
    const session = 'v=0\r\ns=a longer one than that which was there\r\n'.repeat(9);
    assert.equal(
      replaceDescriptions(body, where, (one) => (where.aside.includes(one) ? 'off' : session)),
      parts(part(session), `Content-Disposition: early-session\r\n${part('off')}`, text, part(session)),
    );
  });

  test('is known to be packed', () => {
    const encoded = 'The session description is encoded: it is read as text.';
    const problem = (type: string, body: string, headers: string[] = []): string | undefined =>
      sessionBodyOf(message(type, body, headers))?.problem;
    assert.equal(problem('application/sdp', sdp, ['Content-Encoding: gzip']), encoded);
    assert.ok(sessionBodyOf(message('application/sdp', sdp, ['e: identity'])));
    assert.equal(problem('application/sdp', sdp, ['e: identity']), undefined);
    const base64 = parts(`Content-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\ndj0w`);
    assert.equal(problem('multipart/mixed;boundary=b', base64), encoded);
  });

  const unreadable: [name: string, type: string, body: string, headers: string[], problem: RegExp][] = [
    ['compressed', 'multipart/mixed;boundary=b', '\x1f\x8b', ['Content-Encoding: gzip'], /body is encoded/],
    [
      'encoded inside another',
      'multipart/mixed;boundary=b',
      parts('Content-Type: multipart/mixed;boundary=c\r\nContent-Transfer-Encoding: base64\r\n\r\nLS1j'),
      [],
      /body is encoded/,
    ],
    ['of 33 parts', 'multipart/mixed;boundary=b', parts(...many(33)), [], /more than 32 parts/],
    ['nested four deep', 'multipart/mixed;boundary=b1', nested(4), [], /3 levels/],
    ['without a boundary', 'multipart/mixed', parts(sdpPart), [], /no boundary/],
    ['without an end', 'multipart/mixed;boundary=b', `--b\r\n${sdpPart}`, [], /no end/],
    ['without an end after it', 'multipart/mixed;boundary=b', `--b\r\n${sdpPart}\r\n--b\r\n`, [], /no end/],
    [
      'of 33 parts of which one is it',
      'multipart/mixed;boundary=b',
      parts(sdpPart, ...many(32)),
      [],
      /more than 32 parts/,
    ],
    [
      'that goes on after its end',
      'multipart/mixed;boundary=b',
      parts(text, text).replace('--b\r\nContent-Type', '--b--\r\n$&'),
      [],
      /goes on/,
    ],
    ['with two boundaries', 'multipart/mixed;boundary=b;boundary=c', parts(sdpPart), [], /no boundary/],
    [
      'with too long a boundary',
      `multipart/mixed;boundary=${'b'.repeat(71)}`,
      parts(sdpPart),
      [],
      /no boundary/,
    ],
    [
      'with a boundary in parameters without an end',
      'multipart/mixed;boundary=b;x="',
      parts(sdpPart),
      [],
      /no boundary/,
    ],
    ['of two types', 'text/plain', sdp, ['Content-Type: application/sdp'], /more than one Content-Type/],
    [
      'with a part of two types',
      'multipart/mixed;boundary=b',
      parts(`c: text/plain\r\n${sdpPart}`),
      [],
      /more than one Content-Type/,
    ],
    [
      'with lines in its headers that others may read',
      'multipart/mixed;boundary=b',
      parts(`X: y\r${sdpPart}`),
      [],
      /carriage return/,
    ],
    [
      'with more behind a line that is a delimiter or none',
      'multipart/mixed;boundary=b',
      parts(`${sdpPart}--bystander\r\nc=IN IP4 10.0.0.77`),
      [],
      /delimiter or none/,
    ],
    [
      'with it behind such a line',
      'multipart/mixed;boundary=b',
      parts(`${text}\r\n--b--ystander\r\n${sdpPart}`),
      [],
      /delimiter or none/,
    ],
    [
      'of 33 parts on two levels',
      'multipart/mixed;boundary=b',
      parts(...many(30), `Content-Type: multipart/mixed;boundary=c\r\n\r\n--c\r\n\r\n--c\r\n\r\n--c--`),
      [],
      /more than 32 parts/,
    ],
    ['without a part', 'multipart/mixed;boundary=c', parts(sdpPart), [], /no end/],
  ];
  for (const [name, type, body, headers, problem] of unreadable) {
    test(`may be in parts that cannot be read: a list ${name}`, () =>
      assert.match(sessionBodyOf(message(type, body, headers))?.problem ?? '', problem));
  }

  test('is looked for with a bound: a datagram of delimiters, of headers, of nested parts', () => {
    const started = performance.now();
    found('multipart/mixed;boundary=b', '--b\r\n'.repeat(13_000));
    found('multipart/mixed;boundary=b', '\n--bb'.repeat(13_000));
    found('multipart/mixed;boundary=b', `--b\r\n${'a: b\r\n'.repeat(10_000)}\r\n--b--`);
    found('multipart/mixed;boundary=b', `--b\r\nContent-Type:${' '.repeat(60_000)}x\r\n\r\n--b--`);
    found(
      'multipart/mixed;boundary=b',
      '--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n'.repeat(1200),
    );
    const blanks = `--b\r\n${`a:x${' '.repeat(990)}y\r\n`.repeat(60)}\r\n--b--`;
    for (let message = 0; message < 20; message++) found('multipart/mixed;boundary=b', blanks);
    assert.ok(performance.now() - started < 1000);
  });
});
