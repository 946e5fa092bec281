import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ListenerNotation,
  parseAdvertised,
  parseListener,
  printListener,
} from '../../src/identity/listener-notation.ts';

const GOOD: [text: string, notation: ListenerNotation, printed: string][] = [
  [
    'udp:10.0.0.15:5060 as 203.0.113.5:5060',
    { transport: 'udp', address: '10.0.0.15', port: 5060, as: { host: '203.0.113.5', port: 5060 } },
    'udp:10.0.0.15:5060 as 203.0.113.5:5060',
  ],
  ['UDP:10.0.0.15', { transport: 'udp', address: '10.0.0.15', port: 5060 }, 'udp:10.0.0.15:5060'],
  ['tls:10.0.0.15', { transport: 'tls', address: '10.0.0.15', port: 5061 }, 'tls:10.0.0.15:5061'],
  [
    '  tcp:10.0.0.15:5080   as   SIP.Example.com  ',
    { transport: 'tcp', address: '10.0.0.15', port: 5080, as: { host: 'sip.example.com' } },
    'tcp:10.0.0.15:5080 as sip.example.com',
  ],
  [
    'udp:[2001:DB8::1] as [2001:db8::2]:5070',
    { transport: 'udp', address: '2001:db8::1', port: 5060, as: { host: '2001:db8::2', port: 5070 } },
    'udp:[2001:db8::1]:5060 as [2001:db8::2]:5070',
  ],
  ['udp:*', { transport: 'udp', address: '*', port: 5060 }, 'udp:*:5060'],
  ['udp:*:5080', { transport: 'udp', address: '*', port: 5080 }, 'udp:*:5080'],
  ['udp:127.0.0.1:0', { transport: 'udp', address: '127.0.0.1', port: 0 }, 'udp:127.0.0.1:0'],
];
for (const [text, notation, printed] of GOOD) {
  test(`"${text}" is read, printed and read again`, () => {
    assert.deepEqual(parseListener(text), notation);
    assert.equal(printListener(notation), printed);
    assert.deepEqual(parseListener(printed), notation);
  });
}

const BAD: [text: string, code: string, words: RegExp][] = [
  ['', 'identity.listener-syntax', /came ""/],
  ['10.0.0.15:5060', 'identity.listener-syntax', /Write for instance udp:10\.0\.0\.15:5060\./],
  ['sctp:10.0.0.15', 'identity.listener-syntax', /transport:address/],
  ['constructor:10.0.0.15', 'identity.listener-syntax', /transport:address/],
  ['udp:ens5:5060', 'identity.listener-syntax', /numeric address/],
  ['udp:2001:db8::1', 'identity.listener-syntax', /IPv6 in brackets/],
  ['udp:[10.0.0.15]:5060', 'identity.listener-syntax', /numeric address/],
  ['udp:10.0.0.15:65536', 'identity.listener-syntax', /port 0 to 65535/],
  ['udp:10.0.0.15:', 'identity.listener-syntax', /numeric address/],
  ['udp:10.0.0.15 as', 'identity.listener-syntax', /transport:address/],
  ['udp:10.0.0.15 203.0.113.5', 'identity.listener-syntax', /transport:address/],
  ['udp:10.0.0.15 as [2001:db8::1]', 'identity.listener-syntax', /same family as 10\.0\.0\.15/],
  ['udp:10.0.0.15 as 203.0.113.5:0', 'identity.advertise-syntax', /host\[:port\]/],
  ['udp:10.0.0.15 as 0.0.0.0', 'identity.advertise-syntax', /callers reach/],
  ['udp:10.0.0.15 as 224.0.0.1', 'identity.advertise-syntax', /callers reach/],
  ['udp:10.0.0.15 as 255.255.255.255', 'identity.advertise-syntax', /callers reach/],
  ['udp:10.0.0.15 as 203.0.113', 'identity.advertise-syntax', /came "203\.0\.113"/],
  ['udp:10.0.0.15 as sip;lr@x', 'identity.advertise-syntax', /came "sip;lr@x"/],
];
for (const [text, code, words] of BAD) {
  test(`"${text}" is refused`, () => {
    assert.throws(() => parseListener(text), { name: 'IdentityError', code, message: words });
  });
}

test('what is advertised may be bare IPv6', () => {
  assert.deepEqual(parseAdvertised('2001:db8::1'), { host: '2001:db8::1' });
  assert.deepEqual(parseAdvertised('[2001:db8::1]:5070'), { host: '2001:db8::1', port: 5070 });
});

test('hosts that could break out of a header are refused', () => {
  for (const host of [
    'a b',
    'a\r\nVia: x',
    '<x>',
    'a..b',
    '-a',
    'x'.repeat(64),
    `${'a.'.repeat(127)}com`,
    '*',
  ]) {
    assert.throws(() => parseAdvertised(host), { code: 'identity.advertise-syntax' }, host);
  }
});
