import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StunSighting } from '../../src/discovery/ask-stun.ts';
import { judgeSightings } from '../../src/discovery/stun-verdict.ts';

const SERVERS = ['a:1', 'b:2'];

function sighting(privateAddress: string, ...seen: string[]): StunSighting {
  return {
    privateAddress,
    localPort: 40_000,
    seen: seen.map((text, index) => {
      const [address = '', port = '40000'] = text.split('#');
      return { server: SERVERS[index]!, mapped: { address, port: Number(port) } };
    }),
  };
}
const judged = (...sightings: StunSighting[]) => [...judgeSightings(sightings, SERVERS).values()];

test('two servers that see the same address and the same port', () => {
  assert.deepEqual(judged(sighting('10.0.0.2', '203.0.113.5', '203.0.113.5')), [
    { kind: 'mapped', publicAddress: '203.0.113.5', by: 'a:1 and b:2' },
  ]);
});

test('two that see the address itself', () => {
  assert.deepEqual(judged(sighting('198.51.100.7', '198.51.100.7', '198.51.100.7')), [{ kind: 'none' }]);
});

for (const [what, seen, why] of [
  [
    'another port for each',
    ['203.0.113.5#1024', '203.0.113.5#1025'],
    /a:1 sees 203\.0\.113\.5:1024, b:2 sees/,
  ],
  [
    'another address for each',
    ['203.0.113.5', '203.0.113.6'],
    /a:1 sees 203\.0\.113\.5:40000, b:2 sees 203\.0\.113\.6/,
  ],
  [
    'another port for both',
    ['203.0.113.5#1024', '203.0.113.5#1024'],
    /port 40000 is seen as 203\.0\.113\.5:1024/,
  ],
  [
    'an address of another private network',
    ['192.168.1.1', '192.168.1.1'],
    /192\.168\.1\.1, which nobody can reach/,
  ],
  ['carrier-grade NAT', ['100.64.0.1', '100.64.0.1'], /which nobody can reach/],
  ['multicast', ['224.0.0.1', '224.0.0.1'], /which nobody can reach/],
  ['nothing', ['0.0.0.0', '0.0.0.0'], /which nobody can reach/],
  ['this machine', ['127.0.0.1', '127.0.0.1'], /which nobody can reach/],
  ['the link', ['169.254.169.254', '169.254.169.254'], /which nobody can reach/],
] as const) {
  test(`${what} is refused`, () => {
    const [verdict] = judged(sighting('10.0.0.2', ...seen));
    assert.equal(verdict?.kind, 'shared');
    assert.match(verdict.why, why);
  });
}

test('two private addresses behind one public', () => {
  for (const verdict of judged(
    sighting('10.0.0.2', '203.0.113.5', '203.0.113.5'),
    sighting('10.0.0.3', '203.0.113.5', '203.0.113.5'),
  )) {
    assert.deepEqual(verdict, {
      kind: 'shared',
      why: '10.0.0.2 and 10.0.0.3 are seen as one address, 203.0.113.5',
    });
  }
});

test('one server alone is not believed, none says nothing', () => {
  const [one, none] = judged(sighting('10.0.0.2', '203.0.113.5'), sighting('10.0.0.3'));
  assert.equal(one?.kind, 'silent');
  assert.match(
    one.why,
    /^only a:1 answered, and one alone is not believed; b:2 did not answer within 3000 ms$/,
  );
  assert.equal(none?.kind, 'silent');
  assert.match(none.why, /^a:1 and b:2 did not answer/);
});

test('no socket', () => {
  const [verdict] = judged({ privateAddress: '10.0.0.2', localPort: 0, seen: [], failure: 'EADDRNOTAVAIL' });
  assert.deepEqual(verdict, { kind: 'silent', why: 'no socket could be opened there (EADDRNOTAVAIL)' });
});
