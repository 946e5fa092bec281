import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { beforeEach, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DigestAuthenticator } from '../../src/account/digest.ts';
import { MemoryLocation } from '../../src/location/memory-location.ts';
import {
  handleRegister,
  type RegisterResult,
  type RegistrarLimits,
  type RegistrarParts,
} from '../../src/registrar/registrar.ts';
import { type Message, parseMessage } from '../../src/sip/message/message.ts';
import { buildResponse } from '../../src/sip/message/response.ts';
import { ManualClock } from '../support/manual-clock.ts';

let clock: ManualClock;
let location: MemoryLocation;
/** Who every request is from, unless a test brings a real authenticator. */
let account: string;
const names = new Set(['alice', 'bob', 'user', 'watson', 'null-\0-null', 'gr\xfc']);

beforeEach(() => {
  clock = new ManualClock();
  location = new MemoryLocation(clock);
  account = 'alice';
});

function parts(changes: Partial<RegistrarParts> = {}): RegistrarParts {
  return {
    location,
    authenticator: { authenticate: () => ({ ok: true, account }) },
    accounts: { get: (name) => (names.has(name) ? {} : undefined) },
    isOurDomain: (host, port) =>
      ['example.com', '192.0.2.10', '[2001:db8::10]'].includes(host) && (port ?? 5060) === 5060,
    ...changes,
  };
}

interface Register {
  /** Contact, Expires and whatever else, each line with its CRLF. */
  headers?: string;
  to?: string;
  callId?: string;
  cseq?: string;
}

function parse(text: string): Message {
  const message = parseMessage(text);
  assert.ok(message);
  return message;
}

function message({
  headers = '',
  to = '<sip:alice@example.com>',
  callId = 'c1',
  cseq = '1',
}: Register): Message {
  return parse(
    `REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.1.1;branch=z9hG4bK1\r\n` +
      `From: <sip:alice@example.com>;tag=1\r\nTo: ${to}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} REGISTER\r\n` +
      `${headers}Content-Length: 0\r\n\r\n`,
  );
}

const source = { address: '198.51.100.7', port: 40123 };

function handle(request: Message, changes: Partial<RegistrarParts> = {}): RegisterResult {
  const context = { source, listenerKey: 'udp:10.0.0.15:5060', now: clock.now() };
  return handleRegister(request, context, parts(changes));
}

const register = (given: Register, limits?: Partial<RegistrarLimits>): RegisterResult =>
  handle(message(given), limits ? { limits } : {});

function assertRefused(result: RegisterResult, status: number, reason?: string): void {
  assert.deepEqual([result.status, result.reason], [status, reason]);
}

const lines = (result: RegisterResult, name: string) =>
  result.headers
    .split('\r\n')
    .filter((line) => line.startsWith(`${name}: `))
    .map((line) => line.slice(name.length + 2));

const bound = (aor = 'alice') => location.lookup(aor).map(({ contact }) => contact);

