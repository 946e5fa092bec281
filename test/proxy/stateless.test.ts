import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MediaRelay } from '../../src/media/media-contract.ts';
import { CallCount } from '../../src/proxy/call-count.ts';
import { DialogCookies } from '../../src/proxy/dialog-cookie.ts';
import { MediaAnchor } from '../../src/proxy/media-anchor.ts';
import { routeParams } from '../../src/proxy/record-route.ts';
import { MAX_FORWARDS, RECORD_ROUTE, VIA } from '../../src/sip/message/header-id.ts';
import { FakeMediaRelay } from '../support/fake-media-relay.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type HarnessOptions, ProxyHarness, type SentMessage } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';

const carol = '198.51.100.10:5060';
const bob = '198.51.100.20:5060';

interface Call {
  readonly harness: ProxyHarness;
  /** A request of carol within the dialog. */
  request(method: string, options?: { branch?: string; cseq?: number; body?: string }): string;
}

/** Carol has called bob, and the transactions of that are over. */
function call(options: HarnessOptions = {}, offer = ''): Call {
  const harness = new ProxyHarness(options);
  harness.bind('bob', `sip:bob@${bob}`, bob);
  harness.receive(requestText({ body: offer }), carol);
  const invite = harness.take().at(-1)!;
  harness.receive(responseText(invite.text, { status: 200, contact: `<sip:bob@${bob}>`, body: offer }), bob);
  const routes = harness.take().at(-1)!.message.values(RECORD_ROUTE);
  harness.clock.advance(32_500);
  harness.take();
  assert.equal(harness.layer.serverTransactions + harness.layer.clientTransactions, 0);
  return {
    harness,
    request: (method, { branch = `z9hG4bK${method}`, cseq = 2, body = '' } = {}) =>
      requestText({
        method,
        branch,
        cseq,
        body,
        uri: `sip:bob@${bob}`,
        to: '<sip:bob@example.com>;tag=callee',
        headers: routes.map((route) => `Route: ${route}`),
      }),
  };
}

function assertNothingKept({ layer }: ProxyHarness): void {
  assert.equal(layer.serverTransactions, 0);
  assert.equal(layer.clientTransactions, 0);
  assert.equal(layer.pendingTimers, 0);
}

/** Sends it, and returns how it left. */
function forwarded({ harness }: Call, text: string): SentMessage {
  harness.receive(text, carol);
  const [sent, ...rest] = harness.take();
  assert.deepEqual(rest, []);
  assert.deepEqual(`${sent!.destination.address}:${sent!.destination.port}`, bob);
  return sent!;
}

