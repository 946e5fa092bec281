import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InviteClientTransaction } from '../../../src/sip/transaction/invite-client.ts';
import { type BenchOptions, TransactionBench } from './transaction-bench.ts';

function calling(options?: BenchOptions): { bench: TransactionBench; invite: InviteClientTransaction } {
  const bench = new TransactionBench(options);
  const invite = bench.send('INVITE');
  assert.ok(invite instanceof InviteClientTransaction);
  return { bench, invite };
}

/** The transaction is over, its key free and no timer left. */
function assertGone(bench: TransactionBench, invite: InviteClientTransaction): void {
  assert.equal(invite.state, 'terminated');
  assert.equal(bench.layer.clientTransactions, 0);
  assert.equal(bench.layer.pendingTimers, 0);
}

describe('INVITE client transaction, unreliable', () => {
  test('calling: timer A doubles without a bound, timer B ends it after 64*T1', () => {
    const { bench, invite } = calling();
    assert.equal(invite.state, 'calling');
    bench.clock.advance(31_999);
    assert.deepEqual(bench.times, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    assert.equal(bench.timeouts, 0);
    bench.clock.advance(1);
    assert.equal(bench.timeouts, 1);
    assertGone(bench, invite);
  });

  test('proceeding: a provisional response stops timers A and B', () => {
    const { bench, invite } = calling();
    bench.answer(100);
    assert.equal(invite.state, 'proceeding');
    assert.equal(bench.layer.pendingTimers, 0);
    bench.clock.advance(300_000);
    assert.deepEqual(bench.times, [0]);
    assert.equal(bench.timeouts, 0);
    bench.answer(180);
    bench.answer(180);
    assert.deepEqual(bench.responses, [100, 180, 180]);
  });

  for (const before of [[], [100], [100, 180]]) {
    test(`completed: 486 after [${before}] is acknowledged, and its retransmissions until timer D`, () => {
      const { bench, invite } = calling();
      for (const status of before) bench.answer(status);
      bench.take();
      bench.answer(486);
      assert.equal(invite.state, 'completed');
      assert.deepEqual(bench.take(), ['ACK sip:bob@example.com SIP/2.0']);
      bench.clock.advance(31_999);
      bench.answer(486);
      bench.answer(180);
      bench.answer(200);
      assert.deepEqual(bench.take(), ['ACK sip:bob@example.com SIP/2.0']);
      assert.deepEqual(bench.responses, [...before, 486], 'only the first is told');
      bench.clock.advance(1);
      assertGone(bench, invite);
      bench.answer(486);
      assert.deepEqual(bench.take(), []);
      assert.equal(bench.layer.counters.strayResponses, 1);
    });
  }

  for (const before of [[], [183]]) {
    test(`accepted: every 2xx after [${before}] goes up until timer M, and none is acknowledged here`, () => {
      const { bench, invite } = calling();
      for (const status of before) bench.answer(status);
      bench.take();
      bench.answer(200);
      assert.equal(invite.state, 'accepted');
      bench.clock.advance(31_999);
      bench.answer(200);
      bench.answer(202);
      bench.answer(180);
      bench.answer(486);
      assert.deepEqual(bench.responses, [...before, 200, 200, 202]);
      assert.deepEqual(bench.take(), []);
      bench.clock.advance(1);
      assertGone(bench, invite);
      bench.answer(200);
      assert.deepEqual(bench.responses, [...before, 200, 200, 202]);
    });
  }

  test('the ACK goes where the INVITE went, and timer A is silent after it', () => {
    const { bench } = calling();
    bench.answer(503);
    bench.clock.advance(32_000);
    const sent = bench.sent();
    assert.equal(sent.length, 2);
    assert.deepEqual(sent[1]!.destination, sent[0]!.destination);
  });

  for (const state of ['calling', 'proceeding', 'completed', 'accepted'] as const) {
    test(`abandoned while ${state} it leaves nothing and says nothing`, () => {
      const { bench, invite } = calling();
      if (state !== 'calling') bench.answer({ proceeding: 180, completed: 404, accepted: 200 }[state]);
      assert.equal(invite.state, state);
      bench.take();
      invite.abandon();
      assertGone(bench, invite);
      invite.receive({} as never);
      bench.clock.advance(100_000);
      assert.deepEqual(bench.take(), []);
      assert.equal(bench.timeouts, 0);
    });
  }
});

describe('INVITE client transaction, reliable', () => {
  test('calling: nothing is sent again; timer B still ends it', () => {
    const { bench, invite } = calling({ reliable: true });
    bench.clock.advance(32_000);
    assert.deepEqual(bench.times, [0]);
    assert.equal(bench.timeouts, 1);
    assertGone(bench, invite);
  });

  test('a failure is acknowledged, told, and over at once: timer D is zero', () => {
    const { bench, invite } = calling({ reliable: true });
    bench.take();
    bench.answer(600);
    assert.deepEqual(bench.take(), ['ACK sip:bob@example.com SIP/2.0']);
    assert.deepEqual(bench.responses, [600]);
    assertGone(bench, invite);
  });

  test('accepted lasts for timer M as well (RFC 6026 8.4)', () => {
    const { bench, invite } = calling({ reliable: true });
    bench.answer(200);
    bench.clock.advance(31_999);
    assert.equal(invite.state, 'accepted');
    bench.answer(200);
    bench.clock.advance(1);
    assert.deepEqual(bench.responses, [200, 200]);
    assertGone(bench, invite);
  });
});