describe('a registration', () => {
  test('is kept with everything that a call will need', () => {
    const result = register({
      headers:
        'Contact: "Alice" <sip:alice@10.1.1.1:5062;transport=udp>;+sip.instance="<urn:uuid:1>";expires=600;q=0.7\r\n' +
        'User-Agent: phone/1.0\r\n',
      cseq: '17',
    });
    assert.equal(result.status, 200);
    assert.deepEqual(location.lookup('alice'), [
      {
        aor: 'alice',
        contact: 'sip:alice@10.1.1.1:5062;transport=udp',
        params: ';+sip.instance="<urn:uuid:1>";q=0.7',
        q: 700,
        expiresAt: clock.now() + 600_000,
        callId: 'c1',
        cseq: 17,
        received: source,
        listener: 'udp:10.0.0.15:5060',
        path: [],
        userAgent: 'phone/1.0',
      },
    ]);
    assert.equal(
      result.headers,
      'Contact: <sip:alice@10.1.1.1:5062;transport=udp>;+sip.instance="<urn:uuid:1>";q=0.7;expires=600\r\n' +
        'Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n',
    );
  });

  test('its answer is a response that a client can read', () => {
    const request = message({ headers: 'Contact: <sip:alice@10.1.1.1>\r\n' });
    const result = handle(request);
    const response = parse(buildResponse(request, result.status, { headers: result.headers, toTag: 't' }));
    assert.equal(response.status, 200);
    assert.equal(response.defect, undefined);
    assert.equal(response.cseqNumber, 1);
  });

  test('what is kept shares no memory with the message', () => {
    // A slice of each of 1000 messages of 60 kB would keep 60 MB alive.
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const filler = `X-Filler: ${'x'.repeat(60_000)}\r\n`;
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let n = 0; n < 1000; n++) {
      account = `u${n}`;
      const contact = `sip:${account}@phone-with-a-long-name.example.com;transport=udp`;
      handle(
        message({
          headers: `${filler}Contact: <${contact}>;+sip.instance="<urn:uuid:0000-1111-${n}>"\r\nUser-Agent: a-phone-of-some-maker/1.0\r\n`,
          to: `<sip:${account}@example.com>`,
          callId: `a-call-id-of-usual-length-${n}`,
        }),
        { accounts: { get: () => ({}) } },
      );
    }
    collectGarbage();
    assert.equal(location.size, 1000);
    assert.ok(process.memoryUsage().heapUsed - before < 10_000_000);
  });

  test('without Contact only tells what stands', () => {
    register({ headers: 'Contact: <sip:a@x>\r\n' });
    clock.advance(1500);
    const result = register({ callId: 'other' });
    assert.equal(result.status, 200);
    assert.deepEqual(lines(result, 'Contact'), ['<sip:a@x>;expires=3599']);
    assert.deepEqual(lines(register({ to: '<sip:alice@192.0.2.10>' }), 'Contact'), [
      '<sip:a@x>;expires=3599',
    ]);
  });

  test('is the same at every name and address of ours, escaped or not', () => {
    register({ headers: 'Contact: <sip:a@x>\r\n' });
    register({ headers: 'Contact: <sip:b@x>\r\n', to: '<sip:%61lice@192.0.2.10:5060>' });
    register({ headers: 'm: <sip:c@x>\r\n', to: 'sip:alice@[2001:db8::10]' });
    assert.deepEqual(bound(), ['sip:c@x', 'sip:b@x', 'sip:a@x']);
  });

  test('of several contacts, in lists and lines, some added and some removed', () => {
    register({ headers: 'Contact: <sip:a@x>, "x, y" <sip:b@x>;q=0.2\r\nContact: <sip:c@x>;q=0.9\r\n' });
    assert.deepEqual(bound(), ['sip:a@x', 'sip:c@x', 'sip:b@x']);
    const result = register({ headers: 'Contact: <sip:a@x>;expires=0, <sip:d@x>\r\n', cseq: '2' });
    assert.deepEqual(bound(), ['sip:d@x', 'sip:c@x', 'sip:b@x']);
    assert.deepEqual(lines(result, 'Contact'), [
      '<sip:d@x>;expires=3600',
      '<sip:c@x>;q=0.9;expires=3600',
      '<sip:b@x>;q=0.2;expires=3600',
    ]);
  });

  test('a refresh replaces the equal URI, however it is written (RFC 3261 19.1.4)', () => {
    register({ headers: 'Contact: <sip:a@Phone.example.com;transport=TCP;x=1>\r\n' });
    register({ headers: 'Contact: <sip:%61@phone.EXAMPLE.com;Transport=tcp>\r\n', cseq: '2' });
    assert.deepEqual(bound(), ['sip:%61@phone.EXAMPLE.com;Transport=tcp']);
    register({ headers: 'Contact: <sip:a@phone.example.com>\r\n', cseq: '3' });
    assert.equal(bound().length, 2);
  });

  test('the same contact twice in one request counts once, the last time', () => {
    const result = register({ headers: 'Contact: <sip:a@x>;q=0.1, <sip:a@X>;q=0.5\r\n' });
    assert.deepEqual(lines(result, 'Contact'), ['<sip:a@X>;q=0.5;expires=3600']);
  });
});

describe('step 2: Require', () => {
  test('lists what is not supported', () => {
    const result = register({
      headers: 'Require: path, gruu\r\nRequire: Outbound\r\nContact: <sip:a@x>\r\n',
    });
    assert.deepEqual([result.status, result.headers], [420, 'Unsupported: gruu, outbound\r\n']);
    assert.deepEqual(bound(), []);
  });

  test('comes before authentication and knows path', () => {
    let asked = 0;
    const authenticator: RegistrarParts['authenticator'] = {
      authenticate: () => {
        asked++;
        return { ok: true, account };
      },
    };
    assert.equal(handle(message({ headers: 'Require: gruu\r\n' }), { authenticator }).status, 420);
    assert.equal(asked, 0);
    assert.equal(handle(message({ headers: 'Require: PATH\r\n' }), { authenticator }).status, 200);
  });

  test('echoes nothing that is no option tag', () => {
    assertRefused(register({ headers: 'Require: a b, \x01\r\n' }), 400, 'Bad Require');
  });
});

