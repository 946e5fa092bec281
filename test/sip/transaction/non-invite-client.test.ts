import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NonInviteClientTransaction } from '../../../src/sip/transaction/non-invite-client.ts';
import { type BenchOptions, TransactionBench } from './transaction-bench.ts';

function trying(options?: BenchOptions): {
  bench: TransactionBench;
  transaction: NonInviteClientTransaction;
} {
  const bench = new TransactionBench(options);
  const transaction = bench.send('MESSAGE');
  assert.ok(transaction instanceof NonInviteClientTransaction);
  return { bench, transaction };
}

function assertGone(bench: TransactionBench, transaction: NonInviteClientTransaction): void {
  assert.equal(transaction.state, 'terminated');
  assert.equal(bench.layer.clientTransactions, 0);
  assert.equal(bench.layer.pendingTimers, 0);
}

describe('non-INVITE client transaction, unreliable', () => {
  test('trying: timer E doubles up to T2, timer F ends it after 64*T1', () => {
    const { bench, transaction } = trying();
    bench.clock.advance(31_999);
    assert.deepEqual(bench.times, [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert.equal(transaction.state, 'trying');
    assert.equal(bench.timeouts, 0);
    bench.clock.advance(1);
    assert.equal(bench.timeouts, 1);
    assertGone(bench, transaction);
  });

  test('proceeding: timer E fires once as it was set and then every T2; timer F goes on', () => {
    const { bench, transaction } = trying();
    bench.clock.advance(600);
    bench.answer(100, 'MESSAGE');
    assert.equal(transaction.state, 'proceeding');
    bench.clock.advance(31_399);
    assert.deepEqual(bench.times, [0, 500, 1500, 5500, 9500, 13_500, 17_500, 21_500, 25_500, 29_500]);
    bench.answer(183, 'MESSAGE');
    assert.deepEqual(bench.responses, [100, 183]);
    bench.clock.advance(1);
    assert.equal(bench.timeouts, 1);
    assertGone(bench, transaction);
  });

  for (const status of [200, 302, 404, 500, 603]) {
    test(`completed: ${status} is told once; timer K absorbs its retransmissions for T4`, () => {
      const { bench, transaction } = trying();
      bench.answer(status, 'MESSAGE');
      assert.equal(transaction.state, 'completed');
      bench.clock.advance(4999);
      bench.answer(status, 'MESSAGE');
      assert.deepEqual(bench.responses, [status]);
      assert.deepEqual(bench.times, [0], 'nothing is sent again, and a non-INVITE is not acknowledged');
      bench.clock.advance(1);
      assertGone(bench, transaction);
      assert.equal(bench.timeouts, 0);
      bench.answer(status, 'MESSAGE');
      assert.equal(bench.layer.counters.strayResponses, 1);
    });
  }

  for (const status of [undefined, 100, 200]) {
    test(`abandoned after ${status ?? 'nothing'} it leaves nothing and says nothing`, () => {
      const { bench, transaction } = trying();
      if (status !== undefined) bench.answer(status, 'MESSAGE');
      transaction.abandon();
      transaction.abandon();
      assertGone(bench, transaction);
      bench.clock.advance(100_000);
      assert.deepEqual(bench.times, [0]);
      assert.equal(bench.timeouts, 0);
    });
  }
});

describe('non-INVITE client transaction, reliable', () => {
  test('trying: nothing is sent again; timer F still ends it', () => {
    const { bench, transaction } = trying({ reliable: true });
    bench.answer(100, 'MESSAGE');
    bench.clock.advance(32_000);
    assert.deepEqual(bench.times, [0]);
    assert.equal(bench.timeouts, 1);
    assertGone(bench, transaction);
  });

  test('a final response is told and ends it at once: timer K is zero', () => {
    const { bench, transaction } = trying({ reliable: true });
    bench.answer(404, 'MESSAGE');
    assert.deepEqual(bench.responses, [404]);
    assertGone(bench, transaction);
  });
});
