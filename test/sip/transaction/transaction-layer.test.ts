import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseMessage } from '../../../src/sip/message/message.ts';
import { requestText, responseText } from '../../support/sip-text.ts';
import { peer, respond, server, TransactionBench } from './transaction-bench.ts';

const invite = requestText();
const cancel = requestText({ method: 'CANCEL' });

/** As RFC 2543 wrote requests: no branch. */
function without(branch: string, text: string): string {
  assert.ok(text.includes(branch));
  return text.replace(branch, '');
}

describe('which transaction a request belongs to', () => {
  for (const [what, other] of [
    ['host', requestText({ via: '198.51.100.11:5060' })],
    ['port', requestText({ via: '198.51.100.10:5062' })],
    ['absence of a port', requestText({ via: '198.51.100.10' })],
    ['branch', requestText({ branch: 'z9hG4bKtest2' })],
  ] as const) {
    test(`another ${what} of the top Via is another one`, () => {
      const bench = new TransactionBench();
      const first = bench.open(invite);
      const second = bench.open(other);
      assert.notEqual(first.key, second.key);
      respond(first, 486);
      bench.take();
      bench.receive(other);
      assert.deepEqual(
        bench.take(),
        ['SIP/2.0 100 Trying'],
        'the answer to one is not the answer to the other',
      );
      assert.equal(bench.layer.serverTransactions, 2);
    });
  }

  test('the method counts too: a branch that stands in INVITE and MESSAGE is two', () => {
    const bench = new TransactionBench();
    bench.open(invite);
    bench.open(requestText({ method: 'MESSAGE' }));
    assert.equal(bench.layer.serverTransactions, 2);
  });

  test('with a branch nothing else counts: Request-URI, Call-ID and CSeq may differ', () => {
    const bench = new TransactionBench();
    bench.open(invite);
    bench.receive(requestText({ uri: 'sip:eve@example.com', callId: 'x', cseq: 7 }));
    assert.equal(bench.requests.length, 1);
    assert.equal(bench.layer.counters.retransmissions, 1);
  });

  for (const [what, branch] of [
    ['no branch', ';branch=z9hG4bKtest1'],
    ['the bare cookie', 'test1'],
  ] as const) {
    test(`${what}: matched as RFC 2543 did`, () => {
      const bench = new TransactionBench();
      bench.open(without(branch, invite));
      bench.receive(without(branch, invite));
      assert.equal(bench.requests.length, 1);
      for (const other of [
        requestText({ uri: 'sip:eve@example.com' }),
        requestText({ callId: 'call-2@test' }),
        requestText({ cseq: 2 }),
        requestText({ from: '<sip:carol@elsewhere.example>;tag=other' }),
        requestText({ via: '198.51.100.10:5062' }),
        requestText({ method: 'MESSAGE' }),
      ]) {
        bench.open(without(branch, other));
      }
      assert.equal(bench.layer.serverTransactions, 7);
    });

    test(`${what}: the ACK finds its INVITE although it brings a To tag`, () => {
      const bench = new TransactionBench();
      const transaction = bench.open(without(branch, invite));
      respond(transaction, 404);
      bench.take();
      bench.receive(without(branch, requestText({ method: 'ACK', to: '<sip:bob@example.com>;tag=ours' })));
      bench.clock.advance(4999);
      assert.deepEqual(bench.take(), [], 'timer G was stopped');
      assert.equal(bench.acks.length, 0);
      bench.clock.advance(1);
      assert.equal(bench.layer.serverTransactions, 0);
    });

    test(`${what}: CANCEL finds its INVITE`, () => {
      const bench = new TransactionBench();
      const transaction = bench.open(without(branch, invite));
      bench.receive(without(branch, cancel));
      assert.equal(bench.cancels[0]!.invite, transaction);
    });
  }
});

describe('CANCEL', () => {
  test('is a transaction of its own that names the INVITE of its branch', () => {
    const bench = new TransactionBench();
    const transaction = bench.open(invite);
    bench.receive(cancel);
    bench.receive(cancel);
    assert.equal(bench.cancels.length, 1);
    assert.equal(bench.cancels[0]!.invite, transaction);
    assert.equal(bench.requests.length, 1, 'it is no request for the user besides');
    respond(bench.cancels[0]!.cancel, 200);
    bench.receive(cancel);
    assert.deepEqual(bench.take(), ['SIP/2.0 200 OK', 'SIP/2.0 200 OK']);
  });

  for (const [what, text] of [
    ['another branch', requestText({ method: 'CANCEL', branch: 'z9hG4bKtest2' })],
    ['another sent-by', requestText({ method: 'CANCEL', via: '198.51.100.66:5060' })],
  ] as const) {
    test(`of ${what} names nothing`, () => {
      const bench = new TransactionBench();
      bench.open(invite);
      bench.receive(text);
      assert.deepEqual(
        bench.cancels.map(({ invite: named }) => named),
        [undefined],
      );
    });
  }

  test('names no other request than an INVITE', () => {
    const bench = new TransactionBench();
    bench.open(requestText({ method: 'MESSAGE' }));
    bench.receive(cancel);
    assert.equal(bench.cancels[0]!.invite, undefined);
  });
});

