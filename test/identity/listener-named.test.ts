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
