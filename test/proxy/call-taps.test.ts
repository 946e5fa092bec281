import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CallDigit, CallTaps, type TapPolicy } from '../../src/proxy/call-taps.ts';
import { defaultMediaPolicy, MediaAnchor, type MediaPolicy } from '../../src/proxy/media-anchor.ts';
import { parseMessage } from '../../src/sip/message/message.ts';
import { FakeMediaRelay } from '../support/fake-media-relay.ts';
import { ProxyHarness, type SentMessage } from '../support/proxy-harness.ts';
import { type RequestText, requestText, responseText } from '../support/sip-text.ts';

const carol = '198.51.100.10:5060';
const bob = '198.51.100.20:5060';
const sdp =
  'v=0\r\no=- 1 1 IN IP4 10.0.0.77\r\ns=-\r\nc=IN IP4 10.0.0.77\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

interface Office {
  readonly harness: ProxyHarness;
  readonly relay: FakeMediaRelay;
  readonly anchor: MediaAnchor;
  readonly taps: CallTaps;
  readonly digits: CallDigit[];
}

function open(taps: Partial<TapPolicy> = {}, policy: Partial<MediaPolicy> = {}, bobAt = bob): Office {
  const relay = new FakeMediaRelay();
  const digits: CallDigit[] = [];
  const made: { anchor?: MediaAnchor; taps?: CallTaps } = {};
  const harness = new ProxyHarness({
    media: (identity) => {
      made.taps = new CallTaps(relay, identity, { record: 'off', dtmf: 'off', ...taps }, (digit) =>
        digits.push(digit),
      );
      made.anchor = new MediaAnchor(relay, identity, { ...defaultMediaPolicy, ...policy }, made.taps);
      return made.anchor;
    },
  });
  harness.bind('bob', `sip:bob@${bobAt}`, bobAt);
  return { harness, relay, anchor: made.anchor!, taps: made.taps!, digits };
}

const fromAlice: RequestText = { from: '<sip:alice@example.com>;tag=caller', body: sdp };
const lastOf = (sent: readonly SentMessage[]): SentMessage => sent.at(-1)!;

/** An INVITE of a stranger; what went to bob. */
function invite(office: Office, options: RequestText = {}, source = carol): SentMessage {
  office.harness.receive(requestText({ body: sdp, ...options }), source);
  return lastOf(office.harness.take());
}

/** One of alice, who proves to be that. */
function inviteByAlice(office: Office, options: RequestText = {}): SentMessage {
  office.harness.authenticate(requestText({ ...fromAlice, ...options }), 'alice', carol);
  return lastOf(office.harness.take());
}

function answer({ harness }: Office, to: SentMessage, source = bob): SentMessage {
  const options = { status: 200, toTag: 'callee', contact: `<sip:bob@${source}>`, body: sdp };
  harness.receive(responseText(to.text, options), source);
  return lastOf(harness.take());
}

/** A request inside the call that the answer began. */
function later(
  { harness }: Office,
  answered: SentMessage,
  options: RequestText,
  source = carol,
): SentMessage {
  const route = /^Record-Route: (.*)\r$/m.exec(answered.text)![1]!;
  harness.receive(
    requestText({
      uri: `sip:bob@${bob}`,
      to: '<sip:bob@example.com>;tag=callee',
      branch: `z9hG4bK${options.method}${options.cseq}`,
      headers: [`Route: ${route}`],
      ...options,
    }),
    source,
  );
  return lastOf(harness.take());
}