describe('ACK', () => {
  test('of a branch of its own belongs to the user, each time, and is never answered', () => {
    const bench = new TransactionBench();
    const ack = requestText({ method: 'ACK', branch: 'z9hG4bKack', via: '10.1.1.1:5060' });
    bench.receive(ack);
    bench.receive(ack);
    assert.equal(bench.acks.length, 2);
    assert.equal(
      bench.acks[0]!.topVia,
      'SIP/2.0/UDP 10.1.1.1:5060;rport=5060;branch=z9hG4bKack;received=198.51.100.10',
    );
    assert.deepEqual(bench.take(), []);
    assert.equal(bench.layer.serverTransactions, 0);
  });
});

describe('which transaction a response belongs to', () => {
  test('INVITE and CANCEL share a branch: the method of CSeq parts them', () => {
    const bench = new TransactionBench();
    bench.send('INVITE');
    bench.send('CANCEL');
    assert.equal(bench.layer.clientTransactions, 2);
    bench.answer(200, 'CANCEL');
    bench.answer(487);
    assert.deepEqual(bench.responses, [200, 487]);
    assert.equal(bench.layer.counters.strayResponses, 0);
  });

  const request = requestText({ branch: 'z9hG4bKours', via: '203.0.113.5:5060' });
  const ok = responseText(request, { status: 200 });
  for (const [what, text] of [
    ['of a branch that nobody sent', ok.replace('z9hG4bKours', 'z9hG4bKtheirs')],
    ['of a branch in another case', ok.replace('z9hG4bKours', 'z9hG4bKOURS')],
    ['without a branch', ok.replace(';branch=z9hG4bKours', '')],
    ['without a Via', ok.replace(/^Via:.*\r\n/m, '')],
    ['to another method', ok.replace('1 INVITE', '1 MESSAGE')],
    ['to another method that shares the branch', ok.replace('1 INVITE', '1 CANCEL')],
    ['without a CSeq', ok.replace(/^CSeq:.*\r\n/m, '')],
    ['that is cut short', ok.replace('Content-Length: 0', 'Content-Length: 9')],
  ] as const) {
    test(`a response ${what} is stray: dropped and counted`, () => {
      const bench = new TransactionBench();
      bench.send('INVITE');
      bench.receive(text, server);
      assert.deepEqual(bench.responses, []);
      assert.equal(bench.layer.counters.strayResponses, 1);
      assert.equal(bench.layer.clientTransactions, 1);
    });
  }
});

