import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RECORD_ROUTE, ROUTE, VIA } from '../../src/sip/message/header-id.ts';
import { ProxyHarness, type SentMessage } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';

interface Party {
  /** `address:port` that its datagrams come from. */
  readonly source: string;
  readonly contact: string;
  /** The listener that it talks to. */
  readonly at?: number;
}

interface Dialog {
  readonly harness: ProxyHarness;
  readonly callId: string;
  readonly caller: Party;
  readonly callee: Party;
  readonly inviteAtCallee: SentMessage;
  readonly okAtCaller: SentMessage;
}

/** A call that is answered: caller → bob. */
function establish(harness: ProxyHarness, caller: Party, callee: Party, bobContact = callee.contact): Dialog {
  harness.bind('bob', bobContact, callee.source, { at: callee.at ?? 0 });
  const callId = 'dialog@test';
  harness.receive(
    requestText({ callId, contact: `<${caller.contact}>`, via: caller.contact.replace(/^sip:\w+@/, '') }),
    caller.source,
    caller.at,
  );
  const inviteAtCallee = harness.take().at(-1)!;
  assert.equal(inviteAtCallee.message.method, 'INVITE');
  for (const status of [180, 200]) {
    harness.receive(
      responseText(inviteAtCallee.text, { status, contact: `<${callee.contact}>` }),
      callee.source,
      callee.at,
    );
  }
  const [ringing, okAtCaller] = harness.take();
  assert.equal(ringing!.message.status, 180);
  assert.equal(okAtCaller!.message.status, 200);
  assert.equal(okAtCaller!.message.count(VIA), 1);
  return { harness, callId, caller, callee, inviteAtCallee, okAtCaller: okAtCaller! };
}

/** An in-dialog request as an endpoint writes it from what it was shown. */
function inDialog(
  { callId, caller, callee, okAtCaller, inviteAtCallee }: Dialog,
  from: 'caller' | 'callee',
  method: string,
): string {
  const byCaller = from === 'caller';
  const shown = (byCaller ? okAtCaller : inviteAtCallee).message
    .values(RECORD_ROUTE)
    .flatMap((line) => line.split(/,\s*/));
  const routes = byCaller ? shown.reverse() : shown;
  const tagged = ['<sip:carol@elsewhere.example>;tag=caller', '<sip:bob@example.com>;tag=callee'] as const;
  return requestText({
    method,
    callId,
    cseq: 2,
    branch: `z9hG4bK${method}${from}`,
    uri: byCaller ? callee.contact : caller.contact,
    via: (byCaller ? caller : callee).source,
    from: byCaller ? tagged[0] : tagged[1],
    to: byCaller ? tagged[1] : tagged[0],
    contact: undefined,
    headers: routes.map((route) => `Route: ${route}`),
  });
}

const internet: Party = { source: '198.51.100.10:5060', contact: 'sip:carol@198.51.100.10:5060' };
const internetBob: Party = { source: '198.51.100.20:5060', contact: 'sip:bob@198.51.100.20:5060' };
const vpc: Party = { source: '10.0.0.77:5060', contact: 'sip:carol@10.0.0.77:5060' };
const vpcBob: Party = { source: '10.0.0.78:5060', contact: 'sip:bob@10.0.0.78:5060' };
const home: Party = { source: '198.51.100.30:40001', contact: 'sip:carol@192.168.1.10:5060' };
const homeBob: Party = { source: '198.51.100.30:40002', contact: 'sip:bob@192.168.1.11:5060' };

const sides: [string, Party, Party][] = [
  ['internet to internet', internet, internetBob],
  ['internet to VPC', internet, vpcBob],
  ['VPC to internet', vpc, internetBob],
  ['VPC to VPC', vpc, vpcBob],
  ['home NAT to internet', home, internetBob],
  ['internet to home NAT', internet, homeBob],
  ['home NAT to home NAT', home, homeBob],
  ['VPC to home NAT', vpc, homeBob],
];

for (const [name, caller, callee] of sides) {
  describe(`a call from ${name}`, () => {
    for (const from of ['caller', 'callee'] as const) {
      for (const method of ['ACK', 'BYE', 'INVITE', 'INFO']) {
        if (method === 'ACK' && from === 'callee') continue;
        test(`${method} of the ${from} reaches the other side where it really is`, () => {
          const dialog = establish(new ProxyHarness(), caller, callee);
          dialog.harness.receive(
            inDialog(dialog, from, method),
            (from === 'caller' ? caller : callee).source,
          );
          const sent = dialog.harness.take().filter(({ message }) => message.isRequest);
          assert.equal(sent.length, 1);
          const target = from === 'caller' ? callee : caller;
          const { address, port } = sent[0]!.destination;
          assert.equal(`${address}:${port}`, target.source);
          assert.equal(sent[0]!.message.requestUri, target.contact);
          assert.equal(sent[0]!.message.count(ROUTE), 0);
          assert.equal(sent[0]!.message.count(RECORD_ROUTE), 0);
        });
      }
    }

    test('shows each side the one identity that is right for it', () => {
      const { harness, inviteAtCallee, okAtCaller } = establish(new ProxyHarness(), caller, callee);
      assert.equal(harness.take().length, 0);
      for (const [party, { text }] of [
        [callee, inviteAtCallee],
        [caller, okAtCaller],
      ] as const) {
        if (party.source.startsWith('10.')) assert.doesNotMatch(text, /203\.0\.113\.5/);
        else assert.doesNotMatch(text, /10\.0\.0\.15/);
      }
    });
  });
}