describe('steps 3 to 5: who, what and where', () => {
  const md5 = (...texts: string[]) => createHash('md5').update(texts.join(':')).digest('hex');

  test('a whole round of REGISTER, 401, answer, 200', () => {
    const authenticator = new DigestAuthenticator(
      'cloudsip',
      new Map([['alice', { password: 'secret' }]]),
      Buffer.alloc(32, 1),
      clock,
    );
    const contact = 'Contact: <sip:alice@10.1.1.1>\r\n';
    const challenge = handle(message({ headers: contact }), { authenticator });
    assert.deepEqual([challenge.status, challenge.failure], [401, 'absent']);
    assert.deepEqual(bound(), []);
    const nonce = /nonce="([^"]+)"/.exec(challenge.headers)![1]!;

    const answer = (password: string, nc: string) => {
      const ha1 = md5('alice', 'cloudsip', password);
      const response = md5(ha1, nonce, nc, 'cn', 'auth', md5('REGISTER', 'sip:example.com'));
      return `${contact}Authorization: Digest username="alice",realm="cloudsip",nonce="${nonce}",uri="sip:example.com",response="${response}",qop=auth,nc=${nc},cnonce="cn"\r\n`;
    };
    const guess = handle(message({ headers: answer('guess', '00000001'), cseq: '2' }), { authenticator });
    assert.deepEqual([guess.status, guess.failure], [401, 'wrong']);
    assert.match(guess.headers, /^WWW-Authenticate: Digest [^\r]+\r\n$/);
    const right = handle(message({ headers: answer('secret', '00000001'), cseq: '3' }), { authenticator });
    assert.equal(right.status, 200);
    assert.deepEqual(bound(), ['sip:alice@10.1.1.1']);
    const replay = handle(message({ headers: answer('secret', '00000001'), cseq: '4' }), { authenticator });
    assert.deepEqual([replay.status, replay.failure], [401, 'stale']);
  });

  test('an account may not register for another', () => {
    account = 'bob';
    assertRefused(register({ headers: 'Contact: <sip:b@x>\r\n' }), 403, 'Not Your Address Of Record');
    account = 'Alice';
    assertRefused(register({}), 403, 'Not Your Address Of Record');
  });

  for (const to of ['<sip:alice@elsewhere.com>', '<sip:alice@example.com:5070>', '<sip:example.com>'])
    test(`${to} is not here`, () => assertRefused(register({ to }), 404));

  test('an address of record that is no SIP URI is malformed', () =>
    assertRefused(register({ to: '<tel:+1>' }), 400, 'To Is Not A SIP URI'));

  test('an account that was removed since is not here', () => {
    account = 'carol';
    assertRefused(register({ to: '<sip:carol@example.com>' }), 404);
  });

  test('a To that is none', () => assertRefused(register({ to: '<sip:alice' }), 400, 'Bad To'));

  test('a request that is broken', () => {
    assertRefused(register({ cseq: 'x' }), 400, 'Bad CSeq');
    assertRefused(register({ callId: '' }), 400, 'Bad Call-ID');
    assertRefused(register({ callId: 'c'.repeat(257) }), 400, 'Bad Call-ID');
    const invite = parse(message({}).text.replace('1 REGISTER', '1 INVITE'));
    assertRefused(handle(invite), 400, 'Bad CSeq');
    assertRefused(
      handle(parse(message({}).text.replace('Length: 0', 'Length: x'))),
      400,
      'Bad Content-Length',
    );
  });
});