describe('a request within a dialog that leaves nothing to remember', () => {
  for (const method of ['BYE', 'INFO', 'NOTIFY', 'MESSAGE', 'OPTIONS', 'UPDATE', 'STRANGE']) {
    test(`${method} goes on without a transaction`, () => {
      const each = call();
      const { message } = forwarded(each, each.request(method));
      assertNothingKept(each.harness);
      assert.equal(message.method, method);
      assert.equal(message.value(MAX_FORWARDS), '69');
      assert.match(message.value(VIA)!, /^SIP\/2\.0\/UDP 203\.0\.113\.5:5060;rport;branch=z9hG4bK\S+\.\d+$/);
      assert.match(message.values(VIA)[1]!, /;rport=5060;branch=z9hG4bK\w+;received=198\.51\.100\.10$/);
    });
  }

  for (const method of ['INVITE', 'SUBSCRIBE', 'REFER']) {
    test(`${method} has a transaction: it may open a dialog or change one`, () => {
      const { harness, request } = call();
      harness.receive(request(method), carol);
      assert.equal(harness.layer.serverTransactions, 1);
    });
  }

  test('each copy leaves with the same branch, another request with another', () => {
    const each = call();
    const bye = forwarded(each, each.request('BYE'));
    assert.equal(forwarded(each, each.request('BYE')).text, bye.text);
    const other = forwarded(each, each.request('BYE', { branch: 'z9hG4bKother', cseq: 3 }));
    assert.notEqual(other.message.via!.branch, bye.message.via!.branch);
  });

  test('the response goes back by the Via, each time that it comes', () => {
    const each = call();
    const bye = forwarded(each, each.request('BYE'));
    for (const status of [100, 200, 200]) {
      each.harness.receive(responseText(bye.text, { status }), bob);
      const [sent, ...rest] = each.harness.take();
      assert.deepEqual(rest, []);
      assert.equal(sent!.message.status, status);
      assert.equal(sent!.message.count(VIA), 1);
      assert.deepEqual(sent!.destination, { address: '198.51.100.10', port: 5060 });
    }
    assert.equal(each.harness.layer.counters.strayResponses, 0);
    assertNothingKept(each.harness);
  });

  test('also where both hops stand in one line', () => {
    const each = call();
    const bye = forwarded(each, each.request('BYE'));
    const ok = responseText(bye.text, { status: 200 }).replace(/\r\nVia: (?=SIP\/2\.0\/UDP 198)/, ', ');
    each.harness.receive(ok, bob);
    const [sent] = each.harness.take();
    assert.match(sent!.text, /^SIP\/2\.0 200 Reason\r\nVia: +SIP\/2\.0\/UDP 198\.51\.100\.10:5060;/);
  });

  test('to where the request came from, whatever port its Via names', () => {
    const each = call();
    const text = each
      .request('BYE')
      .replace(';rport', '')
      .replace('UDP 198.51.100.10:5060', 'UDP phone.invalid:5099');
    const bye = forwarded(each, text);
    each.harness.receive(responseText(bye.text, { status: 200 }), bob);
    assert.deepEqual(each.harness.take()[0]!.destination, { address: '198.51.100.10', port: 5099 });
  });

  test('a response that was changed in what it is forwarded by goes nowhere', () => {
    const each = call();
    const bye = forwarded(each, each.request('BYE'));
    const ok = responseText(bye.text, { status: 200 });
    const forged = [
      ok.replace('received=198.51.100.10', 'received=192.0.2.66'),
      ok.replace('rport=5060', 'rport=5061'),
      ok.replace('branch=z9hG4bKBYE', 'branch=z9hG4bKother'),
      ok.replace('Call-ID: call-1@test', 'Call-ID: call-2@test'),
      ok.replace('tag=callee', 'tag=another'),
      ok.replace('2 BYE', '3 BYE'),
      ok.replace('2 BYE', '2 INFO'),
      ok.replace(/(branch=z9hG4bKs[\w-]{11})0/, '$11'),
      ok.replace(/\r\nVia: SIP\/2\.0\/UDP 198[^\r]*/, ''),
      ok.replace(/branch=z9hG4bKs[\w-]{11}/, 'branch=z9hG4bKs'),
    ];
    for (const text of forged) {
      assert.notEqual(text, ok);
      each.harness.receive(text, bob);
      assert.deepEqual(each.harness.take(), []);
    }
    assert.equal(each.harness.layer.counters.strayResponses, forged.length);
  });

  test('a stranger who writes what is sealed into his branch proves no other dialog', () => {
    const each = call();
    const branch = 'z9hG4bKx 0 7 BYE call-9@test other-tag';
    const bye = forwarded(each, each.request('BYE', { branch }));
    const ok = responseText(bye.text, { status: 200 });
    each.harness.receive(ok, bob);
    assert.equal(each.harness.take().length, 1);
    const forged = ok
      .replace(branch, 'z9hG4bKx')
      .replace('2 BYE', '7 BYE')
      .replace('Call-ID: call-1@test', 'Call-ID: call-9@test')
      .replace('tag=caller', 'tag=other-tag')
      .replace('tag=callee', 'tag=0 2 BYE call-1@test caller callee');
    each.harness.receive(forged, bob);
    assert.deepEqual(each.harness.take(), []);
  });

  test('what is too long to be looked through for each stranger takes a transaction, and its response none', () => {
    const each = call();
    const branch = `z9hG4bK${'x'.repeat(1000)}`;
    each.harness.receive(each.request('BYE', { branch }), carol);
    assert.equal(each.harness.layer.serverTransactions, 1);
    assert.equal(each.harness.layer.clientTransactions, 1);
    const bye = each.harness.take()[0]!;
    each.harness.receive(responseText(bye.text, { status: 200 }), bob);
    assert.equal(each.harness.take()[0]!.message.status, 200);
    const text = responseText(bye.text, { status: 200 }).replace(
      /branch=z9hG4bK\w+\./,
      'branch=z9hG4bKsAAAAAAAAAAA0.',
    );
    each.harness.receive(text, bob);
    assert.deepEqual(each.harness.take(), []);
  });

  test('a Call-ID that nobody would write proves no dialog', () => {
    const cookies = new DialogCookies('a secret of the test');
    const nothing = { callerFlow: undefined, calleeFlow: undefined, pass: 0 };
    for (const [length, proved] of [
      [3000, true],
      [5000, false],
    ] as const) {
      const callId = 'x'.repeat(length);
      const params = routeParams(cookies.params(callId, 'caller', nothing));
      assert.equal(cookies.verify(params, callId, 'caller', 'callee') !== undefined, proved);
    }
  });

  test('a Via of many parameters takes one as well', () => {
    const each = call();
    const long = (length: number): string => `;note=${'x'.repeat(length)};branch=z9hG4bKBYE`;
    each.harness.receive(each.request('BYE').replace(';branch=z9hG4bKBYE', long(1900)), carol);
    assert.equal(each.harness.layer.serverTransactions, 0);
    each.harness.receive(responseText(each.harness.take()[0]!.text, { status: 200 }), bob);
    assert.equal(each.harness.take()[0]!.message.status, 200);
    each.harness.receive(each.request('BYE').replace(';branch=z9hG4bKBYE', long(2000)), carol);
    assert.equal(each.harness.layer.serverTransactions, 1);
  });

  test('a response that comes twenty minutes later goes nowhere: the address may be of somebody else by now', () => {
    const each = call();
    const bye = forwarded(each, each.request('BYE'));
    const ok = responseText(bye.text, { status: 200 });
    for (const [after, count] of [
      [32_000, 1],
      [568_000, 1],
      [600_000, 0],
      [3_600_000, 0],
    ] as const) {
      each.harness.clock.advance(after);
      each.harness.receive(ok, bob);
      assert.equal(each.harness.take().length, count, `${after} ms later`);
    }
  });

  test('a response goes back after a restart', () => {
    const each = call();
    const bye = forwarded(each, each.request('BYE'));
    const restarted = new ProxyHarness();
    restarted.receive(responseText(bye.text, { status: 200 }), bob);
    assert.deepEqual(restarted.take()[0]!.destination, { address: '198.51.100.10', port: 5060 });
  });

  test('a 503 becomes a 500: it speaks of its sender, not of us', () => {
    const each = call();
    const bye = forwarded(each, each.request('BYE'));
    each.harness.receive(responseText(bye.text, { status: 503, reason: 'Service Unavailable' }), bob);
    const [sent, ...rest] = each.harness.take();
    assert.deepEqual(rest, []);
    assert.match(sent!.text, /^SIP\/2\.0 500 Server Internal Error\r\nVia: SIP\/2\.0\/UDP 198/);
    assert.equal(sent!.message.count(VIA), 1);
  });

  test('a port 0 in the Via is the usual one', () => {
    const each = call();
    const text = each.request('BYE').replace(';rport', '').replace('198.51.100.10:5060;', '198.51.100.10:0;');
    const bye = forwarded(each, text);
    each.harness.receive(responseText(bye.text, { status: 200 }), bob);
    assert.deepEqual(each.harness.take()[0]!.destination, { address: '198.51.100.10', port: 5060 });
  });

  for (const [name, ours, caller, callee] of [
    ['global', '2001:db8:5::5', '2001:db8:10::10', '2001:db8:20::20'],
    ['link-local', 'fe80::5', 'fe80::10%eth0', 'fe80::20%eth0'],
  ] as const) {
    test(`also between ${name} IPv6 addresses`, () => {
      const harness = new ProxyHarness({ listeners: [`udp:[${ours}]:5060`] });
      const [from, to] = [`[${caller}]:5060`, `[${callee}]:5060`];
      harness.bind('bob', `sip:bob@${to.replace('%eth0', '')}`, to);
      const via = from.replace('%eth0', '');
      harness.receive(requestText({ via, contact: `<sip:carol@${via}>` }), from);
      harness.receive(responseText(harness.take().at(-1)!.text, { status: 200 }), to);
      const routes = harness.take().at(-1)!.message.values(RECORD_ROUTE);
      harness.clock.advance(32_500);
      for (const rport of [true, false]) {
        const bye = requestText({
          method: 'BYE',
          branch: `z9hG4bK${rport}`,
          cseq: 2,
          via,
          to: '<sip:bob@example.com>;tag=callee',
          uri: `sip:bob@${to.replace('%eth0', '')}`,
          headers: routes.map((route) => `Route: ${route}`),
        });
        harness.receive(rport ? bye : bye.replace(';rport', ''), from);
        const [sent] = harness.take();
        assert.equal(sent!.message.method, 'BYE');
        assert.equal(harness.layer.serverTransactions, 0);
        assert.deepEqual(sent!.destination, { address: callee, port: 5060 });
        harness.receive(responseText(sent!.text, { status: 200 }), to);
        assert.deepEqual(harness.take()[0]?.destination, { address: caller, port: 5060 });
      }
    });
  }

  test('what comes round unchanged is a loop still', () => {
    const each = call();
    const bye = forwarded(each, each.request('BYE'));
    const round = bye.text.replace('\r\n', `\r\n${/Route: .*\r\n/.exec(each.request('BYE'))![0]}`);
    each.harness.receive(round, bob);
    // It bears the To tag of bob, and comes from him.
    const [sent] = each.harness.take();
    assert.equal(sent!.message.status, 482);
  });

  test('one that may go no further is refused, and one that nothing proves is asked who he is', () => {
    const { harness, request } = call();
    harness.receive(request('BYE').replace('Max-Forwards: 70', 'Max-Forwards: 0'), carol);
    assert.equal(harness.take()[0]!.message.status, 483);
    harness.receive(request('BYE', { branch: 'z9hG4bKx' }).replace(';ck=', ';ck=x'), carol);
    assert.equal(harness.take()[0]!.message.status, 407);
  });

  test('a name that DNS has to be asked for takes a transaction, since its answers change', () => {
    const { harness, request } = call();
    const text = request('BYE')
      .replace(/;bf=[^>]*/, '')
      .replaceAll(`sip:bob@${bob}`, 'sip:bob@phone.example');
    harness.receive(text, carol);
    assert.equal(harness.layer.serverTransactions, 1);
  });

  test('two sockets take a transaction: a response does not say which one its request came by', () => {
    const listeners = ['udp:10.0.0.15:5060 as 203.0.113.5:5060', 'udp:10.0.1.15:5062 as 203.0.113.7:5062'];
    const harness = new ProxyHarness({ listeners });
    harness.bind('bob', `sip:bob@${bob}`, bob, { at: 1 });
    harness.receive(requestText(), carol);
    harness.receive(responseText(harness.take().at(-1)!.text, { status: 200 }), bob, 1);
    const routes = harness.take().at(-1)!.message.values(RECORD_ROUTE).reverse();
    const to = '<sip:bob@example.com>;tag=callee';
    const headers = routes.map((route) => `Route: ${route}`);
    const before = harness.layer.serverTransactions;
    harness.receive(requestText({ method: 'BYE', cseq: 2, to, headers, uri: `sip:bob@${bob}` }), carol);
    assert.equal(harness.layer.serverTransactions, before + 1);
    assert.equal(harness.take()[0]!.transport.listener.bound.address, '10.0.1.15');
  });
});

