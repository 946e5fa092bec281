import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Identity } from '../../src/identity/identity.ts';
import type { Listener } from '../../src/net/listener.ts';

const listener = (address: string, advertised?: string): Listener => ({
  transport: 'udp',
  bound: { address, port: 5060 },
  advertised: advertised === undefined ? undefined : { address: advertised, port: 5060 },
});

test('a Record-Route names its listener by bound and by advertised address', () => {
  const first = listener('10.0.0.15', '203.0.113.5');
  const second = listener('2001:db8::1');
  const identity = new Identity({ listeners: [first, second], localNetworks: ['10.0.0.0/16'] });
  assert.equal(identity.listenerNamed('10.0.0.15', 5060), first);
  assert.equal(identity.listenerNamed('203.0.113.5', 5060), first);
  assert.equal(identity.listenerNamed('[2001:db8::1]', 5060), second);
  assert.equal(identity.listenerNamed('203.0.113.5', 5061), undefined);
  assert.equal(identity.listenerNamed('203.0.113.6', 5060), undefined);
});

test('a name that two listeners share names none of them', () => {
  const first = listener('10.0.0.15', '203.0.113.5');
  const second = listener('10.0.0.16', '203.0.113.5');
  const identity = new Identity({ listeners: [first, second], localNetworks: ['10.0.0.0/16'] });
  assert.equal(identity.listenerNamed('203.0.113.5', 5060), undefined);
  assert.equal(identity.listenerNamed('10.0.0.16', 5060), second);
});

test('a former name leads to the same socket, until another has it; one that retires keeps its names', () => {
  const first = listener('10.0.0.15', '203.0.113.5');
  const second = listener('10.0.0.16', '203.0.113.6');
  const identity = new Identity({ listeners: [first, second], localNetworks: [] });
  first.advertised = { address: '203.0.113.9', port: 5060 };
  identity.update([first, second], []);
  assert.equal(identity.listenerNamed('203.0.113.9', 5060), first);
  assert.equal(identity.listenerNamed('203.0.113.5', 5060), first, 'the dialogs of before name it so');
  second.advertised = { address: '203.0.113.5', port: 5060 };
  identity.update([first, second], []);
  assert.equal(identity.listenerNamed('203.0.113.5', 5060), second);
  identity.update([second], [], new Map(), [first]);
  assert.equal(identity.listenerNamed('203.0.113.9', 5060), first);
  assert.equal(identity.listenerFor(second, '198.51.100.1'), second, 'nothing else leaves by it');
  identity.update([second], []);
  assert.equal(identity.listenerNamed('203.0.113.9', 5060), undefined);
  assert.ok(identity.isSelf('203.0.113.9', 5060));
});