describe('step 6: the star', () => {
  beforeEach(() => {
    register({ headers: 'Contact: <sip:a@x>, <sip:b@x>\r\n', cseq: '5' });
  });

  test('removes everything', () => {
    const result = register({ headers: 'Contact: *\r\nExpires: 0\r\n', cseq: '6' });
    assert.equal(result.status, 200);
    assert.deepEqual(lines(result, 'Contact'), []);
    assert.deepEqual(bound(), []);
  });

  const malformed = {
    'without Expires': 'Contact: *\r\n',
    'with another Expires': 'Contact: *\r\nExpires: 1\r\n',
    'with an Expires that is no number': 'Contact: *\r\nExpires: never\r\n',
    'with another contact': 'Contact: *, <sip:c@x>\r\nExpires: 0\r\n',
    'with another contact in another line': 'Contact: <sip:c@x>\r\nContact: *\r\nExpires: 0\r\n',
    twice: 'Contact: *\r\nContact: *\r\nExpires: 0\r\n',
  };
  for (const [what, headers] of Object.entries(malformed))
    test(`${what} is malformed and changes nothing`, () => {
      assertRefused(register({ headers, cseq: '6' }), 400, 'Contact * Needs Expires 0');
      assert.equal(bound().length, 2);
    });

  test('with parameters is no star', () => {
    assertRefused(
      register({ headers: 'Contact: *;expires=0\r\nExpires: 0\r\n', cseq: '6' }),
      400,
      'Bad Contact',
    );
  });

  test('of an earlier request of the same Call-ID changes nothing', () => {
    const headers = 'Contact: *\r\nExpires: 0\r\n';
    assertRefused(register({ headers, cseq: '4' }), 500, 'CSeq Out Of Order');
    assert.equal(bound().length, 2);
    assert.equal(register({ headers, cseq: '1', callId: 'after-reboot' }).status, 200);
    assert.deepEqual(bound(), []);
  });
});

describe('step 7: how long', () => {
  const expiresOf = (headers: string) => {
    const result = register({ headers });
    assert.equal(result.status, 200);
    return lines(result, 'Contact').map((line) => /expires=(\d+)$/.exec(line)![1]);
  };

  test('the parameter, else the header, else an hour', () => {
    assert.deepEqual(expiresOf('Contact: <sip:a@x>;expires=100, <sip:b@x>\r\nExpires: 200\r\n'), [
      '100',
      '200',
    ]);
    assert.deepEqual(expiresOf('Contact: <sip:c@x>\r\n'), ['3600', '100', '200']);
  });

  const wishes: [string, string][] = [
    ['60', '60'],
    ['7200', '7200'],
    ['7201', '7200'],
    ['4294967295', '7200'],
    // RFC 3261 10.2.1.1: malformed counts as 3600. So does what is beyond 2^32-1 (RFC 4475 3.1.2.4).
    ['4294967296', '3600'],
    ['-1', '3600'],
    ['soon', '3600'],
    ['', '3600'],
    ['"100"', '3600'],
  ];
  for (const [wish, given] of wishes) {
    test(`;expires=${wish} is ${given}`, () =>
      assert.deepEqual(expiresOf(`Contact: <sip:a@x>;expires=${wish}\r\n`), [given]));
  }
  test('a malformed header is an hour as well', () => {
    assert.deepEqual(expiresOf('Contact: <sip:a@x>\r\nExpires: Thu, 01 Dec 1994 16:00:00 GMT\r\n'), ['3600']);
  });

  test('too short is answered with what is not, and changes nothing', () => {
    const headers = 'Contact: <sip:a@x>, <sip:b@x>;expires=59\r\n';
    const result = register({ headers });
    assert.deepEqual([result.status, result.headers], [423, 'Min-Expires: 60\r\n']);
    assert.deepEqual(bound(), []);
    assert.equal(register({ headers }, { minExpires: 30 }).status, 200);
  });

  test('zero removes, also what is not there', () => {
    register({ headers: 'Contact: <sip:a@x>\r\n' });
    const result = register({ headers: 'Contact: <sip:a@x>, <sip:b@x>\r\nExpires: 0\r\n', cseq: '2' });
    assert.deepEqual([result.status, ...lines(result, 'Contact')], [200]);
    assert.deepEqual(bound(), []);
  });

  test('it ends when it ends', () => {
    register({ headers: 'Contact: <sip:a@x>;expires=60\r\n' });
    clock.advance(59_999);
    assert.deepEqual(bound(), ['sip:a@x']);
    clock.advance(1);
    assert.deepEqual(lines(register({}), 'Contact'), []);
  });
});

