import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultMediaPolicy, MediaAnchor } from '../../src/proxy/media-anchor.ts';
import { PROXY_AUTHENTICATE, VIA, WWW_AUTHENTICATE } from '../../src/sip/message/header-id.ts';
import { FakeMediaRelay } from '../support/fake-media-relay.ts';
import { ProxyHarness, type SentMessage } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';

const carol = '198.51.100.10:5060';
const phones = ['198.51.100.21:5060', '198.51.100.22:5060', '198.51.100.23:5060'];

function ring(
  q: readonly number[] = [1000, 1000],
  method = 'INVITE',
): { harness: ProxyHarness; invites: SentMessage[] } {
  const harness = new ProxyHarness();
  for (const [n, each] of q.entries()) harness.bind('bob', `sip:bob@${phones[n]}`, phones[n]!, { q: each });
  harness.receive(requestText({ method }), carol);
  const invites = harness.take().filter(({ message }) => message.method === method);
  return { harness, invites };
}

function answer(harness: ProxyHarness, request: SentMessage, status: number, headers: string[] = []): void {
  const { address, port } = request.destination;
  harness.receive(
    responseText(request.text, { status, toTag: `tag-${address}`, headers }),
    `${address}:${port}`,
  );
}

const summary = (sent: SentMessage[]) =>
  sent.map(({ message, destination }) => `${message.method || message.status} ${destination.address}`);

describe('parallel forking', () => {
  test('rings all, passes every 180, takes the first 200 and cancels the others', () => {
    const { harness, invites } = ring();
    assert.deepEqual(summary(invites), ['INVITE 198.51.100.21', 'INVITE 198.51.100.22']);
    const branches = invites.map(({ message }) => message.via!.branch);
    assert.notEqual(branches[0], branches[1]);
    answer(harness, invites[0]!, 180);
    answer(harness, invites[1]!, 180);
    assert.deepEqual(summary(harness.take()), ['180 198.51.100.10', '180 198.51.100.10']);
    answer(harness, invites[1]!, 200);
    const sent = harness.take();
    assert.deepEqual(summary(sent), ['200 198.51.100.10', 'CANCEL 198.51.100.21']);
    assert.equal(sent[1]!.message.via!.branch, branches[0]);
    assert.equal(sent[1]!.message.requestUri, invites[0]!.message.requestUri);
    answer(harness, invites[0]!, 487);
    // The losing branch is acknowledged, and its 487 goes no further.
    assert.deepEqual(summary(harness.take()), ['ACK 198.51.100.21']);
  });

  test('a second 200 is passed on as well', () => {
    const { harness, invites } = ring();
    answer(harness, invites[0]!, 200);
    harness.take();
    answer(harness, invites[1]!, 200);
    assert.deepEqual(summary(harness.take()), ['200 198.51.100.10']);
  });

  test('CANCEL waits for a provisional response of each branch', () => {
    const { harness, invites } = ring();
    answer(harness, invites[0]!, 180);
    harness.take();
    harness.receive(requestText({ method: 'CANCEL' }), carol);
    assert.deepEqual(summary(harness.take()), ['200 198.51.100.10', 'CANCEL 198.51.100.21']);
    answer(harness, invites[1]!, 100);
    assert.deepEqual(summary(harness.take()), ['CANCEL 198.51.100.22']);
    for (const invite of invites) answer(harness, invite, 487);
    assert.deepEqual(summary(harness.take()), [
      'ACK 198.51.100.21',
      'ACK 198.51.100.22',
      '487 198.51.100.10',
    ]);
  });

  test('a 6xx cancels the others and wins', () => {
    const { harness, invites } = ring();
    answer(harness, invites[0]!, 180);
    harness.take();
    answer(harness, invites[1]!, 603);
    assert.deepEqual(summary(harness.take()), ['ACK 198.51.100.22', 'CANCEL 198.51.100.21']);
    answer(harness, invites[0]!, 487);
    assert.deepEqual(summary(harness.take()), ['ACK 198.51.100.21', '603 198.51.100.10']);
  });

  const best: [number[], number][] = [
    [[486, 404], 486],
    [[500, 486], 486],
    [[404, 401], 401],
    [[302, 486], 302],
    [[503, 500], 500],
    [[503, 503], 500],
    [[600, 302], 600],
  ];
  for (const [statuses, expected] of best) {
    test(`the best of ${statuses.join(' and ')} is ${expected}`, () => {
      const { harness, invites } = ring();
      for (const [n, status] of statuses.entries()) answer(harness, invites[n]!, status);
      const final = harness.take().filter(({ message }) => message.status >= 200);
      assert.deepEqual(
        final.map(({ message }) => message.status),
        [expected],
      );
      assert.equal(final[0]!.message.count(VIA), 1);
    });
  }

  test('the challenges of all branches are put together', () => {
    const { harness, invites } = ring();
    answer(harness, invites[0]!, 401, ['WWW-Authenticate: Digest realm="a", nonce="1"']);
    answer(harness, invites[1]!, 407, ['Proxy-Authenticate: Digest realm="b", nonce="2"']);
    const { message } = harness.take().find(({ message: { status } }) => status > 400)!;
    assert.equal(message.count(WWW_AUTHENTICATE) + message.count(PROXY_AUTHENTICATE), 2);
  });

  test('one silent branch does not keep the others from deciding in the end', () => {
    const { harness, invites } = ring();
    answer(harness, invites[0]!, 486);
    harness.clock.advance(32_000);
    assert.deepEqual(summary(harness.take().filter(({ message }) => message.status > 0)), [
      '100 198.51.100.10',
      '486 198.51.100.10',
    ]);
  });
});

