/** The messages of RFC 5118: IPv6 wherever SIP writes an address. One row a vector, as for RFC 4475. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VIA } from '../../src/sip/message/header-id.ts';
import { requestText, responseText } from '../support/sip-text.ts';
import {
  assertForwarded,
  contactUri,
  type Judged,
  judgeRequest,
  newHarness,
  readVector,
  type Setting,
  vectorNames,
} from './judge.ts';

interface Row {
  readonly file: string;
  readonly section: string;
  readonly title: string;
  readonly asks: string;
  readonly setting: Setting;
  readonly outcome: number | 'forwarded';
  readonly more?: (judged: Judged) => void;
}

const contact = 'sip:target@[2001:db8::c]:5070';
/** The agent is 2001:db8::10 and serves other domains than the callers come from; their source is what Via says. */
const six: Setting = {
  listeners: ['udp:[2001:db8::10]:5060'],
  domains: ['example.org'],
  called: 'user',
  contact,
  contactSource: '[2001:db8::c]:5070',
  source: '[2001:db8::9:1]:5060',
};
/** The same for the registrar: nobody is registered yet. */
const registrar: Setting = { listeners: six.listeners!, as: 'user', source: six.source! };

const rows: readonly Row[] = [
  {
    file: 'ipv6-good',
    section: '4.1',
    title: 'Valid SIP Message with an IPv6 Reference',
    asks: 'Well-formed.',
    setting: registrar,
    outcome: 200,
    more: ({ harness }) =>
      assert.deepEqual(
        harness.location.lookup('user').map((binding) => binding.contact),
        ['sip:caller@[2001:db8::1]'],
      ),
  },
  {
    file: 'ipv6-bad',
    section: '4.2',
    title: 'Invalid SIP Message with an IPv6 Reference',
    asks: 'Without delimiters the Request-URI is malformed: 400 (RFC 3261 7.3.1 and 21.4.1).',
    setting: registrar,
    outcome: 400,
    more: ({ sent }) => assert.match(sent[0]!.text, /^SIP\/2\.0 400 Bad Request-URI\r\n/),
  },
  {
    file: 'port-ambiguous',
    section: '4.3',
    title: 'Port Ambiguous in a SIP URI',
    asks: 'Within the brackets 5070 is a part of the address: who is 2001:db8::10:5070 is meant.',
    setting: { ...registrar, listeners: ['udp:[2001:db8::10:5070]:5060'] },
    outcome: 200,
  },
  {
    file: 'port-unambiguous',
    section: '4.4',
    title: 'Port Unambiguous in a SIP URI',
    asks: 'Behind the brackets 5070 is the port.',
    setting: { ...registrar, listeners: ['udp:[2001:db8::10]:5070'] },
    outcome: 200,
  },
  {
    file: 'via-received-param-with-delim',
    section: '4.5',
    title: 'IPv6 Reference Delimiters in Via Header (with)',
    asks: 'Accepted with and without brackets, written without. The BYE is for the agent itself, who has no such dialog.',
    setting: { ...six, source: '[2001:db8::9:255]:5060' },
    outcome: 404,
    more: assertReceived,
  },
  {
    file: 'via-received-param-no-delim',
    section: '4.5',
    title: 'IPv6 Reference Delimiters in Via Header (without)',
    asks: 'Accepted with and without brackets, written without. OPTIONS of the agent itself.',
    setting: { ...six, source: '[2001:db8::9:255]:5060' },
    outcome: 200,
    more: assertReceived,
  },
  {
    file: 'ipv6-in-sdp',
    section: '4.6',
    title: 'SIP Request with IPv6 Addresses in Session Description Protocol (SDP) Body',
    asks: 'Well-formed; a proxy that relays no media does not touch the body.',
    setting: { ...six, source: '[2001:db8::20]:5060' },
    outcome: 'forwarded',
  },
  {
    file: 'mult-ip-in-header',
    section: '4.7',
    title: 'Multiple IP Addresses in SIP Headers',
    asks: 'Well-formed: hops of both families in one request.',
    setting: { ...six, domains: ['host.example.net'], source: '[2001:db8::9:1]:6050' },
    outcome: 'forwarded',
    more: ({ sent }) => assert.equal(sent[0]!.message.count(VIA), 4),
  },
  {
    file: 'mult-ip-in-sdp',
    section: '4.8',
    title: 'Multiple IP Addresses in SDP',
    asks: 'Well-formed; the endpoint chooses the streams that it can take.',
    setting: six,
    outcome: 'forwarded',
  },
  {
    file: 'ipv4-mapped-ipv6',
    section: '4.9',
    title: 'IPv4-Mapped IPv6 Addresses',
    asks: 'Well-formed: the mapped address is its IPv4 address, so sent-by is the source and takes no received.',
    setting: { called: 'user', source: '192.0.2.10:19823' },
    outcome: 'forwarded',
    more: ({ sent }) => assert.doesNotMatch(sent[0]!.text, /received=/),
  },
  {
    file: 'ipv6-bug-abnf-3-colons',
    section: '4.10',
    title: 'IPv6 Reference Bug in RFC 3261 ABNF (three colons)',
    asks: 'Tolerated: read as the two colons that are meant.',
    setting: { ...six, listeners: ['udp:[2001:db8::192.0.2.1]:5060'] },
    outcome: 'forwarded',
  },
  {
    file: 'ipv6-correct-abnf-2-colons',
    section: '4.10',
    title: 'IPv6 Reference Bug in RFC 3261 ABNF (two colons)',
    asks: 'Well-formed.',
    setting: { ...six, listeners: ['udp:[2001:db8::192.0.2.1]:5060'] },
    outcome: 'forwarded',
  },
];