describe('step 7: in which order', () => {
  beforeEach(() => {
    register({ headers: 'Contact: <sip:a@x>\r\n', cseq: '5' });
  });

  test('an earlier request of the same Call-ID fails as a whole', () => {
    const headers = 'Contact: <sip:new@x>, <sip:a@x>;expires=0\r\n';
    assertRefused(register({ headers, cseq: '4' }), 500, 'CSeq Out Of Order');
    assert.deepEqual(bound(), ['sip:a@x']);
  });

  test('the same request again is answered as before', () => {
    assert.equal(register({ headers: 'Contact: <sip:a@x>\r\n', cseq: '5' }).status, 200);
  });

  test('another Call-ID has its own order', () => {
    assert.equal(register({ headers: 'Contact: <sip:a@x>\r\n', cseq: '1', callId: 'c2' }).status, 200);
    assert.deepEqual(
      location.lookup('alice').map(({ callId, cseq }) => [callId, cseq]),
      [['c2', 1]],
    );
  });

  test('an earlier request about other contacts is free', () => {
    assert.equal(register({ headers: 'Contact: <sip:b@x>\r\n', cseq: '2' }).status, 200);
    assert.equal(bound().length, 2);
  });
});

describe('step 7: contacts', () => {
  const refused: [string, string][] = [
    ['sip:user@example.com?Route=%3Csip:sip.example.com%3E', 'Bad Contact'],
    ['<sip:a@x', 'Bad Contact'],
    ['<sip:a@@x>', 'Bad Contact'],
    ['<sip:a@x:99999>', 'Bad Contact'],
    ['<sip:a%zz@x>', 'Bad Contact'],
    ['"open <sip:a@x>', 'Bad Contact'],
    ['<sip:a@x> tail', 'Bad Contact'],
    ['<sip:a@x>;y=\x01', 'Bad Contact'],
    ['', 'Bad Contact'],
    ['<sip:a@x>,', 'Bad Contact'],
    ['<alice>', 'Bad Contact'],
    ['<tel:+49301234567>', 'Only SIP Contacts'],
    ['<mailto:alice@example.com>', 'Only SIP Contacts'],
    [`<sip:${'a'.repeat(1100)}@x>`, 'Bad Contact'],
    [`<sip:a@x>;y=${'a'.repeat(1100)}`, 'Contact Too Long'],
  ];
  for (const [contact, reason] of refused) {
    test(`${JSON.stringify(contact.slice(0, 60))} is refused, and all beside it`, () => {
      assertRefused(register({ headers: `Contact: <sip:good@x>\r\nContact: ${contact}\r\n` }), 400, reason);
      assert.deepEqual(bound(), []);
    });
  }

  const accepted: [string, string, string][] = [
    ['sip:a@x;unknownparam', 'sip:a@x', ';unknownparam'],
    ['<sip:a@x;unknownparam>', 'sip:a@x;unknownparam', ''],
    ['<sip:a@x?Route=%3Csip:y%3E>', 'sip:a@x?Route=%3Csip:y%3E', ''],
    ['<sips:a@x>', 'sips:a@x', ''],
    ['<sip:[2001:db8::1]:5070>', 'sip:[2001:db8::1]:5070', ''],
    ['"q \\" > <" <sip:a@x>\r\n ;a=b', 'sip:a@x', ';a=b'],
  ];
  for (const [contact, uri, params] of accepted) {
    test(`${JSON.stringify(contact)} is accepted`, () => {
      const result = register({ headers: `Contact: ${contact}\r\n` });
      assert.deepEqual(lines(result, 'Contact'), [`<${uri}>${params};expires=3600`]);
    });
  }

  const qValues: [string, number][] = [
    ['0', 0],
    ['0.', 0],
    ['0.5', 500],
    ['0.05', 50],
    ['0.123', 123],
    ['1', 1000],
    ['1.000', 1000],
    ['0.1234', 1000],
    ['1.1', 1000],
    ['2', 1000],
    ['x', 1000],
  ];
  for (const [text, q] of qValues)
    test(`q=${text} is ${q} thousandths`, () => {
      register({ headers: `Contact: <sip:a@x>;q=${text}\r\n` });
      assert.equal(location.lookup('alice')[0]?.q, q);
    });

  test('no more than ten of one address, though who has ten may refresh and move', () => {
    const many = (count: number) => Array.from({ length: count }, (_, n) => `<sip:a@x${n}>`).join(', ');
    assertRefused(register({ headers: `Contact: ${many(11)}\r\n` }), 403, 'Too Many Bindings');
    assert.deepEqual(bound(), []);
    assert.equal(register({ headers: `Contact: ${many(10)}\r\n` }).status, 200);
    assertRefused(register({ headers: 'Contact: <sip:b@x>\r\n', cseq: '2' }), 403, 'Too Many Bindings');
    assert.equal(register({ headers: `Contact: ${many(10)}\r\n`, cseq: '3' }).status, 200);
    const moved = register({ headers: 'Contact: <sip:a@x0>;expires=0, <sip:b@x>\r\n', cseq: '4' });
    assert.equal(moved.status, 200);
    assert.equal(bound().length, 10);
    assertRefused(register({ headers: `Contact: ${many(21)}\r\n`, cseq: '5' }), 400, 'Too Many Contacts');
  });

  test('a full store asks to come later', () => {
    location = new MemoryLocation(clock, { mostBindings: 0 });
    const result = register({ headers: 'Contact: <sip:a@x>\r\n' });
    assert.deepEqual([result.status, result.headers], [503, 'Retry-After: 60\r\n']);
    assert.equal(register({}).status, 200);
  });
});

