import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  MAX_FORWARDS,
  PROXY_AUTHORIZATION,
  RECORD_ROUTE,
  ROUTE,
  VIA,
} from '../../src/sip/message/header-id.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { requestText } from '../support/sip-text.ts';

const carol = '198.51.100.10:5060';

function statusOf(text: string, options?: ConstructorParameters<typeof ProxyHarness>[0]): number {
  const harness = new ProxyHarness(options);
  harness.receive(text, carol);
  return harness.take().at(-1)!.message.status;
}

describe('a request of a stranger', () => {
  test('to an unknown user is 404, to a known one who is away 480', () => {
    assert.equal(statusOf(requestText({ uri: 'sip:nobody@example.com' })), 404);
    assert.equal(statusOf(requestText({ uri: 'sip:bob@example.com' })), 480);
  });

  for (const host of ['10.0.0.15', '203.0.113.5', '203.0.113.5:5060', 'EXAMPLE.com', 'example.com:5080']) {
    test(`for ${host} is for us`, () => assert.equal(statusOf(requestText({ uri: `sip:bob@${host}` })), 480));
  }

  for (const method of ['INVITE', 'MESSAGE', 'SUBSCRIBE', 'OPTIONS', 'BYE', 'FOO']) {
    test(`${method} for elsewhere asks for credentials`, () => {
      assert.equal(statusOf(requestText({ method, uri: 'sip:x@192.0.2.1' })), 407);
    });
  }

  test('who says to be one of our users asks for credentials, for whomever it is', () => {
    assert.equal(statusOf(requestText({ from: '<sip:alice@example.com>;tag=1' })), 407);
    assert.equal(statusOf(requestText({ from: '<sip:nobody@203.0.113.5>;tag=1' })), 407);
  });

  test('with a preloaded Route beyond us asks for credentials', () => {
    const headers = ['Route: <sip:203.0.113.5;lr>, <sip:192.0.2.1;lr>'];
    assert.equal(statusOf(requestText({ headers })), 407);
  });

  test('a To tag and a Route of his own making buy no relay', () => {
    for (const route of [
      '<sip:203.0.113.5;lr>',
      '<sip:203.0.113.5;lr;ck=AAAAAAAAAAA>',
      '<sip:203.0.113.5;lr;r2=on>, <sip:10.0.0.15;lr;r2=on>',
    ]) {
      const text = requestText({
        uri: 'sip:x@192.0.2.1',
        to: '<sip:bob@example.com>;tag=x',
        headers: [`Route: ${route}`],
      });
      assert.equal(statusOf(text), 407, route);
    }
  });

  test('OPTIONS for the agent itself is 200 and says what is allowed', () => {
    const harness = new ProxyHarness();
    harness.receive(requestText({ method: 'OPTIONS', uri: 'sip:203.0.113.5' }), carol);
    const [{ message }] = harness.take() as [ReturnType<ProxyHarness['take']>[0]];
    assert.equal(message.status, 200);
    assert.match(message.valueByName('allow') ?? '', /INVITE/);
  });
});

describe('validation', () => {
  const cases: [string, string, number][] = [
    ['Max-Forwards used up', requestText({ maxForwards: 0 }), 483],
    ['Proxy-Require', requestText({ headers: ['Proxy-Require: foo, bar'] }), 420],
    ['another scheme', requestText({ uri: 'tel:+15551234' }), 416],
    ['no scheme', requestText({ uri: 'bob' }), 400],
    ['two From', requestText({ headers: ['From: <sip:x@y>;tag=2'] }), 400],
    ['a missing To', requestText().replace(/^To:.*\r\n/m, ''), 400],
    ['a CSeq that contradicts', requestText().replace('1 INVITE', '1 BYE'), 400],
    ['another version', requestText().replace('SIP/2.0\r\n', 'SIP/7.0\r\n'), 505],
    ['a broken Route', requestText({ headers: ['Route: <sip:'] }), 400],
  ];
  for (const [name, text, status] of cases)
    test(`${name} is ${status}`, () => assert.equal(statusOf(text), status));

  test('420 names what is not supported', () => {
    const harness = new ProxyHarness();
    harness.receive(requestText({ headers: ['Proxy-Require: foo, bar'] }), carol);
    assert.equal(harness.take()[0]!.message.valueByName('unsupported'), 'foo, bar');
  });
});

describe('an authenticated user', () => {
  const outward = requestText({ uri: 'sip:x@192.0.2.1:5070', from: '<sip:alice@example.com>;tag=1' });

  test('may call elsewhere, and the credentials stay here', () => {
    const harness = new ProxyHarness();
    harness.authenticate(outward, 'alice', carol);
    const sent = harness.take();
    const { message, destination } = sent.at(-1)!;
    assert.equal(message.method, 'INVITE');
    assert.deepEqual(destination, { address: '192.0.2.1', port: 5070 });
    assert.equal(message.count(PROXY_AUTHORIZATION), 0);
    assert.doesNotMatch(sent.at(-1)!.text, /10\.0\.0\./);
  });

  test('may not say to be another one', () => {
    const harness = new ProxyHarness();
    harness.authenticate(outward, 'bob', carol);
    assert.equal(harness.take().at(-1)!.message.status, 403);
  });
});

