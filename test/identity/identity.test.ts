import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Identity, type IdentityOptions } from '../../src/identity/identity.ts';
import type { Listener, TransportName } from '../../src/net/listener.ts';

const listener = (
  address: string,
  advertised?: string,
  transport: TransportName = 'udp',
  port = 5060,
): Listener => ({
  transport,
  bound: { address, port },
  advertised: advertised === undefined ? undefined : { address: advertised, port: 5070 },
});

const make = (listeners: Listener[], options: Partial<IdentityOptions> = {}): Identity =>
  new Identity({ listeners, localNetworks: ['10.0.0.0/16', 'fd00::/8'], ...options });

test('neighbours see the bound address, the internet the advertised one, on one socket', () => {
  const edge = listener('10.0.0.15', '203.0.113.5');
  const identity = make([edge]);
  const table: [destination: string, host: string, port: number][] = [
    ['10.0.200.7', '10.0.0.15', 5060],
    ['::ffff:10.0.200.7', '10.0.0.15', 5060],
    ['127.0.0.1', '10.0.0.15', 5060],
    ['10.1.0.7', '203.0.113.5', 5070],
    ['192.0.2.9', '203.0.113.5', 5070],
    ['169.254.1.1', '203.0.113.5', 5070],
  ];
  for (const [destination, host, port] of table) {
    assert.deepEqual(identity.towards(edge, destination), { host, port }, destination);
    assert.deepEqual(identity.towards(edge, destination), { host, port }, `${destination} again`);
  }
  assert.ok(identity.isLocal('10.0.0.1'));
  assert.ok(!identity.isLocal('192.0.2.9'));
});

test('per transaction goes before per interface, that before global, that before bound', () => {
  const [plain, mapped] = [listener('10.0.0.15'), listener('10.0.0.16', '203.0.113.5')];
  const both = make([plain, mapped], { globalAdvertise: 'sip.example.com' });
  const internet = '192.0.2.9';
  assert.deepEqual(make([plain]).towards(plain, internet), { host: '10.0.0.15', port: 5060 });
  assert.deepEqual(both.towards(plain, internet), { host: 'sip.example.com', port: 5060 });
  assert.deepEqual(both.towards(mapped, internet), { host: '203.0.113.5', port: 5070 });
  assert.deepEqual(both.towards(mapped, internet, '198.51.100.1'), { host: '198.51.100.1', port: 5060 });
  assert.deepEqual(both.towards(mapped, '10.0.0.9', 'pbx.example.com:5099'), {
    host: 'pbx.example.com',
    port: 5099,
  });
  assert.throws(() => both.towards(mapped, internet, 'no host'), { code: 'identity.advertise-syntax' });
});

test('a global address of the other family is not shown', () => {
  const v6 = listener('2001:db8::15');
  const identity = make([v6], { globalAdvertise: '203.0.113.5' });
  assert.deepEqual(identity.towards(v6, '2001:db8:ffff::1'), { host: '[2001:db8::15]', port: 5060 });
});

test('a link-local neighbour of a link-local listener sees where it is bound', () => {
  const link = listener('169.254.7.7', '203.0.113.5');
  assert.equal(make([link]).towards(link, '169.254.1.1').host, '169.254.7.7');
});

test('whatever was told is ours when it comes back', () => {
  const [edge, plain] = [
    listener('10.0.0.15', '203.0.113.5'),
    listener('2001:db8::15', undefined, 'tcp', 5080),
  ];
  const identity = make([edge, plain], { aliases: ['old.example.com'], domains: ['example.org'] });
  const known: [string, number | undefined][] = [
    ['10.0.0.15', 5060],
    ['203.0.113.5', 5070],
    // Either port with either address: behind a port mapping peers mix them.
    ['203.0.113.5', 5060],
    ['10.0.0.15', 5070],
    ['[2001:db8::15]', 5080],
    ['old.example.com', 9],
    ['example.org', undefined],
  ];
  for (const [host, port] of known) assert.ok(identity.isSelf(host, port), `${host}:${port}`);
  assert.ok(!identity.isSelf('198.51.100.1', 5099));
  identity.towards(edge, '192.0.2.9', '198.51.100.1:5099');
  assert.ok(identity.isSelf('198.51.100.1', 5099));
});

test('after a new public address the old one is still ours, and the new one is shown at once', () => {
  const edge = listener('10.0.0.15', '203.0.113.5');
  const identity = make([edge]);
  assert.equal(identity.towards(edge, '192.0.2.9').host, '203.0.113.5');
  edge.advertised = { address: '203.0.113.99', port: 5070 };
  assert.equal(identity.towards(edge, '192.0.2.9').host, '203.0.113.99');
  assert.ok(identity.isSelf('203.0.113.99', 5070));
  assert.ok(identity.isSelf('203.0.113.5', 5070));
});