describe('step 8: Path (RFC 3327)', () => {
  const path =
    'Path: <sip:p1.example.com;lr>, <sip:[2001:db8::1];lr>\r\nPath: <sip:p2.example.com;lr>;x=1\r\n';
  const routes = ['<sip:p1.example.com;lr>', '<sip:[2001:db8::1];lr>', '<sip:p2.example.com;lr>;x=1'];

  test('is kept in its order and shown to a client that knows it', () => {
    const result = register({ headers: `Contact: <sip:a@x>\r\n${path}Supported: gruu, Path\r\n` });
    assert.deepEqual(location.lookup('alice')[0]?.path, routes);
    assert.deepEqual(lines(result, 'Path'), routes);
    assert.deepEqual(lines(result, 'Supported'), ['path']);
  });

  test('is kept and not shown to one that does not', () => {
    const result = register({ headers: `Contact: <sip:a@x>\r\n${path}` });
    assert.deepEqual(location.lookup('alice')[0]?.path, routes);
    assert.deepEqual([...lines(result, 'Path'), ...lines(result, 'Supported')], []);
  });

  for (const bad of [
    '<tel:+1>',
    '<sip:x',
    'junk',
    '',
    `${'<sip:x;lr>,'.repeat(10)}<sip:x;lr>`,
    `<sip:${'x'.repeat(600)}>`,
  ])
    test(`${JSON.stringify(bad.slice(0, 30))} is malformed`, () => {
      assertRefused(register({ headers: `Contact: <sip:a@x>\r\nPath: ${bad}\r\n` }), 400, 'Bad Path');
      assert.deepEqual(bound(), []);
    });
});

describe('RFC 4475', () => {
  const torture = (to: string, headers: string): RegisterResult => {
    account = decodeURIComponent(/sip:([^@]+)@/.exec(to)![1]!);
    return handle(message({ to, headers, callId: 'torture', cseq: '14398234' }));
  };

  test('3.1.1.4 escnull: escaped NULs make two users, not an end', () => {
    const headers = 'Contact: <sip:%00@host5.example.com>\r\nContact: <sip:%00%00@host5.example.com>\r\n';
    assert.equal(torture('sip:null-%00-null@example.com', headers).status, 200);
    assert.deepEqual(bound('null-\0-null'), ['sip:%00@host5.example.com', 'sip:%00%00@host5.example.com']);
  });

  test('3.1.2.13 regbadct: a URI with headers and without brackets', () => {
    const headers = 'Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\r\n';
    assertRefused(torture('sip:user@example.com', headers), 400, 'Bad Contact');
  });

  test('3.3.14 regescrt: an escaped header belongs to the Contact', () => {
    const result = torture(
      'sip:user@example.com',
      'M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\r\n',
    );
    assert.deepEqual(lines(result, 'Contact'), [
      '<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600',
    ]);
  });

  test('3.3.12 and 3.3.13 cparam01 and cparam02: whose parameter it is', () => {
    const bare = 'Contact: sip:+19725552222@gw1.example.net;unknownparam\r\n';
    const bracketed = 'Contact: <sip:+19725552222@gw1.example.net;unknownparam>\r\n';
    torture('sip:watson@example.com', bare);
    assert.deepEqual(bound('watson'), ['sip:+19725552222@gw1.example.net']);
    torture('sip:watson@example.com', bracketed);
    // An unknown URI parameter makes no other URI: the same binding, refreshed.
    assert.deepEqual(bound('watson'), ['sip:+19725552222@gw1.example.net;unknownparam']);
  });
});