describe('forwarding', () => {
  test('puts Via and Record-Route on top, takes one off Max-Forwards, keeps the rest byte for byte', () => {
    const harness = new ProxyHarness();
    harness.bind('bob', 'sip:bob@198.51.100.20:5062', '198.51.100.20:5062');
    const text = requestText({ headers: ['X-Strange:   \xff \xc3\xa9  ', 'Subject: a,b'] });
    harness.receive(text, '198.51.100.10:4321');
    const [invite] = harness.take();
    const { message } = invite!;
    assert.deepEqual(invite!.destination, { address: '198.51.100.20', port: 5062 });
    assert.equal(message.requestUri, 'sip:bob@198.51.100.20:5062');
    assert.equal(message.value(MAX_FORWARDS), '69');
    const [via, callerVia] = message.values(VIA);
    assert.match(via!, /^SIP\/2\.0\/UDP 203\.0\.113\.5:5060;rport;branch=z9hG4bK\S+$/);
    assert.equal(
      callerVia,
      'SIP/2.0/UDP 198.51.100.10:5060;rport=4321;branch=z9hG4bKtest1;received=198.51.100.10',
    );
    assert.match(
      message.value(RECORD_ROUTE)!,
      /^<sip:203\.0\.113\.5;lr;ck=[\w-]{11};cf=198\.51\.100\.10:4321;bf=198\.51\.100\.20:5062>$/,
    );
    assert.ok(invite!.text.includes('X-Strange:   \xff \xc3\xa9  \r\nSubject: a,b\r\n'));
    assert.doesNotMatch(invite!.text, /10\.0\.0\./);
    harness.clock.advance(200);
    const [trying] = harness.take();
    assert.equal(trying!.message.status, 100);
    assert.deepEqual(trying!.destination, { address: '198.51.100.10', port: 4321 });
  });

  test('a VPC neighbour is shown the private identity', () => {
    const harness = new ProxyHarness();
    harness.bind('bob', 'sip:bob@10.0.0.77', '10.0.0.77:5060');
    harness.receive(
      requestText({
        from: '<sip:carol@neighbour.example>;tag=1',
        contact: '<sip:carol@10.0.0.78>',
        via: '10.0.0.78',
      }),
      '10.0.0.78:5060',
    );
    const invite = harness.take().at(-1)!;
    assert.match(invite.message.value(VIA)!, /UDP 10\.0\.0\.15:5060/);
    assert.match(invite.message.value(RECORD_ROUTE)!, /<sip:10\.0\.0\.15;lr;/);
    assert.doesNotMatch(invite.text, /203\.0\.113/);
  });

  test('a retransmission is not forwarded again', () => {
    const harness = new ProxyHarness();
    harness.bind('bob', 'sip:bob@198.51.100.20', '198.51.100.20:5060');
    harness.receive(requestText(), carol);
    assert.equal(harness.take().length, 1);
    harness.receive(requestText(), carol);
    const again = harness.take();
    assert.deepEqual(
      again.map(({ message }) => message.status),
      [100],
    );
  });

  test('a request that comes round unchanged is a loop; retargeted it is a spiral', () => {
    const harness = new ProxyHarness();
    harness.bind('bob', 'sip:bob@198.51.100.20', '198.51.100.20:5060');
    harness.receive(requestText(), carol);
    const invite = harness.take().at(-1)!;
    const looped = invite.text.replace(/INVITE sip:bob@\S+/, 'INVITE sip:bob@example.com');
    harness.receive(looped, '198.51.100.20:5060');
    assert.equal(harness.take().at(-1)!.message.status, 482);
    const spiral = looped
      .replace('INVITE sip:bob@example.com', 'INVITE sip:alice@example.com')
      .replace(/branch=z9hG4bK/, 'branch=z9hG4bKs');
    harness.receive(spiral, '198.51.100.20:5060');
    assert.equal(harness.take().at(-1)!.message.status, 480);
  });

  test('a Path is obeyed and a remaining Route kept', () => {
    const harness = new ProxyHarness();
    harness.bind('bob', 'sip:bob@192.168.9.9', '192.0.2.50:5060', {
      path: ['<sip:192.0.2.50;lr>', '<sip:192.0.2.51;lr>'],
    });
    harness.receive(requestText({ headers: ['Route: <sip:203.0.113.5;lr>'] }), carol);
    const invite = harness.take().at(-1)!;
    assert.deepEqual(invite.message.values(ROUTE), ['<sip:192.0.2.50;lr>', '<sip:192.0.2.51;lr>']);
    assert.equal(invite.destination.address, '192.0.2.50');
    assert.equal(invite.message.requestUri, 'sip:bob@192.168.9.9');
  });

  test('a strict router gets its own URI first and the real one last', () => {
    const harness = new ProxyHarness();
    harness.bind('bob', 'sip:bob@192.168.9.9', '192.0.2.50:5060', { path: ['<sip:strict@192.0.2.50>'] });
    harness.receive(requestText(), carol);
    const invite = harness.take().at(-1)!;
    assert.equal(invite.message.requestUri, 'sip:strict@192.0.2.50');
    assert.deepEqual(invite.message.values(ROUTE), ['<sip:bob@192.168.9.9>']);
  });
});

describe('the machine itself', () => {
  for (const address of ['127.0.0.1:5070', '169.254.169.254:80', '[::1]:5070', '[fe80::1]:5060']) {
    test(`is out of reach for users: ${address}`, () => {
      const harness = new ProxyHarness({
        listeners: ['udp:10.0.0.15:5060 as 203.0.113.5:5060', 'udp:[2001:db8::5]:5060'],
      });
      harness.authenticate(
        requestText({ uri: `sip:x@${address}`, from: '<sip:alice@example.com>;tag=1' }),
        'alice',
        carol,
      );
      const sent = harness.take();
      assert.deepEqual(
        sent.filter(({ message }) => message.method === 'INVITE'),
        [],
      );
      assert.equal(sent.at(-1)!.message.status, 503);
    });
  }
});
