import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { ProxyHarness, type SentMessage } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';

const caller = '198.51.100.10:5060';
const callee = '198.51.100.20:5060';
const contact = 'sip:bob@198.51.100.20:5060';

/** The first card has the public address when a call begins, and the second one when it goes on. */
describe('a public address moves to another listener', () => {
  let harness: ProxyHarness;
  beforeEach(() => {
    harness = new ProxyHarness({
      listeners: ['udp:10.0.0.15:5060 as 203.0.113.5:5060', 'udp:10.0.1.15:5060 as 203.0.113.7:5060'],
    });
    harness.bind('bob', contact, callee);
  });

  const move = (): void => {
    const [first, second] = harness.transports.map(({ listener }) => listener);
    first!.advertised = undefined;
    second!.advertised = { address: '203.0.113.5', port: 5060 };
    harness.identity.update([first!, second!], ['10.0.0.0/16']);
  };
  /** Which of the two sent each message, and what it is. */
  const sent = (messages: readonly SentMessage[]): string[] =>
    messages.map(
      ({ transport, message }) =>
        `${harness.transports.indexOf(transport)} ${message.isRequest ? message.method : message.status}`,
    );
  const uri = 'sip:bob@203.0.113.5';

  /** Rings at bob's; returns the INVITE as each side knows it. */
  const ring = (source = caller): { asked: string; offered: SentMessage } => {
    const invite = requestText({ uri, from: 'sip:alice@203.0.113.5' });
    const asked = harness.authenticate(invite, 'alice', source);
    const offered = harness.take().at(-1)!;
    harness.receive(responseText(offered.text, { status: 180, toTag: 'bob' }), callee);
    assert.deepEqual(sent(harness.take()), ['0 180']);
    return { asked, offered };
  };

  test('what rang is answered by the listener that has it, again and again', () => {
    const { asked, offered } = ring();
    move();
    harness.receive(asked, caller, 1);
    assert.deepEqual(sent(harness.take()), ['1 180'], 'to a retransmission');
    harness.receive(responseText(offered.text, { status: 200, toTag: 'bob' }), callee, 1);
    assert.deepEqual(sent(harness.take()), ['1 200']);
  });

  test('a refusal is repeated by it, and acknowledged by it', () => {
    const { offered } = ring();
    move();
    harness.receive(responseText(offered.text, { status: 486, toTag: 'bob' }), callee, 1);
    assert.deepEqual(sent(harness.take()).sort(), ['1 486', '1 ACK']);
    harness.clock.advance(500);
    // The challenge before it was not acknowledged either.
    assert.deepEqual(sent(harness.take()).sort(), ['1 407', '1 486']);
  });

  test('a CANCEL comes in by it and goes on by it', () => {
    const { asked } = ring();
    move();
    const cancel = asked
      .replace(/^INVITE/, 'CANCEL')
      .replace(/^(CSeq: \d+) INVITE/m, '$1 CANCEL')
      .replace(/^Proxy-Authorization:.*\r\n/m, '');
    harness.receive(cancel, caller, 1);
    assert.deepEqual(sent(harness.take()).sort(), ['1 200', '1 CANCEL']);
  });

  test('a request that waits for its answer is repeated by it', () => {
    harness.authenticate(
      requestText({ uri, from: 'sip:alice@203.0.113.5', method: 'MESSAGE' }),
      'alice',
      caller,
    );
    assert.deepEqual(sent(harness.take()), ['0 MESSAGE']);
    move();
    harness.clock.advance(500);
    assert.deepEqual(sent(harness.take()), ['1 MESSAGE']);
  });

  test('a user who registered by the other one is called by it', () => {
    move();
    harness.authenticate(requestText({ uri, from: 'sip:alice@203.0.113.5' }), 'alice', caller, 1);
    const messages = harness.take();
    assert.deepEqual(sent(messages), ['1 INVITE']);
    assert.match(messages[0]!.text, /^Via: SIP\/2\.0\/UDP 203\.0\.113\.5:5060;/m);
    harness.clock.advance(200);
    assert.deepEqual(sent(harness.take()), ['1 100']);
  });

  test('a BYE that waits for nobody comes in and is answered by it', () => {
    const { asked, offered } = ring();
    harness.receive(
      responseText(offered.text, { status: 200, toTag: 'bob', contact: `<${contact}>` }),
      callee,
    );
    const route = /^Record-Route: (.*)\r$/m.exec(harness.take().at(-1)!.text)![1]!;
    move();
    const bye = requestText({
      method: 'BYE',
      uri: contact,
      cseq: 3,
      branch: 'z9hG4bKbye',
      from: 'sip:alice@203.0.113.5',
      to: '<sip:bob@203.0.113.5>;tag=bob',
      headers: [`Route: ${route}`],
    });
    assert.ok(asked.includes('From: sip:alice@203.0.113.5\r\n'));
    harness.receive(bye, caller, 1);
    const messages = harness.take();
    assert.deepEqual(sent(messages), ['1 BYE']);
    harness.receive(responseText(messages[0]!.text, { status: 200 }), callee, 1);
    assert.deepEqual(sent(harness.take()), ['1 200']);
  });

  test('a neighbour is spoken to as before: he knows the private address, which stays', () => {
    const { offered } = ring('10.0.0.77:5060');
    move();
    harness.receive(responseText(offered.text, { status: 200, toTag: 'bob' }), callee, 1);
    assert.deepEqual(sent(harness.take()), ['0 200']);
  });
});