describe('the layer', () => {
  test('drops and counts what is no SIP, and requests that cannot be answered', () => {
    const bench = new TransactionBench();
    bench.receive('\r\n\r\n');
    bench.receive('GET / HTTP/1.1\r\n\r\n');
    bench.receive(invite.replace(/^Via:.*\r\n/m, ''));
    bench.receive(invite.replace('SIP/2.0/UDP', 'SIP/2.0'));
    assert.deepEqual(bench.take(), []);
    assert.equal(bench.requests.length, 0);
    const { received, unparsable } = bench.layer.counters;
    assert.deepEqual({ received, unparsable }, { received: 4, unparsable: 4 });
  });

  test('beyond its limit answers 503 once, keeps nothing of it, and goes on with what it has', () => {
    const bench = new TransactionBench({ maxServerTransactions: 2 });
    const numbered = (n: number): string => requestText({ method: 'MESSAGE', branch: `z9hG4bKn${n}` });
    const first = bench.open(numbered(1));
    bench.open(numbered(2));
    for (let n = 3; n < 100; n++) bench.receive(numbered(n));
    bench.receive(requestText({ branch: 'z9hG4bKn3' }));
    const refused = bench.sent();
    assert.equal(refused.length, 98);
    for (const { text } of refused) {
      const message = parseMessage(text)!;
      assert.equal(message.status, 503);
      assert.match(text, /\r\nRetry-After: 5\r\n/);
      assert.notEqual(message.toTag, undefined);
    }
    assert.equal(bench.requests.length, 2);
    assert.equal(bench.layer.serverTransactions, 2);
    assert.equal(bench.layer.counters.overload, 98);
    assert.equal(bench.layer.pendingTimers, 0);

    // An ACK to the 503 is nothing that could be refused.
    bench.receive(requestText({ method: 'ACK', branch: 'z9hG4bKn3' }));
    assert.deepEqual(bench.take(), []);

    respond(first, 200);
    bench.receive(numbered(1));
    assert.deepEqual(bench.take(), ['SIP/2.0 200 OK', 'SIP/2.0 200 OK']);
    bench.clock.advance(32_000);
    bench.open(numbered(3));
  });

  test('an INVITE that was answered with 2xx counts towards its limit for 64*T1, and no longer', () => {
    const bench = new TransactionBench({ maxServerTransactions: 2 });
    const numbered = (n: number): string => requestText({ branch: `z9hG4bKn${n}` });
    for (const n of [1, 2]) respond(bench.open(numbered(n)), 200);
    bench.take();
    bench.clock.advance(31_999);
    bench.receive(numbered(3));
    assert.deepEqual(bench.take(), ['SIP/2.0 503 Service Unavailable']);
    assert.deepEqual([bench.layer.serverTransactions, bench.layer.unanswered], [2, 0]);
    // Nor does the flood cut short what it is kept for.
    bench.receive(numbered(1));
    assert.deepEqual(bench.take(), []);
    bench.clock.advance(1);
    assert.deepEqual([bench.layer.serverTransactions, bench.layer.pendingTimers], [0, 0]);
    bench.open(numbered(3));
    assert.deepEqual([bench.layer.serverTransactions, bench.layer.unanswered], [1, 1]);
  });

  test('closed forgets every transaction and every timer without a word', () => {
    const bench = new TransactionBench();
    respond(bench.open(invite), 404);
    respond(bench.open(requestText({ branch: 'z9hG4bKaccepted' })), 200);
    bench.open(requestText({ method: 'MESSAGE' }));
    bench.send('INVITE');
    bench.send('MESSAGE', 'z9hG4bKother');
    bench.take();
    bench.layer.close();
    assert.equal(bench.layer.serverTransactions, 0);
    assert.equal(bench.layer.clientTransactions, 0);
    assert.equal(bench.layer.pendingTimers, 0);
    bench.clock.advance(100_000);
    assert.equal(bench.clock.pending, 0);
    assert.deepEqual(bench.take(), []);
    assert.equal(bench.timeouts, 0);
  });
});

describe('where responses go', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['sent-by with a port', '10.1.1.1:5070', '198.51.100.10:5070'],
    ['sent-by without a port', '10.1.1.1', '198.51.100.10:5060'],
    ['sent-by with port 0', '10.1.1.1:0', '198.51.100.10:5060'],
    ['rport', '10.1.1.1:5070;rport', '198.51.100.10:40000'],
    ['a numeric maddr', '10.1.1.1:5070;maddr=239.255.255.1;rport', '239.255.255.1:5070'],
    ['a maddr and no port', '10.1.1.1;maddr=239.255.255.1', '239.255.255.1:5060'],
    ['a maddr of a third party', '10.1.1.1:5070;maddr=192.0.2.99', '198.51.100.10:5070'],
    ['a maddr that is a name', '10.1.1.1:5070;maddr=example.com', '198.51.100.10:5070'],
    ['a maddr of the other family', '10.1.1.1:5070;maddr=[2001:db8::1]', '198.51.100.10:5070'],
    ['a maddr that is nothing', '10.1.1.1:5070;maddr=999.1', '198.51.100.10:5070'],
    ['a broadcast maddr', '10.1.1.1:5070;maddr=255.255.255.255', '198.51.100.10:5070'],
    ['an unspecified maddr', '10.1.1.1:5070;maddr=0.0.0.0', '198.51.100.10:5070'],
  ];
  for (const [what, via, expected] of cases) {
    test(`${what}: to ${expected} (RFC 3261 18.2.2, RFC 3581 4)`, () => {
      const bench = new TransactionBench();
      bench.receive(requestText({ via }).replace(';rport;branch', ';branch'), { ...peer, port: 40_000 });
      respond(bench.requests[0]!, 404);
      const { address, port } = bench.sent()[0]!.destination;
      assert.equal(`${address}:${port}`, expected);
    });
  }

  test('over a reliable transport: back on the connection', () => {
    const bench = new TransactionBench({ reliable: true });
    bench.receive(requestText({ via: '10.1.1.1:5070;maddr=239.255.255.1' }), { ...peer, port: 40_000 });
    respond(bench.requests[0]!, 404);
    assert.deepEqual(bench.sent()[0]!.destination, { ...peer, port: 40_000 });
  });
});