test('an update brings listeners and networks, and forgets nobody', () => {
  const [old, now] = [listener('10.0.0.15', '203.0.113.5'), listener('10.7.0.15')];
  const identity = make([old]);
  assert.ok(!identity.isLocal('10.7.0.1'));
  identity.update([now], ['10.7.0.0/16']);
  assert.ok(identity.isLocal('10.7.0.1'));
  assert.ok(!identity.isLocal('10.0.0.1'));
  assert.ok(identity.isSelf('10.7.0.15', 5060));
  assert.ok(identity.isSelf('203.0.113.5', 5070));
  assert.equal(
    identity.towards(old, '10.7.0.1').host,
    '10.0.0.15',
    'a retired listener still serves its dialogs',
  );
});

test('an update that is wrong changes nothing', () => {
  const edge = listener('10.0.0.15', '203.0.113.5');
  const identity = make([edge]);
  assert.throws(() => identity.update([edge], ['vpc']), { code: 'identity.local-network' });
  assert.throws(() => identity.update([listener('10.0.0.9', undefined, 'udp', 0)], []), {
    code: 'identity.port-unknown',
  });
  assert.ok(identity.isLocal('10.0.0.1'));
});

test('the socket that faces the destination sends', () => {
  const front = listener('10.0.0.15', '203.0.113.5');
  const back = listener('10.0.1.15');
  const stream = listener('10.0.1.15', undefined, 'tcp');
  const v6 = listener('2001:db8::15');
  const loopback = listener('127.0.0.1');
  const identity = make([loopback, front, back, stream, v6], {
    subnets: new Map([
      ['10.0.0.15', ['10.0.0.0/24']],
      ['10.0.1.15', ['10.0.1.0/24']],
    ]),
  });
  const table: [what: string, from: Listener, destination: string, expected: Listener][] = [
    ['a neighbour of the other interface', front, '10.0.1.7', back],
    ['a neighbour of the same interface', front, '10.0.0.7', front],
    ['elsewhere in the local networks', back, '10.0.9.7', back],
    ['the internet from the private side', back, '192.0.2.9', front],
    ['the internet from the public side', front, '192.0.2.9', front],
    ['the internet by a transport that has no public side', stream, '192.0.2.9', stream],
    ['a neighbour by TCP', stream, '10.0.0.7', stream],
    ['the other family', front, '2001:db8:ffff::1', v6],
    ['the other family where no socket has it', stream, '2001:db8:ffff::1', stream],
    ['this machine', front, '127.0.0.1', loopback],
    ['out of this machine', loopback, '192.0.2.9', front],
    ['out of this machine to a neighbour', loopback, '10.0.1.7', back],
    ['out of this machine into the local networks', loopback, '10.0.9.7', front],
  ];
  for (const [what, from, destination, expected] of table) {
    assert.equal(identity.listenerFor(from, destination), expected, what);
  }
});

test('two interfaces in one subnet: the one that received answers', () => {
  const [first, second] = [listener('10.0.0.15', '203.0.113.5'), listener('10.0.0.16', '203.0.113.6')];
  const identity = make([first, second], {
    subnets: new Map([
      ['10.0.0.15', ['10.0.0.0/24']],
      ['10.0.0.16', ['10.0.0.0/24']],
    ]),
  });
  assert.equal(identity.listenerFor(second, '10.0.0.99'), second);
  assert.equal(identity.listenerFor(second, '192.0.2.9'), second);
});

test('an address that is itself public needs no other to go out', () => {
  const [mapped, own] = [listener('10.0.0.15', '203.0.113.5'), listener('198.51.100.7')];
  assert.equal(make([mapped, own]).listenerFor(own, '192.0.2.9'), own);
});

test('thousands of destinations are remembered and forgotten without harm', () => {
  const edge = listener('10.0.0.15', '203.0.113.5');
  const identity = make([edge]);
  for (let index = 0; index < 20_000; index++) {
    const host = `${index >> 8}.${index & 255}`;
    assert.equal(identity.towards(edge, `10.0.${host}`).host, '10.0.0.15');
    assert.equal(identity.towards(edge, `192.0.${host}`).host, '203.0.113.5');
  }
});

test('a repeated question makes nothing new', () => {
  const edge = listener('10.0.0.15', '203.0.113.5');
  const identity = make([edge]);
  assert.equal(identity.towards(edge, '192.0.2.9'), identity.towards(edge, '192.0.2.10'));
  assert.equal(identity.towards(edge, '10.0.0.9'), identity.towards(edge, '10.0.0.10'));
  assert.equal(
    identity.towards(edge, '10.0.0.9', 'a.example'),
    identity.towards(edge, '192.0.2.9', 'a.example'),
  );
});