describe('a call whose BYE passes', () => {
  const counted = (): Call & { readonly calls: CallCount } => {
    const calls = new CallCount(new ManualClock());
    return Object.assign(call({ calls }), { calls });
  };

  /** A request of bob within the dialog. */
  const ofBob = ({ request }: Call, method: string): string =>
    requestText({
      method,
      uri: `sip:carol@${carol}`,
      via: bob,
      branch: 'z9hG4bKbob',
      from: '<sip:bob@example.com>;tag=callee',
      to: '<sip:carol@elsewhere.example>;tag=caller',
      headers: [/^Route: .*$/m.exec(request('BYE'))![0]],
    });

  for (const status of [200, 481, 408, 500]) {
    test(`ends with the ${status} to it`, () => {
      const each = counted();
      const bye = forwarded(each, each.request('BYE'));
      each.harness.receive(responseText(bye.text, { status: 100 }), bob);
      assert.equal(each.calls.calls, 1);
      each.harness.receive(responseText(bye.text, { status }), bob);
      assert.equal(each.calls.calls, 0);
    });
  }

  for (const status of [401, 407]) {
    test(`goes on with a ${status}: it only has to be tried again`, () => {
      const each = counted();
      const bye = forwarded(each, each.request('BYE'));
      each.harness.receive(responseText(bye.text, { status }), bob);
      assert.equal(each.harness.take()[0]!.message.status, status);
      assert.equal(each.calls.calls, 1);
      const again = forwarded(each, each.request('BYE', { branch: 'z9hG4bKagain', cseq: 3 }));
      each.harness.receive(responseText(again.text, { status: 200 }), bob);
      assert.equal(each.calls.calls, 0);
    });
  }

  test('ends after 32 seconds without an answer, counted from the first copy', () => {
    const clock = new ManualClock();
    const calls = new CallCount(clock);
    calls.began('one', 'bob');
    calls.ending('one', 'alice', 'bob');
    clock.advance(16_000);
    calls.ending('one', 'alice', 'bob');
    assert.ok(calls.has('one\nbob'));
    assert.deepEqual([...calls.keys()], ['one\nbob']);
    clock.advance(15_999);
    assert.equal(calls.calls, 1);
    clock.advance(1);
    assert.equal(calls.calls, 0);
  });

  test('a re-INVITE whose answer crosses the BYE begins no call', () => {
    for (const [asking, answering] of [
      ['alice', 'bob'],
      ['bob', 'alice'],
    ] as const) {
      for (const answered of [true, false]) {
        const clock = new ManualClock();
        const calls = new CallCount(clock);
        calls.began('one', 'bob', 'alice');
        calls.ending('one', 'alice', 'bob');
        calls.began('one', answering, asking);
        assert.equal(calls.calls, 1);
        if (answered) calls.ended('one', 'alice', 'bob');
        else clock.advance(32_000);
        assert.equal(calls.calls, 0);
      }
    }
  });

  test('also where the other side asks and the BYE is not answered', () => {
    const clock = new ManualClock();
    const calls = new CallCount(clock);
    const each = call({ calls });
    each.harness.receive(ofBob(each, 'INVITE'), bob);
    const [again] = each.harness.take();
    forwarded(each, each.request('BYE'));
    each.harness.receive(responseText(again!.text, { status: 200 }), carol);
    assert.equal(each.harness.take()[0]!.message.status, 200);
    assert.equal(calls.calls, 1);
    clock.advance(32_000);
    assert.equal(calls.calls, 0);
  });

  test('is over also for those who only ask for it by its name', () => {
    const clock = new ManualClock();
    const calls = new CallCount(clock);
    calls.began('one', 'bob');
    calls.ending('one', 'alice', 'bob');
    clock.advance(32_000);
    assert.equal(calls.has('one\nbob'), false);
    calls.began('two', 'bob');
    calls.ending('two', 'alice', 'bob');
    clock.advance(32_000);
    assert.deepEqual([...calls.keys()], []);
  });

  test('also where both sides end it at once', () => {
    const each = counted();
    const bye = forwarded(each, each.request('BYE'));
    each.harness.receive(ofBob(each, 'BYE'), bob);
    const [crossed] = each.harness.take();
    assert.equal(crossed!.message.method, 'BYE');
    assert.equal(`${crossed!.destination.address}:${crossed!.destination.port}`, carol);
    assert.equal(each.calls.calls, 1);
    each.harness.receive(responseText(bye.text, { status: 481 }), bob);
    each.harness.receive(responseText(crossed!.text, { status: 481 }), carol);
    assert.deepEqual(
      each.harness.take().map(({ message, destination }) => [message.status, destination.address]),
      [
        [481, '198.51.100.10'],
        [481, '198.51.100.20'],
      ],
    );
    assert.equal(each.calls.calls, 0);
    assertNothingKept(each.harness);
  });

  test('an answer that comes again ends no other call', () => {
    const each = counted();
    const bye = forwarded(each, each.request('BYE'));
    each.calls.began('other', 'callee');
    for (const _ of [1, 2]) each.harness.receive(responseText(bye.text, { status: 200 }), bob);
    assert.deepEqual([...each.calls.keys()], ['other\ncallee']);
  });
});

