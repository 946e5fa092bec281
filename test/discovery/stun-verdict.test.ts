import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeSightings, type Witness } from '../../src/discovery/stun-verdict.ts';

const SERVERS = ['a:1', 'b:2'];

function sighting(privateAddress: string, ...seen: string[]): Witness {
  return {
    privateAddress,
    localPort: 40_000,
    declined: [],
    seen: seen.map((text, index) => {
      const [address = '', port = '40000'] = text.split('#');
      return { server: SERVERS[index]!, mapped: { address, port: Number(port) } };
    }),
  };
}
const judged = (...sightings: Witness[]) => [...judgeSightings(sightings, SERVERS).values()];

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

test('an address that keeps its port behind a gateway that rewrites the port of another', () => {
  const [kept, moved] = judged(
    sighting('10.0.0.2', '203.0.113.5', '203.0.113.5'),
    sighting('10.0.0.3', '203.0.113.5#1024', '203.0.113.5#1025'),
  );
  assert.deepEqual(kept, {
    kind: 'shared',
    why: '10.0.0.2 and 10.0.0.3 are seen as one address, 203.0.113.5',
  });
  assert.equal(moved?.kind, 'shared');
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
  const [verdict] = judged({
    privateAddress: '10.0.0.2',
    localPort: 0,
    seen: [],
    declined: [],
    failure: 'EADDRNOTAVAIL',
  });
  assert.deepEqual(verdict, { kind: 'silent', why: 'no socket could be opened there (EADDRNOTAVAIL)' });
});

test('who answered that he does not answer is told apart from who is silent', () => {
  const declined = [{ server: 'a:1', why: 'answered with error 300' }];
  const [verdict] = judged({ ...sighting('10.0.0.2'), declined });
  assert.deepEqual(verdict, {
    kind: 'silent',
    why: 'a:1 answered with error 300; b:2 did not answer within 3000 ms',
  });
});

test('of several listeners on one address the one that speaks against it counts', () => {
  const good = sighting('10.0.0.2', '203.0.113.5', '203.0.113.5');
  const moved = sighting('10.0.0.2', '203.0.113.5#1024', '203.0.113.5#1024');
  const elsewhere = sighting('10.0.0.2', '203.0.113.9', '203.0.113.9');
  const mute = sighting('10.0.0.2');
  const kinds = (...sightings: Witness[]) => judged(...sightings).map(({ kind }) => kind);
  assert.deepEqual(kinds(good, good), ['mapped']);
  assert.deepEqual(kinds(good, moved), ['shared']);
  assert.deepEqual(kinds(mute, moved), ['shared']);
  assert.deepEqual(kinds(good, mute), ['silent']);
  assert.deepEqual(judged(good, elsewhere), [
    { kind: 'shared', why: 'one of its listeners is seen as 203.0.113.5, another as 203.0.113.9' },
  ]);
});

describe('a listener that a person has named', () => {
  const named = (written: string, ...seen: string[]): Witness => ({
    ...sighting('10.0.0.2', ...seen),
    written,
  });
  for (const [what, witness] of [
    [
      'is right where the mapping of its port is static',
      named('203.0.113.5', '203.0.113.5#15060', '203.0.113.5#15060'),
    ],
    [
      'is right where its packets leave by any port',
      named('203.0.113.5', '203.0.113.5#1024', '203.0.113.5#1025'),
    ],
    [
      'is right where one of several addresses is it',
      named('203.0.113.5', '203.0.113.6#1024', '203.0.113.5#1025'),
    ],
    ['is not doubted for a name', named('sip.example.com', '203.0.113.5#1024', '203.0.113.5#1025')],
    ['is not doubted for silence', named('203.0.113.5')],
  ] as const) {
    test(what, () => assert.deepEqual(judged(witness), [{ kind: 'aside' }]));
  }

  test('is told of where another address is seen', () => {
    const [verdict] = judged(named('203.0.113.9', '203.0.113.5#1024', '203.0.113.5#1025'));
    assert.deepEqual(verdict, {
      kind: 'aside',
      warning:
        '10.0.0.2:40000 is advertised as 203.0.113.9 as you wrote, but a:1 sees it as 203.0.113.5:1024: callers may not reach it.',
    });
  });

  test('is no evidence against another one on its address', () => {
    const moved = named('203.0.113.5', '203.0.113.5#1024', '203.0.113.5#1025');
    const good = sighting('10.0.0.2', '203.0.113.5', '203.0.113.5');
    assert.equal(judged(moved, good)[0]?.kind, 'mapped');
  });

  test('may share its gateway with another', () => {
    const one = named('203.0.113.5', '203.0.113.5', '203.0.113.5');
    const other = { ...one, privateAddress: '10.0.0.3' };
    assert.deepEqual(judged(one, other), [{ kind: 'aside' }, { kind: 'aside' }]);
    const unnamed = { ...other, written: undefined };
    assert.deepEqual(
      judged(one, unnamed).map(({ kind }) => kind),
      ['aside', 'shared'],
    );
  });
});