describe('who is recorded', () => {
  const recorded = (office: Office): string | undefined =>
    office.relay.take().find((line) => line.startsWith('record '));

  test('nobody by default, whoever asks', () => {
    const office = open();
    inviteByAlice(office, { headers: ['X-Cloudsip-Record: on'] });
    assert.equal(recorded(office), undefined);
    assert.equal(office.taps.active, false);
  });

  test('all', () => {
    const office = open({ record: 'all' });
    invite(office);
    assert.equal(recorded(office), 'record all');
    assert.equal(office.taps.active, true);
  });

  test('where the caller has proved who he is and asks; the header goes no further', () => {
    for (const [value, expected] of [
      ['on', 'record asked by alice'],
      ['Yes', 'record asked by alice'],
      ['off', undefined],
    ] as const) {
      const office = open({ record: 'ask' });
      const sent = inviteByAlice(office, { headers: [`X-Cloudsip-Record: ${value}`] });
      assert.equal(sent.message.method, 'INVITE');
      assert.doesNotMatch(sent.text, /X-Cloudsip-Record/i);
      assert.equal(recorded(office), expected, value);
    }
  });

  test('not where a stranger asks, however often', () => {
    const office = open({ record: 'ask' });
    const sent = invite(office, { headers: ['x-cloudsip-record: on', 'X-Cloudsip-Record:\r\n on'] });
    assert.doesNotMatch(sent.text, /x-cloudsip-record/i);
    assert.equal(recorded(office), undefined);
  });

  test('these accounts, calling and called', () => {
    const calling = open({ record: ['alice'] });
    inviteByAlice(calling);
    assert.equal(recorded(calling), 'record account alice');
    const called = open({ record: ['bob'] });
    invite(called);
    assert.equal(recorded(called), 'record account bob');
    // A stranger who only says to be alice has not proved it.
    const pretended = open({ record: ['carol'] });
    invite(pretended);
    assert.equal(recorded(pretended), undefined);
  });

  test('from the moment that somebody asks on the machine, until he asks for the end', () => {
    const office = open();
    assert.equal(office.anchor.record('call-1@test', true), false);
    answer(office, invite(office));
    office.relay.take();
    assert.equal(office.anchor.record('call-1@test', true), true);
    assert.deepEqual(office.relay.take(), ['attach', 'record command']);
    office.anchor.record('call-1@test', false);
  });

  test('again after the disk ended it, and where nothing can be recorded the answer says so', () => {
    const office = open();
    answer(office, invite(office));
    let refuses = false;
    let recording = false;
    const openTap = office.relay.openTap.bind(office.relay);
    office.relay.openTap = () => ({
      ...openTap(),
      get recording() {
        return recording;
      },
      record: () => {
        recording = !refuses;
      },
    });
    assert.equal(office.anchor.record('call-1@test', true), true);
    recording = false;
    assert.equal(office.anchor.record('call-1@test', true), true);
    assert.equal(recording, true);
    recording = false;
    refuses = true;
    assert.equal(office.anchor.record('call-1@test', true), false);
  });

  test('so many at once, and who is told of the rest hears its Call-ID', () => {
    const harness = new ProxyHarness();
    const full: string[] = [];
    const policy: TapPolicy = { record: 'all', dtmf: 'off' };
    const taps = new CallTaps(
      new FakeMediaRelay(),
      harness.identity,
      policy,
      () => {},
      (id) => full.push(id),
    );
    const listener = harness.transports[0]!.listener;
    const source = { address: '198.51.100.10', port: 5060 };
    for (let n = 0; n <= 10_000; n++) {
      const request = parseMessage(requestText({ callId: `${n}@test` }))!;
      taps.consider({ request, source, listener, account: undefined, callee: undefined });
    }
    assert.deepEqual(full, ['10000@test']);
  });

  test('a call that nobody answers ends its tap, and so does the BYE', () => {
    const failed = open({ record: 'all' });
    const sent = invite(failed);
    failed.harness.receive(responseText(sent.text, { status: 486, toTag: 'callee' }), bob);
    assert.deepEqual(failed.relay.take().slice(-2), ['close', 'end tap']);
    assert.equal(failed.taps.active, false);

    const ended = open({ record: 'all' });
    const answered = answer(ended, invite(ended));
    const bye = later(ended, answered, { method: 'BYE', cseq: 2 });
    ended.harness.receive(responseText(bye.text, { status: 200 }), bob);
    assert.deepEqual(ended.relay.take().slice(-2), ['close', 'end tap']);
    assert.equal(ended.taps.active, false);
  });

  test('a stranger with the same Call-ID neither ends a recording nor takes it', () => {
    const office = open({ record: 'all' });
    const sent = invite(office, { body: '' });
    const stranger: RequestText = { from: '<sip:eve@example.org>;tag=eve', branch: 'z9hG4bKeve' };
    const taken = invite(office, stranger);
    assert.ok(!office.relay.take().includes('attach'));
    office.harness.receive(responseText(taken.text, { status: 486, toTag: 'callee' }), bob);
    assert.ok(!office.relay.take().includes('end tap'));
    const other = invite(office, { ...stranger, branch: 'z9hG4bKeve2', body: '' });
    office.harness.receive(responseText(other.text, { status: 486, toTag: 'callee' }), bob);
    assert.ok(!office.relay.take().includes('end tap'));
    assert.equal(office.taps.active, true);
    office.harness.receive(responseText(sent.text, { status: 486, toTag: 'callee' }), bob);
    assert.equal(office.taps.active, false);
  });

  test('an INVITE without media that fails ends its tap', () => {
    const office = open({ record: 'all' });
    const sent = invite(office, { body: '' });
    office.harness.receive(responseText(sent.text, { status: 603, toTag: 'callee' }), bob);
    assert.equal(office.relay.take().at(-1), 'end tap');
    assert.equal(office.taps.active, false);
  });
});

describe('what a recorded call is told of the SIP that passes', () => {
  const seen = (office: Office, text: string): string[] => {
    office.relay.take();
    office.taps.saw(
      text,
      office.harness.transports[0]!.listener,
      { address: '198.51.100.10', port: 5060 },
      true,
    );
    return office.relay.take();
  };

  test('its messages, also where the Call-ID is short or folded', () => {
    const office = open({ record: 'all' });
    answer(office, invite(office));
    for (const line of ['Call-ID: call-1@test', 'i:call-1@test  ', 'CALL-ID :\r\n\tcall-1@test'])
      assert.deepEqual(seen(office, `INFO sip:a SIP/2.0\r\n${line}\r\n\r\n`), ['message INFO'], line);
    assert.deepEqual(seen(office, 'INFO sip:a SIP/2.0\r\ni: call-2@test\r\n\r\n'), []);
  });

  test('a stranger’s message costs no more time than its length', () => {
    const office = open({ record: 'all' });
    answer(office, invite(office));
    for (const hostile of [
      `i:${' '.repeat(3000)}\n`,
      `i: a${' '.repeat(3000)}b\n`,
      '\r\ni:\r\n '.repeat(500),
    ]) {
      const start = performance.now();
      assert.deepEqual(seen(office, `INFO sip:a SIP/2.0\r\n${hostile}`), []);
      assert.ok(performance.now() - start < 500, `${performance.now() - start} ms`);
    }
  });
});