/** What the sender claims is replaced by where he is, without brackets (RFC 5118 4.5). */
function assertReceived({ sent }: Judged): void {
  const [top] = /^Via: .*/m.exec(sent[0]!.text)!;
  assert.match(top!, /;received=2001:db8::9:255(?:;|$)/);
  assert.equal(top!.match(/received/g)!.length, 1);
  assert.deepEqual(sent[0]!.destination, { address: '2001:db8::9:255', port: 5060 });
}

describe('RFC 5118', () => {
  for (const row of rows) {
    test(`${row.section} ${row.title}: ${row.outcome}`, () => {
      const judged = judgeRequest(readVector('rfc5118', row.file), row.setting);
      if (row.outcome === 'forwarded') assertForwarded(judged, row.setting.contact ?? contactUri);
      else {
        assert.equal(judged.sent.length, 1);
        assert.equal(judged.sent[0]!.message.status, row.outcome, judged.sent[0]!.text);
      }
      row.more?.(judged);
    });
  }

  test('no vector is left out', () => {
    assert.deepEqual(vectorNames('rfc5118'), rows.map(({ file }) => file).sort());
    assert.equal(rows.length, 12);
  });

  test('4.3: who is 2001:db8::10 is not meant by [2001:db8::10:5070]', () => {
    const { sent } = judgeRequest(readVector('rfc5118', 'port-ambiguous'), {
      listeners: ['udp:[2001:db8::10]:5060'],
      source: '[2001:db8::9:1]:5060',
    });
    assert.equal(sent[0]!.message.status, 407);
  });

  for (const received of ['2001:db8::9:255', '[2001:db8::9:255]']) {
    test(`4.5: a response whose Via says received=${received} is ours`, () => {
      const harness = newHarness(six);
      const request = requestText({ uri: 'sip:user@[2001:db8::10]', via: '[2001:db8::9:1]:5060' });
      harness.receive(request, six.source!);
      const invite = harness.take().at(-1)!.text;
      const answer = responseText(invite, { status: 180 }).replace(
        ';rport;',
        `;rport=5060;received=${received};`,
      );
      harness.receive(answer, '[2001:db8::c]:5070');
      const [ringing] = harness.take();
      assert.equal(ringing!.message.status, 180);
      assert.equal(ringing!.message.via?.host, '[2001:db8::9:1]');
      assert.deepEqual(ringing!.destination, { address: '2001:db8::9:1', port: 5060 });
    });
  }
});
