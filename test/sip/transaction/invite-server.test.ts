import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InviteServerTransaction } from '../../../src/sip/transaction/invite-server.ts';
import { requestText } from '../../support/sip-text.ts';
import { type BenchOptions, respond, TransactionBench } from './transaction-bench.ts';

const invite = requestText();
const ack = requestText({ method: 'ACK', to: '<sip:bob@example.com>;tag=ours' });

function proceeding(options?: BenchOptions): {
  bench: TransactionBench;
  transaction: InviteServerTransaction;
} {
  const bench = new TransactionBench(options);
  const transaction = bench.open(invite);
  assert.ok(transaction instanceof InviteServerTransaction);
  return { bench, transaction };
}

function assertGone(bench: TransactionBench, transaction: InviteServerTransaction): void {
  assert.equal(transaction.state, 'terminated');
  assert.equal(bench.layer.serverTransactions, 0);
  assert.equal(bench.layer.pendingTimers, 0);
}

describe('INVITE server transaction, unreliable', () => {
  test('proceeding: 100 goes out when nothing else was said in 200 ms (RFC 3261 17.2.1)', () => {
    const { bench, transaction } = proceeding();
    bench.clock.advance(199);
    assert.deepEqual(bench.take(), []);
    bench.clock.advance(1);
    assert.deepEqual(bench.times, [200]);
    const [trying] = bench.sent();
    assert.match(
      trying!.text,
      /^SIP\/2\.0 100 Trying\r\nVia: SIP\/2\.0\/UDP \S+;rport=5060;branch=z9hG4bKtest1;rec/,
    );
    assert.match(trying!.text, /\r\nTo: <sip:bob@example\.com>\r\n/, 'a 100 makes no dialog');
    assert.deepEqual(trying!.destination, { address: '198.51.100.10', port: 5060 });
    assert.equal(transaction.state, 'proceeding');
    bench.clock.advance(100_000);
    assert.deepEqual(bench.take(), [], 'once is enough');
    assert.equal(bench.layer.pendingTimers, 0);
  });

  test('proceeding: a retransmission gets its 100 at once', () => {
    const { bench } = proceeding();
    bench.clock.advance(50);
    bench.receive(invite);
    assert.deepEqual(bench.take(), ['SIP/2.0 100 Trying']);
    bench.clock.advance(1000);
    assert.deepEqual(bench.take(), [], 'and no other later');
  });

  for (const status of [180, 200, 486]) {
    test(`proceeding: a ${status} within 200 ms makes a 100 needless`, () => {
      const { bench, transaction } = proceeding();
      bench.clock.advance(199);
      respond(transaction, status);
      bench.take();
      bench.clock.advance(300);
      assert.deepEqual(bench.take(), []);
    });
  }

  test('proceeding: the last provisional response answers retransmissions; no timer runs', () => {
    const { bench, transaction } = proceeding();
    bench.receive(invite);
    bench.receive(invite);
    respond(transaction, 180);
    bench.receive(invite);
    assert.deepEqual(bench.take(), [
      'SIP/2.0 100 Trying',
      'SIP/2.0 100 Trying',
      'SIP/2.0 180 Ringing',
      'SIP/2.0 180 Ringing',
    ]);
    assert.equal(bench.requests.length, 1, 'the user sees the request once');
    assert.equal(bench.layer.counters.retransmissions, 3);
    assert.equal(bench.layer.pendingTimers, 0);
    assert.equal(transaction.completed, false);
  });

  test('completed: timer G doubles up to T2, timer H gives up on the ACK after 64*T1', () => {
    const { bench, transaction } = proceeding();
    respond(transaction, 486);
    assert.equal(transaction.state, 'completed');
    assert.equal(transaction.completed, true);
    bench.clock.advance(31_999);
    assert.deepEqual(bench.times, [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    bench.clock.advance(1);
    assertGone(bench, transaction);
  });

  test('completed: a retransmission of the INVITE gets the response again, later ones of the user do not go out', () => {
    const { bench, transaction } = proceeding();
    respond(transaction, 404);
    bench.receive(invite);
    respond(transaction, 180);
    respond(transaction, 200);
    respond(transaction, 500);
    assert.deepEqual(bench.take(), ['SIP/2.0 404 Not Found', 'SIP/2.0 404 Not Found']);
  });

  test('confirmed: the ACK stops timers G and H; timer I absorbs further ACKs for T4', () => {
    const { bench, transaction } = proceeding();
    respond(transaction, 404);
    bench.clock.advance(700);
    bench.receive(ack);
    assert.equal(transaction.state, 'confirmed');
    bench.take();
    bench.clock.advance(4999);
    bench.receive(ack);
    bench.receive(invite);
    assert.deepEqual(bench.take(), []);
    assert.equal(bench.acks.length, 0, 'the ACK to a failure is no business of the user');
    bench.clock.advance(1);
    assertGone(bench, transaction);
  });

  test('accepted: INVITE retransmissions are absorbed, every 2xx passes, until timer L', () => {
    const { bench, transaction } = proceeding();
    respond(transaction, 180);
    respond(transaction, 200);
    assert.equal(transaction.state, 'accepted');
    bench.take();
    bench.clock.advance(20_000);
    bench.receive(invite);
    assert.deepEqual(bench.take(), [], 'RFC 6026 7.1: the 2xx is repeated end to end');
    respond(transaction, 200);
    respond(transaction, 202);
    respond(transaction, 180);
    respond(transaction, 500);
    assert.deepEqual(bench.take(), ['SIP/2.0 200 OK', 'SIP/2.0 202 Accepted']);
    bench.clock.advance(11_999);
    assert.equal(transaction.state, 'accepted');
    bench.clock.advance(1);
    assertGone(bench, transaction);
    assert.equal(bench.requests.length, 1);
  });

  test('accepted: an ACK in the same branch belongs to the user (RFC 6026 7.1)', () => {
    const { bench, transaction } = proceeding();
    respond(transaction, 200);
    bench.receive(ack);
    assert.equal(transaction.state, 'accepted');
    assert.equal(bench.acks.length, 1);
  });

  test('an ACK before the final response changes nothing', () => {
    const { bench, transaction } = proceeding();
    bench.receive(ack);
    assert.equal(transaction.state, 'proceeding');
    assert.equal(bench.acks.length, 0);
    respond(transaction, 200);
    assert.deepEqual(bench.take(), ['SIP/2.0 200 OK']);
  });

  for (const state of ['proceeding', 'completed', 'accepted', 'confirmed'] as const) {
    test(`abandoned while ${state} it leaves nothing`, () => {
      const { bench, transaction } = proceeding();
      if (state !== 'proceeding') respond(transaction, state === 'accepted' ? 200 : 404);
      if (state === 'confirmed') bench.receive(ack);
      assert.equal(transaction.state, state);
      transaction.abandon();
      assertGone(bench, transaction);
      bench.take();
      bench.clock.advance(100_000);
      respond(transaction, 200);
      assert.deepEqual(bench.take(), []);
    });
  }
});

describe('INVITE server transaction, reliable', () => {
  test('completed: nothing is sent again; timer H still waits for the ACK', () => {
    const { bench, transaction } = proceeding({ reliable: true });
    respond(transaction, 486);
    bench.clock.advance(31_999);
    assert.equal(transaction.state, 'completed');
    assert.deepEqual(bench.times, [0]);
    bench.clock.advance(1);
    assertGone(bench, transaction);
  });

  test('the ACK ends it at once: timer I is zero', () => {
    const { bench, transaction } = proceeding({ reliable: true });
    respond(transaction, 486);
    bench.receive(ack);
    assertGone(bench, transaction);
  });

  test('accepted lasts for timer L as well (RFC 6026 7.1)', () => {
    const { bench, transaction } = proceeding({ reliable: true });
    respond(transaction, 200);
    bench.clock.advance(31_999);
    assert.equal(transaction.state, 'accepted');
    bench.clock.advance(1);
    assertGone(bench, transaction);
  });
});
