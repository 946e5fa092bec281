import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RECORD_ROUTE } from '../../src/sip/message/header-id.ts';
import { ProxyHarness, type SentMessage } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';

const stranger = '198.51.100.66:5060';
const bob = '198.51.100.20:5060';
const victim = '192.0.2.99';

/** Requests that did not stay with bob or the one who asked. */
function relayed(sent: readonly SentMessage[]): SentMessage[] {
  return sent.filter(
    ({ destination }) => ![stranger, bob].some((own) => own.startsWith(`${destination.address}:`)),
  );
}

/** A stranger calls bob, and keeps the signed Record-Route that the ringing shows him. */
function keptRoute(harness: ProxyHarness): string {
  harness.bind('bob', `sip:bob@${bob}`, bob);
  harness.receive(requestText({ via: stranger, contact: `<sip:carol@${stranger}>` }), stranger);
  const invite = harness.take().at(-1)!;
  harness.receive(responseText(invite.text, { status: 180, contact: `<sip:bob@${bob}>` }), bob);
  return harness.take().at(-1)!.message.value(RECORD_ROUTE)!;
}

describe('a signed Record-Route that a stranger keeps', () => {
  const caller = {
    from: '<sip:carol@elsewhere.example>;tag=caller',
    to: '<sip:bob@example.com>;tag=made-up',
  };
  const callee = {
    from: '<sip:bob@example.com>;tag=made-up',
    to: '<sip:carol@elsewhere.example>;tag=caller',
  };
  const elsewhere = `sip:x@${victim}`;
  const cases = [
    ['another Request-URI', { ...caller, uri: elsewhere }, []],
    ['a further Route', { ...caller, uri: `sip:bob@${bob}` }, [`Route: <sip:${victim};lr>`]],
    ["a Route with bob's host and maddr", caller, [`Route: <sip:198.51.100.20;lr;maddr=${victim}>`]],
    ['maddr', { ...caller, uri: `sip:bob@${bob};maddr=${victim}` }, []],
    ['the voice of the other side', { ...callee, uri: elsewhere }, []],
    ['the voice of the other side and a Route', { ...callee, uri: elsewhere }, [`Route: <sip:${victim};lr>`]],
  ] as const;
  for (const [name, options, headers] of cases) {
    for (const method of ['INVITE', 'MESSAGE', 'BYE', 'ACK']) {
      test(`buys no relay for ${method} with ${name}`, () => {
        const harness = new ProxyHarness();
        const route = keptRoute(harness);
        harness.receive(
          requestText({
            method,
            cseq: 9,
            via: stranger,
            branch: 'z9hG4bKreplay',
            ...options,
            headers: [`Route: ${route}`, ...headers],
          }),
          stranger,
        );
        assert.deepEqual(relayed(harness.take()), []);
      });
    }
  }
});

describe('a called stranger', () => {
  test('reaches the user who called him, and nobody else, whoever he says to be', () => {
    const harness = new ProxyHarness();
    const alice = '198.51.100.30:5060';
    harness.authenticate(
      requestText({
        uri: `sip:x@${stranger}`,
        from: '<sip:alice@example.com>;tag=caller',
        via: alice,
        contact: `<sip:alice@${alice}>`,
      }),
      'alice',
      alice,
    );
    const invite = harness.take().at(-1)!.message;
    assert.equal(invite.method, 'INVITE');
    const route = `Route: ${invite.value(RECORD_ROUTE)!}`;
    const sides = [
      ['<sip:x@y>;tag=any', '<sip:alice@example.com>;tag=caller'],
      ['<sip:alice@example.com>;tag=caller', '<sip:x@y>;tag=any'],
    ] as const;
    for (const [n, [from, to]] of sides.entries()) {
      const uri = `sip:x@${victim}`;
      const branch = `z9hG4bKcalled${n}`;
      harness.receive(
        requestText({ method: 'MESSAGE', uri, via: stranger, branch, from, to, headers: [route] }),
        stranger,
      );
      const [sent] = harness.take();
      assert.notEqual(sent!.destination.address, victim);
      if (n === 0) assert.equal(sent!.destination.address, '198.51.100.30');
      else assert.equal(sent!.message.status, 407);
    }
  });
});

describe('a Contact that its user may choose', () => {
  test('does not make the agent call itself', () => {
    const harness = new ProxyHarness();
    for (let n = 0; n < 10; n++) harness.bind('bob', `sip:bob@203.0.113.5;p=${n}`, bob);
    harness.receive(requestText({ via: stranger }), stranger);
    const sent = harness.take();
    assert.deepEqual(
      sent.map(({ message }) => message.status),
      [480],
    );
  });

  for (const contact of ['10.0.0.99:8080', '127.0.0.1:53', '169.254.169.254']) {
    test(`leads back to him, not to ${contact}`, () => {
      const harness = new ProxyHarness();
      harness.bind('bob', `sip:bob@${contact}`, bob);
      harness.receive(requestText({ via: stranger }), stranger);
      const { destination } = harness.take().at(-1)!;
      assert.deepEqual(destination, { address: '198.51.100.20', port: 5060 });
    });
  }
});