describe('serial forking by q', () => {
  test('the next group rings when all of the one before failed', () => {
    const { harness, invites } = ring([1000, 500, 500]);
    assert.deepEqual(summary(invites), ['INVITE 198.51.100.21']);
    answer(harness, invites[0]!, 486);
    const next = harness.take().filter(({ message }) => message.method === 'INVITE');
    assert.deepEqual(summary(next), ['INVITE 198.51.100.22', 'INVITE 198.51.100.23']);
  });

  test('what the group before said is not forgotten', () => {
    const { harness, invites } = ring([1000, 500]);
    answer(harness, invites[0]!, 407, ['Proxy-Authenticate: Digest realm="a", nonce="1"']);
    const [next] = harness.take().filter(({ message }) => message.method === 'INVITE');
    answer(harness, next!, 486);
    assert.equal(summary(harness.take()).at(-1), '407 198.51.100.10');
  });

  test('no branch takes the media of one in the group before', () => {
    const relay = new FakeMediaRelay();
    const harness = new ProxyHarness({
      media: (identity) => new MediaAnchor(relay, identity, defaultMediaPolicy),
    });
    for (const [n, q] of [1000, 500, 500].entries())
      harness.bind('bob', `sip:bob@${phones[n]}`, phones[n]!, { q });
    harness.receive(requestText({ body: 'v=0\r\n' }), carol);
    answer(harness, harness.take().find(({ message }) => message.method === 'INVITE')!, 486);
    assert.deepEqual(relay.told, ['offer caller 0', 'drop 0', 'offer caller 1', 'offer caller 2']);
  });

  test('a CANCEL ends the search', () => {
    const { harness, invites } = ring([1000, 500]);
    answer(harness, invites[0]!, 180);
    harness.receive(requestText({ method: 'CANCEL' }), carol);
    answer(harness, invites[0]!, 487);
    const sent = summary(harness.take());
    assert.ok(!sent.some((line) => line.startsWith('INVITE')));
    assert.equal(sent.at(-1), '487 198.51.100.10');
  });
});

describe('time', () => {
  test('without any answer an INVITE ends with 408 after 64*T1, retransmitted on the way', () => {
    const { harness } = ring([1000]);
    harness.clock.advance(31_999);
    const [trying, ...resent] = harness.take();
    assert.equal(trying!.message.status, 100);
    assert.equal(resent.length, 6);
    assert.ok(resent.every(({ message }) => message.method === 'INVITE'));
    harness.clock.advance(1);
    assert.deepEqual(summary(harness.take()), ['408 198.51.100.10']);
  });

  test('timer C cancels what rings for over three minutes, and each 18x starts it anew', () => {
    const { harness, invites } = ring([1000]);
    answer(harness, invites[0]!, 180);
    harness.clock.advance(150_000);
    answer(harness, invites[0]!, 180);
    harness.take();
    harness.clock.advance(184_000);
    assert.deepEqual(harness.take(), []);
    harness.clock.advance(1000);
    assert.deepEqual(summary(harness.take()), ['CANCEL 198.51.100.21']);
    answer(harness, invites[0]!, 487);
    assert.equal(summary(harness.take()).at(-1), '487 198.51.100.10');
  });

  test('a cancelled branch that never ends is given up after 32 seconds', () => {
    const { harness, invites } = ring([1000]);
    answer(harness, invites[0]!, 180);
    harness.receive(requestText({ method: 'CANCEL' }), carol);
    harness.clock.advance(32_000);
    assert.equal(summary(harness.take()).at(-1), '487 198.51.100.10');
  });

  test('a silent non-INVITE gets no 408 (RFC 4320)', () => {
    const { harness } = ring([1000], 'MESSAGE');
    harness.clock.advance(40_000);
    assert.ok(harness.take().every(({ message }) => message.method === 'MESSAGE'));
  });

  for (const end of ['answered', 'refused', 'silent', 'cancelled'] as const) {
    test(`every timer and transaction is given back after a call that was ${end}`, () => {
      const idle = new ProxyHarness().clock.pending;
      const { harness, invites } = ring();
      if (end === 'answered') answer(harness, invites[0]!, 200);
      if (end === 'refused') for (const invite of invites) answer(harness, invite, 486);
      if (end === 'cancelled') {
        for (const invite of invites) answer(harness, invite, 180);
        harness.receive(requestText({ method: 'CANCEL' }), carol);
      }
      harness.clock.advance(400_000);
      assert.equal(harness.layer.serverTransactions, 0);
      assert.equal(harness.layer.clientTransactions, 0);
      assert.equal(harness.clock.pending, idle);
    });
  }
});

test('a CANCEL for nothing is 481, and a late one for an answered call is 200 and changes nothing', () => {
  const { harness, invites } = ring([1000]);
  harness.receive(requestText({ method: 'CANCEL', branch: 'z9hG4bKother' }), carol);
  assert.deepEqual(summary(harness.take()), ['481 198.51.100.10']);
  answer(harness, invites[0]!, 200);
  harness.take();
  harness.receive(requestText({ method: 'CANCEL' }), carol);
  assert.deepEqual(summary(harness.take()), ['200 198.51.100.10']);
});

test('a response that matches no transaction is dropped (RFC 6026 8.2)', () => {
  const { harness, invites } = ring([1000]);
  const stray = responseText(invites[0]!.text, { status: 200 }).replace(
    /branch=z9hG4bK\w/,
    'branch=z9hG4bKx',
  );
  harness.receive(stray, phones[0]!);
  assert.deepEqual(harness.take(), []);
  assert.equal(harness.layer.counters.strayResponses, 1);
});
