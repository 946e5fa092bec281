/**
 * The messages of RFC 4475, each before an agent for whom it is not foreign: one row a vector, what the RFC asks,
 * and what has to happen. Where the RFC leaves a choice the row says which is taken and why.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requestText } from '../support/sip-text.ts';
import {
  assertForwarded,
  contactUri,
  type Judged,
  type JudgedResponse,
  judgeRequest,
  judgeResponse,
  newHarness,
  readVector,
  type Setting,
  vectorNames,
} from './judge.ts';

interface RequestRow {
  readonly file: string;
  readonly section: string;
  readonly title: string;
  /** What the RFC asks of a proxy or registrar, and why so where it leaves the choice. */
  readonly asks: string;
  readonly setting: Setting;
  /** The final status that is answered, or `forwarded` with every byte that is not the proxy's as it came. */
  readonly outcome: number | 'forwarded';
  readonly reason?: RegExp;
  /** The Request-URI that is forwarded; the called user's contact where it is absent. */
  readonly requestUri?: string;
  /** Route lines of the vector that are the agent's own. */
  readonly consumed?: string;
  readonly more?: (judged: Judged) => void;
}

/** sip:user@example.com is called by somebody of elsewhere. */
const user: Setting = { called: 'user' };

const requests: readonly RequestRow[] = [
  {
    file: 'wsinv',
    section: '3.1.1.1',
    title: 'A Short Tortuous INVITE',
    asks: 'Valid: folds, white space, escapes and unknown header fields are read and passed on.',
    setting: {
      domains: ['chair-dnrc.example.com', 'services.example.com'],
      called: 'vivekg',
      source: '192.0.2.2:5060',
    },
    outcome: 'forwarded',
    consumed: 'Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n',
  },
  {
    file: 'intmeth',
    section: '3.1.1.2',
    title: 'Wide Range of Valid Characters',
    asks: 'Valid: every character that the grammar allows, in a method that nobody knows.',
    setting: { called: "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*", as: 'mundane' },
    outcome: 'forwarded',
  },
  {
    file: 'esc01',
    section: '3.1.1.3',
    title: 'Valid Use of the % Escaping Mechanism',
    asks: 'Valid: the user is "sips:user@example.com" in example.net, and no sips URI is made of it.',
    setting: { domains: ['example.net'], called: 'sips:user@example.com', as: 'I have spaces' },
    outcome: 'forwarded',
  },
  {
    file: 'escnull',
    section: '3.1.1.4',
    title: 'Escaped Nulls in URIs',
    asks: 'Valid: the user is not cut at the null, and two different contacts are registered.',
    setting: { as: 'null-\x00-null' },
    outcome: 200,
    more: ({ harness }) => {
      const contacts = harness.location.lookup('null-\x00-null').map(({ contact }) => contact);
      assert.deepEqual(contacts, ['sip:%00@host5.example.com', 'sip:%00%00@host5.example.com']);
    },
  },
  {
    file: 'esc02',
    section: '3.1.1.5',
    title: 'Use of % When It Is Not an Escape',
    asks: 'Valid: RE%47IST%45R is not REGISTER and C%6Fntact not Contact, so a proxy passes both on as unknown.',
    setting: { as: 'resource', spliced: ['Route: <sip:192.0.2.200:5070;lr>'] },
    outcome: 'forwarded',
    requestUri: 'sip:registrar.example.com',
    more: ({ harness, sent }) => {
      assert.deepEqual(sent[0]!.destination, { address: '192.0.2.200', port: 5070 });
      assert.equal(harness.location.lookup('resource').length, 0);
    },
  },
  {
    file: 'lwsdisp',
    section: '3.1.1.6',
    title: 'Message with No LWS between Display Name and <',
    asks: 'Valid.',
    setting: { called: 'user', as: 'caller' },
    outcome: 'forwarded',
  },
  {
    file: 'longreq',
    section: '3.1.1.7',
    title: 'Long Values in Header Fields',
    asks: 'Valid: long names and values, 34 Via lines in all spellings.',
    setting: user,
    outcome: 'forwarded',
    more: ({ sent }) => assert.equal(sent[0]!.message.count(1), 35),
  },
  {
    file: 'dblreq',
    section: '3.1.1.8',
    title: 'Extra Trailing Octets in a UDP Datagram',
    asks: 'The octets behind the REGISTER are ignored: they are no second request.',
    setting: { as: 'j.user', called: 'joe' },
    outcome: 200,
    more: ({ harness, sent }) => {
      assert.equal(sent.length, 1);
      assert.deepEqual(
        harness.location.lookup('j.user').map(({ contact }) => contact),
        ['sip:j.user@host.example.com'],
      );
    },
  },
  {
    file: 'semiuri',
    section: '3.1.1.9',
    title: 'Semicolon-Separated Parameters in URI User Part',
    asks: 'Valid: the user is "user;par=u@example.net", and the URI has no parameter.',
    setting: { called: 'user;par=u@example.net' },
    outcome: 'forwarded',
  },
  {
    file: 'transports',
    section: '3.1.1.10',
    title: 'Varied and Unknown Transport Types',
    asks: 'Valid: transports in Via that the agent does not know are the business of others.',
    setting: { called: 'user', as: 'caller' },
    outcome: 'forwarded',
  },
  {
    file: 'mpart01',
    section: '3.1.1.11',
    title: 'Multipart MIME Message',
    asks: 'Valid: a binary body, nulls and all, passes as it is.',
    setting: {
      listeners: ['udp:127.0.0.1:5080'],
      domains: ['example.org'],
      called: 'kumiko',
      contact: 'sip:kumiko@127.0.0.1:5090',
      contactSource: '127.0.0.1:5090',
      source: '127.0.0.1:5070',
    },
    outcome: 'forwarded',
    requestUri: 'sip:kumiko@127.0.0.1:5090',
    consumed: 'Route: <sip:127.0.0.1:5080>\r\n',
  },
  {
    file: 'badinv01',
    section: '3.1.2.1',
    title: 'Extraneous Header Field Separators',
    asks: 'Respond 400.',
    setting: user,
    outcome: 400,
    reason: /Via/,
  },
  {
    file: 'clerr',
    section: '3.1.2.2',
    title: 'Content Length Larger Than Message',
    asks: 'Over UDP respond 400 (RFC 3261 18.3).',
    setting: user,
    outcome: 400,
    reason: /Content-Length/,
  },
  {
    file: 'ncl',
    section: '3.1.2.3',
    title: 'Negative Content-Length',
    asks: 'Respond with an error; 400.',
    setting: user,
    outcome: 400,
    reason: /Content-Length/,
  },
  {
    file: 'scalar02',
    section: '3.1.2.4',
    title: 'Request Scalar Fields with Overlarge Values',
    asks: 'Respond 400: the CSeq number and Max-Forwards are out of range. Overlarge expiries alone would be shortened.',
    setting: { as: 'user' },
    outcome: 400,
    reason: /CSeq/,
  },
  {
    file: 'quotbal',
    section: '3.1.2.6',
    title: 'Unterminated Quoted String in Display Name',
    asks: '400, or guess where the quote should be. What is guessed could not be forwarded as it came: 400.',
    setting: user,
    outcome: 400,
    reason: /To/,
  },
  {
    file: 'ltgtruri',
    section: '3.1.2.7',
    title: '<> Enclosing Request-URI',
    asks: '400, or repair it. A sender that writes this is broken in more than this: 400.',
    setting: user,
    outcome: 400,
    reason: /Request-URI/,
  },
  {
    file: 'lwsruri',
    section: '3.1.2.8',
    title: 'Malformed SIP Request-URI (embedded LWS)',
    asks: '400, or repair it: 400.',
    setting: user,
    outcome: 400,
    reason: /Request-Line/,
  },
  {
    file: 'lwsstart',
    section: '3.1.2.9',
    title: 'Multiple SP Separating Request-Line Elements',
    asks: '400, or read over it and not pass it on: 400.',
    setting: user,
    outcome: 400,
    reason: /Request-Line/,
  },
  {
    file: 'trws',
    section: '3.1.2.10',
    title: 'SP Characters at End of Request-Line',
    asks: '400, or read over it and not pass it on: 400.',
    setting: { called: 'remote-target', as: 'local-resource' },
    outcome: 400,
    reason: /Request-Line/,
  },
  {
    file: 'escruri',
    section: '3.1.2.11',
    title: 'Escaped Headers in SIP Request-URI',
    asks: '400, or drop the headers, never act upon them: 400.',
    setting: user,
    outcome: 400,
    reason: /Request-URI/,
  },
  {
    file: 'baddate',
    section: '3.1.2.12',
    title: 'Invalid Time Zone in Date Header Field',
    asks: '400, or ignore a Date that is not used. A proxy uses none, so it passes.',
    setting: user,
    outcome: 'forwarded',
  },
  {
    file: 'regbadct',
    section: '3.1.2.13',
    title: 'Failure to Enclose name-addr URI in <>',
    asks: '400, or guess that the question mark belongs to the URI. A registrar that guesses rings the wrong: 400.',
    setting: { as: 'user' },
    outcome: 400,
    reason: /Contact/,
    more: ({ harness }) => assert.equal(harness.location.lookup('user').length, 0),
  },
  {
    file: 'badaspec',
    section: '3.1.2.14',
    title: 'Spaces within addr-spec',
    asks: '400, or read over the spaces: 400.',
    setting: { domains: ['example.org'], called: 'user' },
    outcome: 400,
    reason: /To/,
  },
  {
    file: 'baddn',
    section: '3.1.2.15',
    title: 'Non-token Characters in Display Name',
    asks: '400, or guess the quotes: 400. The vector lacks the empty line at its end, which is put there.',
    setting: { domains: ['example.org'], called: 't.watson', appended: '\r\n' },
    outcome: 400,
    reason: /From/,
  },
  {
    file: 'badvers',
    section: '3.1.2.16',
    title: 'Unknown Protocol Version',
    asks: 'Respond 505.',
    setting: { domains: ['example.org'], called: 't.watson' },
    outcome: 505,
  },
  {
    file: 'mismatch01',
    section: '3.1.2.17',
    title: 'Start Line and CSeq Method Mismatch',
    asks: 'Respond 400.',
    setting: user,
    outcome: 400,
    reason: /CSeq/,
  },
  {
    file: 'mismatch02',
    section: '3.1.2.18',
    title: 'Unknown Method with CSeq Method Mismatch',
    asks: 'Respond 400, or 501 where the method is refused anyhow; a proxy refuses no method.',
    setting: user,
    outcome: 400,
    reason: /CSeq/,
  },
  {
    file: 'badbranch',
    section: '3.2.1',
    title: 'Missing Transaction Identifier',
    asks: '400, or match as RFC 2543 did. The latter, since it costs nothing; two requests stay two.',
    setting: user,
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
    setting: user,
    outcome: 400,
    reason: /Missing From/,
  },
  {
    file: 'unkscm',
    section: '3.3.2',
    title: 'Request-URI with Unknown Scheme',
    asks: 'Respond 416.',
    setting: user,
    outcome: 416,
  },
  {
    file: 'novelsc',
    section: '3.3.3',
    title: 'Request-URI with Known but Atypical Scheme',
    asks: 'Respond 416 where one cannot route by this scheme.',
    setting: user,
    outcome: 416,
  },
  {
    file: 'unksm2',
    section: '3.3.4',
    title: 'Unknown URI Schemes in Header Fields',
    asks: 'Parsers must not fail. Nothing is registered for an ISBN: it is no address of record here (RFC 3261 10.3 step 5).',
    setting: { as: 'user' },
    outcome: 404,
    more: ({ harness }) => assert.equal(harness.location.lookup('user').length, 0),
  },
  {
    file: 'bext01',
    section: '3.3.5',
    title: 'Proxy-Require and Require',
    asks: 'A proxy responds 420 and names what Proxy-Require asked for; Require is not its business.',
    setting: user,
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
    setting: user,
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
    setting: user,
    outcome: 400,
    reason: /Content-Length/,
  },
  {
    file: 'zeromf',
    section: '3.3.11',
    title: 'Max-Forwards of Zero',
    asks: 'A proxy responds 483.',
    setting: user,
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
    setting: user,
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

interface ResponseRow {
  readonly file: string;
  readonly section: string;
  readonly title: string;
  readonly asks: string;
  /** How the vector is made a response to a request of ours. */
  readonly via: 'on-top' | 'branch';
  readonly check: (judged: JudgedResponse, vector: string) => void;
}

const responses: readonly ResponseRow[] = [
  {
    file: 'unreason',
    section: '3.1.1.12',
    title: 'Unusual Reason Phrase',
    asks: 'Valid: the phrase is UTF-8 and passes as it is.',
    via: 'on-top',
    check: ({ sent }, vector) => assert.deepEqual(texts(sent), [vector]),
  },
  {
    file: 'noreason',
    section: '3.1.1.13',
    title: 'Empty Reason Phrase',
    asks: 'Valid: a 100 that stops the retransmissions of the INVITE, and is not passed on (RFC 3261 16.7 step 5).',
    via: 'on-top',
    check: ({ sent, taken }) => {
      assert.ok(taken);
      assert.deepEqual(texts(sent), []);
    },
  },
  {
    file: 'scalarlg',
    section: '3.1.2.5',
    title: 'Response Scalar Fields with Overlarge Values',
    asks: 'Discard it: the CSeq number is out of range.',
    via: 'on-top',
    check: assertDropped,
  },
  {
    file: 'bigcode',
    section: '3.1.2.19',
    title: 'Overlarge Response Code',
    asks: 'Discard it.',
    via: 'on-top',
    check: assertDropped,
  },
  {
    file: 'bcast',
    section: '3.3.10',
    title: '200 OK Response with Broadcast Via Header Field Value',
    asks: 'Nothing may be sent to the broadcast address. Where a response goes is known from the request, never read from the response, so it can only reach the caller.',
    via: 'branch',
    check: ({ sent }) => {
      assert.ok(sent.length > 0);
      for (const { destination } of sent)
        assert.deepEqual(destination, { address: '198.51.100.10', port: 5060 });
    },
  },
];

function texts(sent: JudgedResponse['sent']): string[] {
  return sent.map(({ text }) => text);
}

function assertDropped({ sent, taken }: JudgedResponse): void {
  assert.ok(!taken);
  assert.deepEqual(texts(sent), []);
}

describe('RFC 4475 requests', () => {
  for (const row of requests) {
    test(`${row.section} ${row.title} (${row.file}): ${row.outcome}`, () => {
      const judged = judgeRequest(readVector('rfc4475', row.file), row.setting);
      if (row.outcome === 'forwarded')
        assertForwarded(judged, row.requestUri ?? contactUri, {
          consumed: row.consumed,
          routed: row.setting.spliced !== undefined,
        });
      else {
        assert.equal(judged.sent.length, 1);
        const { message, text } = judged.sent[0]!;
        assert.equal(message.status, row.outcome, text);
        assert.equal(message.defect, undefined);
        if (row.reason) assert.match(text.slice(0, text.indexOf('\r\n')), row.reason);
      }
      row.more?.(judged);
    });
  }
});

describe('RFC 4475 responses', () => {
  for (const { file, section, title, via, check } of responses) {
    test(`${section} ${title} (${file})`, () => {
      const vector = readVector('rfc4475', file);
      check(judgeResponse(vector, via), vector);
    });
  }
});

describe('RFC 4475 beyond the single message', () => {
  test('no vector is left out', () => {
    const files = [...requests, ...responses].map(({ file }) => file).sort();
    assert.deepEqual(vectorNames('rfc4475'), files);
    assert.equal(files.length, 49);
  });

  test('3.4.1: the ACK to a failure is matched as RFC 2543 did', () => {
    const vector = readVector('rfc4475', 'inv2543');
    const harness = newHarness({});
    harness.receive(vector, '192.0.2.1:5060');
    const [refusal] = harness.take();
    assert.equal(refusal!.message.status, 404);
    const to = /^To: .*/m.exec(refusal!.text)![0];
    const ack = vector
      .slice(0, vector.indexOf('\r\n\r\n') + 4)
      .replace(/^INVITE/, 'ACK')
      .replace('56 INVITE', '56 ACK')
      .replace(/^To: .*/m, to);
    harness.receive(ack, '192.0.2.1:5060');
    harness.clock.advance(4000);
    assert.deepEqual(harness.take(), [], 'the 404 is not sent again');
  });

  test('3.3.14: a header in a Contact gets neither into the Request-URI nor into the request', () => {
    const { harness } = judgeRequest(
      readVector('rfc4475', 'regescrt').replace('user@example.com?', 'user@192.0.2.200:5070?'),
      { as: 'user' },
    );
    harness.receive(requestText({ uri: 'sip:user@example.com' }), '198.51.100.10:5060');
    const invite = harness.take().at(-1)!;
    assert.equal(invite.message.requestUri, 'sip:user@192.0.2.200:5070');
    assert.doesNotMatch(invite.text, /^Route:/m);
    // The binding is reached, whose Contact is not where its REGISTER came from.
    assert.deepEqual(invite.destination, { address: '192.0.2.200', port: 5070 });
  });

  test('3.3.10: a request cannot make the agent answer to the broadcast address', () => {
    for (const via of ['255.255.255.255', '198.51.100.10:5060;maddr=255.255.255.255']) {
      const harness = newHarness({});
      harness.receive(requestText({ via }).replace(';rport', ''), '198.51.100.10:5060');
      const [answer] = harness.take();
      assert.deepEqual(answer!.destination, { address: '198.51.100.10', port: 5060 });
    }
  });
});
