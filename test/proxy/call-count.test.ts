import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CallCount } from '../../src/proxy/call-count.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';

describe('calls without media of ours', () => {
  test('begin with the 2xx and end with the BYE of either side', () => {
    const count = new CallCount(new ManualClock());
    count.began('one', 'bob');
    count.began('two', 'bob');
    assert.deepEqual([...count.keys()], ['one\nbob', 'two\nbob']);
    count.ended('one', 'alice', 'bob');
    count.ended('two', 'bob', 'alice');
    count.ended('three', 'bob', 'alice');
    assert.equal(count.calls, 0);
  });

  test('end also where the other side answered a re-INVITE since', () => {
    const count = new CallCount(new ManualClock());
    count.began('one', 'bob');
    count.began('one', 'alice');
    count.ended('one', 'alice', 'bob');
    assert.equal(count.calls, 0);
  });

  test('are given up when nobody was heard of them for half a day', () => {
    const clock = new ManualClock();
    const count = new CallCount(clock);
    count.began('lost', 'bob');
    count.began('long', 'bob');
    clock.advance(11 * 3600_000);
    count.began('long', 'bob');
    clock.advance(2 * 3600_000);
    assert.equal(count.calls, 1);
    assert.ok(count.has('long\nbob'));
  });

  test('are bounded, the oldest goes first', () => {
    const count = new CallCount(new ManualClock());
    for (let n = 0; n < 100_500; n++) count.began(String(n), 'bob');
    assert.equal(count.calls, 100_000);
    assert.ok(!count.has('0\nbob') && count.has('100499\nbob'));
  });

  test('are counted by the proxy, which refuses what is new when it is told to', () => {
    const calls = new CallCount(new ManualClock());
    let retryAfter: number | undefined;
    const asked: boolean[] = [];
    const harness = new ProxyHarness({
      calls,
      refusesNew: (_listener, registers) => {
        asked.push(registers);
        return registers ? undefined : retryAfter;
      },
    });
    harness.bind('bob', 'sip:bob@198.51.100.20:5060', '198.51.100.20:5060');
    harness.receive(requestText({}), '198.51.100.10:5060');
    const invite = harness.take().at(-1)!;
    harness.receive(responseText(invite.text, { status: 180 }), '198.51.100.20:5060');
    assert.equal(calls.calls, 0);
    harness.receive(responseText(invite.text, { status: 200 }), '198.51.100.20:5060');
    assert.equal(calls.calls, 1);
    harness.take();
    retryAfter = 17;
    harness.receive(requestText({ callId: 'two', branch: 'z9hG4bKtwo' }), '198.51.100.10:5060');
    const [refused] = harness.take();
    assert.equal(refused?.message.status, 503);
    assert.match(refused.text, /^Retry-After: 17\r$/m);
    harness.receive(
      requestText({ method: 'REGISTER', uri: 'sip:example.com', callId: 'three', branch: 'z9hG4bKthree' }),
      '198.51.100.10:5060',
    );
    assert.equal(harness.take()[0]?.message.status, 401);
    // A To tag without our signature: a user who has moved, or a stranger. He is asked who he is, not sent away.
    harness.receive(
      requestText({
        method: 'BYE',
        uri: 'sip:bob@198.51.100.20:5060',
        branch: 'z9hG4bKbye',
        to: '<sip:bob@example.com>;tag=callee',
      }),
      '198.51.100.99:5060',
    );
    assert.equal(harness.take()[0]?.message.status, 407);
    assert.deepEqual(asked, [false, false, true]);
  });

  test('of a fork that two answered are two, and a 2xx that comes again after the BYE is none', () => {
    const calls = new CallCount(new ManualClock());
    const harness = new ProxyHarness({ calls });
    const places = ['198.51.100.20:5060', '198.51.100.21:5060'];
    for (const place of places) harness.bind('bob', `sip:bob@${place}`, place);
    harness.receive(requestText({}), '198.51.100.10:5060');
    const invites = harness.take().filter(({ message }) => message.method === 'INVITE');
    assert.equal(invites.length, 2);
    const answers = invites.map(({ text }, n) =>
      responseText(text, { status: 200 }).replace(/^(To: .*?)(;tag=.*)?\r$/m, `$1;tag=answer${n}\r`),
    );
    for (const [n, answer] of answers.entries()) harness.receive(answer, places[n]!);
    assert.equal(calls.calls, 2);
    calls.ended(invites[0]!.message.callId, invites[0]!.message.fromTag, 'answer0');
    harness.receive(answers[0]!, places[0]!);
    assert.equal(calls.calls, 1);
    assert.deepEqual(
      [...calls.keys()].map((key) => key.split('\n')[1]),
      ['answer1'],
    );
  });
});
