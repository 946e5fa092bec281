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
  type JudgedResponse,
  judgeRequest,
  judgeResponse,
  newHarness,
  readVector,
  vectorNames,
} from './judge.ts';
import { semanticsRows } from './rfc4475-semantics.ts';
import { syntaxRows } from './rfc4475-syntax.ts';

const requests = [...syntaxRows, ...semanticsRows];

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
