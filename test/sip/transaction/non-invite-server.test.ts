import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NonInviteServerTransaction } from '../../../src/sip/transaction/non-invite-server.ts';
import { requestText } from '../../support/sip-text.ts';
import { type BenchOptions, respond, TransactionBench } from './transaction-bench.ts';

const message = requestText({ method: 'MESSAGE' });

function trying(options?: BenchOptions): {
  bench: TransactionBench;
  transaction: NonInviteServerTransaction;
} {
  const bench = new TransactionBench(options);
  const transaction = bench.open(message);
  assert.ok(transaction instanceof NonInviteServerTransaction);
  return { bench, transaction };
}

function assertGone(bench: TransactionBench, transaction: NonInviteServerTransaction): void {
  assert.equal(transaction.state, 'terminated');
  assert.equal(bench.layer.serverTransactions, 0);
  assert.equal(bench.layer.pendingTimers, 0);
}

describe('non-INVITE server transaction, unreliable', () => {
  test('trying: retransmissions are absorbed without a word, and no timer runs', () => {
    const { bench, transaction } = trying();
    bench.receive(message);
    assert.deepEqual(bench.take(), []);
    assert.equal(transaction.state, 'trying');
    assert.equal(bench.requests.length, 1);
    assert.equal(bench.layer.pendingTimers, 0);
  });

  test('proceeding: the last provisional response answers retransmissions', () => {
    const { bench, transaction } = trying();
    respond(transaction, 100);
    assert.equal(transaction.state, 'proceeding');
    respond(transaction, 183);
    bench.receive(message);
    assert.deepEqual(bench.take(), [
      'SIP/2.0 100 Trying',
      'SIP/2.0 183 Session Progress',
      'SIP/2.0 183 Session Progress',
    ]);
    assert.equal(transaction.completed, false);
  });

  test('completed: the final response answers retransmissions until timer J, 64*T1', () => {
    const { bench, transaction } = trying();
    respond(transaction, 404);
    assert.equal(transaction.state, 'completed');
    assert.equal(transaction.completed, true);
    bench.clock.advance(31_999);
    assert.deepEqual(bench.times, [0], 'it is not repeated without being asked');
    bench.receive(message);
    respond(transaction, 200);
    respond(transaction, 180);
    assert.deepEqual(bench.take(), ['SIP/2.0 404 Not Found', 'SIP/2.0 404 Not Found']);
    bench.clock.advance(1);
    assertGone(bench, transaction);
    bench.receive(message);
    assert.equal(bench.requests.length, 2, 'what comes later is new');
  });

  test('abandoned it leaves nothing, and answers nobody', () => {
    const { bench, transaction } = trying();
    respond(transaction, 404);
    bench.take();
    transaction.abandon();
    assertGone(bench, transaction);
    respond(transaction, 200);
    assert.deepEqual(bench.take(), []);
  });
});

describe('non-INVITE server transaction, reliable', () => {
  test('the final response ends it at once: timer J is zero', () => {
    const { bench, transaction } = trying({ reliable: true });
    respond(transaction, 100);
    respond(transaction, 200);
    assert.deepEqual(bench.take(), ['SIP/2.0 100 Trying', 'SIP/2.0 200 OK']);
    assertGone(bench, transaction);
  });
});