describe('with media', () => {
  const offer = [
    'v=0',
    'o=- 1 1 IN IP4 198.51.100.10',
    's=-',
    'c=IN IP4 198.51.100.10',
    't=0 0',
    'm=audio 4000 RTP/AVP 0',
    '',
  ].join('\r\n');
  function talking(): Call & { readonly relay: FakeMediaRelay; readonly anchor: () => MediaAnchor } {
    const relay = new FakeMediaRelay();
    let anchor: MediaAnchor | undefined;
    const each = call(
      {
        media: (identity) => {
          anchor = new MediaAnchor(relay as MediaRelay, identity);
          return anchor;
        },
      },
      offer,
    );
    assert.equal(anchor!.calls, 1);
    return Object.assign(each, { relay, anchor: () => anchor! });
  }

  for (const method of ['UPDATE', 'PRACK', 'INFO']) {
    test(`${method} has a transaction: what it brings counts once`, () => {
      const { harness, request } = talking();
      harness.receive(request(method), carol);
      assert.equal(harness.layer.serverTransactions, 1);
    });
  }

  test('a BYE passes, and the ports come back with its answer', () => {
    const each = talking();
    const bye = forwarded(each, each.request('BYE'));
    assert.equal(each.harness.layer.serverTransactions, 0);
    assert.equal(each.anchor().calls, 1);
    each.harness.receive(responseText(bye.text, { status: 200 }), bob);
    assert.equal(each.anchor().calls, 0);
    assertNothingKept(each.harness);
  });

  test('or 32 seconds after the first of its copies without one', () => {
    const each = talking();
    forwarded(each, each.request('BYE'));
    each.harness.clock.advance(16_000);
    forwarded(each, each.request('BYE'));
    each.harness.clock.advance(15_999);
    assert.equal(each.anchor().calls, 1);
    each.harness.clock.advance(1);
    assert.equal(each.anchor().calls, 0);
    assertNothingKept(each.harness);
  });

  test('they stay where the BYE has to be tried again', () => {
    const each = talking();
    const bye = forwarded(each, each.request('BYE'));
    each.harness.receive(responseText(bye.text, { status: 407 }), bob);
    each.harness.clock.advance(100_000);
    assert.equal(each.anchor().calls, 1);
    assertNothingKept(each.harness);
  });
});