describe('keys by SIP INFO', () => {
  const info = (
    office: Office,
    answered: SentMessage,
    cseq: number,
    contentType: string,
    body: string,
  ): void => {
    later(office, answered, { method: 'INFO', cseq, contentType, body });
  };

  test('in both forms, once each, on the call that they belong to', () => {
    const office = open({ dtmf: 'events' });
    const answered = answer(office, invite(office));
    info(office, answered, 2, 'application/dtmf-relay', 'Signal=5\r\nDuration=160\r\n');
    info(office, answered, 3, 'application/dtmf-relay', 'Signal= *\r\nDuration= 80\r\n');
    info(office, answered, 4, 'application/dtmf', '9');
    info(office, answered, 5, 'application/dtmf-relay', 'Signal=11\r\n');
    info(office, answered, 6, 'application/dtmf-relay', 'Signal=!\r\n');
    // The same once more is a retransmission.
    info(office, answered, 6, 'application/dtmf-relay', 'Signal=!\r\n');
    info(office, answered, 7, 'text/plain', '1');
    info(office, answered, 8, 'application/dtmf', 'no key at all');
    assert.deepEqual(
      office.digits.map(({ callId, party, digit, durationMs, by }) => [callId, party, digit, durationMs, by]),
      [
        ['call-1@test', 'caller', '5', 160, 'info'],
        ['call-1@test', 'caller', '*', 80, 'info'],
        ['call-1@test', 'caller', '9', 0, 'info'],
        ['call-1@test', 'caller', '#', 0, 'info'],
        ['call-1@test', 'caller', 'flash', 0, 'info'],
      ],
    );
    const noted = office.relay.take().filter((line) => line.startsWith('digit'));
    assert.equal(noted.length, 5);
  });

  test('are nobody’s business by default', () => {
    const office = open();
    const answered = answer(office, invite(office));
    info(office, answered, 2, 'application/dtmf', '9');
    assert.deepEqual(office.digits, []);
  });
});

describe('media past the relay', () => {
  const neighbour = '10.0.0.77:5060';
  const other = '10.0.0.78:5060';
  const inCloud = { via: other, contact: `<sip:carol@${other}>` };

  test('direct: descriptions pass as they came, in re-INVITEs too', () => {
    const office = open({}, { path: 'direct' });
    const sent = invite(office);
    assert.ok(sent.text.endsWith(sdp));
    const answered = answer(office, sent);
    assert.ok(answered.text.endsWith(sdp));
    assert.ok(later(office, answered, { method: 'INVITE', cseq: 2, body: sdp }).text.endsWith(sdp));
    assert.equal(office.anchor.calls, 1, 'it counts as a call all the same');
    assert.deepEqual(
      office.relay.take().filter((line) => /^(?:offer|answer)/.test(line)),
      [],
    );
  });

  test('what is recorded goes through the relay', () => {
    const office = open({ record: 'all' }, { path: 'direct' });
    assert.match(invite(office).text, /anchored/);
  });

  test('local-direct: neighbours, and phones behind one address; nobody else', () => {
    for (const [from, to, direct] of [
      [other, neighbour, true],
      [carol, neighbour, false],
      [other, bob, false],
      [carol, bob, false],
      [carol, '198.51.100.10:6000', true],
    ] as const) {
      const office = open({}, { path: 'local-direct' }, to);
      const sent = invite(office, from === other ? inCloud : {}, from);
      assert.equal(sent.text.endsWith(sdp), direct, `${from} ${to}`);
      const answered = answer(office, sent, to);
      assert.equal(answered.text.endsWith(sdp), direct, `${from} ${to}`);
    }
  });

  test('a fork: each branch by itself, and the one that lost gives its ports back', () => {
    const office = open({}, { path: 'local-direct' }, neighbour);
    office.harness.bind('bob', `sip:bob@${bob}`, bob);
    office.harness.receive(requestText({ body: sdp, ...inCloud }), other);
    const branches = office.harness.take().filter(({ message }) => message.method === 'INVITE');
    const near = branches.find(({ destination }) => destination.address === '10.0.0.77')!;
    const far = branches.find(({ destination }) => destination.address === '198.51.100.20')!;
    assert.ok(near.text.endsWith(sdp));
    assert.match(far.text, /anchored/);
    office.relay.take();
    assert.ok(answer(office, near, neighbour) !== undefined);
    assert.ok(office.relay.take().some((line) => line.startsWith('drop ')));
  });
});