describe('two sockets', () => {
  const listeners = ['udp:10.0.0.15:5060 as 203.0.113.5:5060', 'udp:10.0.1.15:5062 as 203.0.113.7:5062'];
  const far: Party = { ...internetBob, at: 1 };

  test('get two Record-Routes, the outgoing side on top', () => {
    const { inviteAtCallee } = establish(new ProxyHarness({ listeners }), internet, far);
    assert.deepEqual(
      inviteAtCallee.message.values(RECORD_ROUTE).map((value) => value.replace(/;ck=[^>]*/, '')),
      ['<sip:203.0.113.7:5062;lr;r2=on>', '<sip:203.0.113.5;lr;r2=on>'],
    );
    assert.match(inviteAtCallee.message.value(VIA)!, /203\.0\.113\.7:5062/);
    assert.equal(inviteAtCallee.transport.listener.bound.address, '10.0.1.15');
  });

  for (const from of ['caller', 'callee'] as const) {
    test(`and what came in by one leaves by the other: BYE of the ${from}`, () => {
      const dialog = establish(new ProxyHarness({ listeners }), internet, far);
      const [party, leaves] = from === 'caller' ? [internet, '10.0.1.15'] : [far, '10.0.0.15'];
      dialog.harness.receive(inDialog(dialog, from, 'BYE'), party.source, party.at);
      const [bye] = dialog.harness.take();
      assert.equal(bye!.transport.listener.bound.address, leaves);
      assert.equal(bye!.message.count(ROUTE), 0);
    });
  }

  test('towards a VPC neighbour both are told by their private names, towards the internet by the public ones', () => {
    const { inviteAtCallee, okAtCaller } = establish(new ProxyHarness({ listeners }), vpc, far);
    assert.doesNotMatch(inviteAtCallee.text, /10\.0\.[01]\.15/);
    assert.doesNotMatch(okAtCaller.text, /203\.0\.113/);
    assert.deepEqual(
      okAtCaller.message.values(RECORD_ROUTE).map((value) => value.replace(/;ck=[^>]*/, '')),
      ['<sip:10.0.1.15:5062;lr;r2=on>', '<sip:10.0.0.15;lr;r2=on>'],
    );
  });

  test('a socket that has only a private name is never told to the internet', () => {
    const inside = ['udp:10.0.0.15:5060', 'udp:10.0.1.15:5060 as 203.0.113.7:5060'];
    const dialog = establish(new ProxyHarness({ listeners: inside }), vpc, far);
    assert.doesNotMatch(dialog.inviteAtCallee.text, /10\.0\.[01]\.15/);
    dialog.harness.receive(inDialog(dialog, 'callee', 'BYE'), far.source, 1);
    assert.equal(dialog.harness.take()[0]!.transport.listener.bound.address, '10.0.0.15');
  });
});

describe('the signature in Record-Route', () => {
  test('is bound to the call: with another Call-ID, tag or flow it is worth nothing', () => {
    const dialog = establish(new ProxyHarness(), home, internetBob);
    const bye = inDialog(dialog, 'callee', 'BYE');
    const forged = [
      bye.replace('Call-ID: dialog@test', 'Call-ID: other@test'),
      bye.replace('tag=caller', 'tag=other').replace('tag=callee', 'tag=another'),
      bye.replace(';cf=198.51.100.30:40001', ';cf=192.0.2.66:5060'),
    ];
    forged.forEach((text, n) => {
      dialog.harness.receive(text.replace('branch=z9hG4bK', `branch=z9hG4bK${n}`), internetBob.source);
      const [answer, ...rest] = dialog.harness.take();
      assert.equal(answer!.message.status, 407);
      assert.deepEqual(rest, []);
    });
  });

  test('outlives a restart', () => {
    const dialog = establish(new ProxyHarness(), internet, internetBob);
    const restarted = new ProxyHarness();
    restarted.receive(inDialog(dialog, 'callee', 'BYE'), internetBob.source);
    assert.equal(restarted.take()[0]!.message.method, 'BYE');
  });

  test('an ACK that belongs to no dialog is dropped', () => {
    const harness = new ProxyHarness();
    harness.receive(
      requestText({
        method: 'ACK',
        to: '<sip:bob@example.com>;tag=x',
        headers: ['Route: <sip:203.0.113.5;lr>'],
      }),
      internet.source,
    );
    assert.deepEqual(harness.take(), []);
    assert.equal(harness.counters.strayAcks, 1);
  });
});
