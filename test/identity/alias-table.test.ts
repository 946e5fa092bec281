import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AliasTable } from '../../src/identity/alias-table.ts';

test('a host is ours in any spelling, with its ports or none', () => {
  const table = new AliasTable();
  table.setOwn([
    { address: '10.0.0.15', port: 5060 },
    { address: '203.0.113.5', port: 5070 },
    { address: '2001:db8::15', port: 5060 },
    { address: 'sip.example.com', port: 5060 },
  ]);
  const cases: [host: string, port: number | undefined, self: boolean][] = [
    ['10.0.0.15', 5060, true],
    ['10.0.0.15', undefined, true],
    ['10.0.0.15', 0, true],
    ['10.0.0.15', 5070, false],
    ['::ffff:10.0.0.15', 5060, true],
    ['203.0.113.5', 5070, true],
    ['203.0.113.5', 5060, false],
    ['[2001:DB8:0:0::15]', 5060, true],
    ['2001:db8::15', 5060, true],
    ['[2001:db8::16]', 5060, false],
    ['SIP.Example.COM', 5060, true],
    ['sip.example.com.', undefined, true],
    ['sip.example.com.evil.net', 5060, false],
    ['example.com', 5060, false],
    ['10.0.0.150', 5060, false],
    ['', undefined, false],
    ['constructor', undefined, false],
  ];
  for (const round of ['first', 'again']) {
    for (const [host, port, self] of cases) {
      assert.equal(table.isSelf(host, port), self, `${host} ${port} ${round}`);
    }
  }
});

test('aliases with and without a port, domains on every port', () => {
  const table = new AliasTable({
    aliases: ['old.example.com', '198.51.100.1:5080', '[2001:db8::1]:5080', '2001:db8::2'],
    domains: ['example.org'],
  });
  assert.ok(table.isSelf('OLD.example.com', 1234));
  assert.ok(table.isSelf('198.51.100.1', 5080));
  assert.ok(!table.isSelf('198.51.100.1', 5060));
  assert.ok(table.isSelf('2001:db8::1', 5080));
  assert.ok(!table.isSelf('2001:db8::1', 5060));
  assert.ok(table.isSelf('2001:db8::2', 5060));
  assert.ok(table.isSelf('Example.ORG', 5099));
  assert.ok(!table.isSelf('a.example.org', undefined));
});

test('a subdomain match needs the dot', () => {
  for (const domain of ['*.example.com', '.Example.com']) {
    const table = new AliasTable({ domains: [domain] });
    assert.ok(table.isSelf('sip.example.com', 5060));
    assert.ok(table.isSelf('a.b.EXAMPLE.com', undefined));
    assert.ok(!table.isSelf('badexample.com', undefined));
    assert.ok(!table.isSelf('example.com', undefined));
    assert.ok(!table.isSelf('example.com.evil.net', undefined));
    // Advertising one of its names does not narrow the domain to one port.
    table.learn('sip.example.com', 5060);
    table.setOwn([{ address: 'pbx.example.com', port: 5060 }]);
    assert.ok(table.isSelf('sip.example.com', 5070));
    assert.ok(table.isSelf('pbx.example.com', 5070));
  }
});

test('what is learned is known at once, though it was a stranger before', () => {
  const table = new AliasTable();
  assert.ok(!table.isSelf('Relay.example.net', 5060));
  table.learn('relay.EXAMPLE.net', 5060);
  assert.ok(table.isSelf('Relay.example.net', 5060));
  assert.ok(!table.isSelf('Relay.example.net', 5070));
  table.learn('relay.example.net', 5070);
  assert.ok(table.isSelf('Relay.example.net', 5070));
});

test('learned identities are bounded, the oldest go, those of listeners and aliases stay', () => {
  const table = new AliasTable({ aliases: ['198.51.100.1:5060'], maxLearned: 3 });
  table.setOwn([{ address: '10.0.0.15', port: 5060 }]);
  table.learn('10.0.0.15', 5060);
  table.learn('198.51.100.1', 5060);
  for (const name of ['a', 'b', 'c']) table.learn(`${name}.example`, 5060);
  table.learn('a.example', 5060);
  table.learn('d.example', 5060);
  assert.ok(!table.isSelf('b.example', 5060), 'the oldest');
  for (const host of ['a.example', 'c.example', 'd.example', '10.0.0.15', '198.51.100.1']) {
    assert.ok(table.isSelf(host, 5060), host);
  }
});

test('an identity that is replaced stays known, and an alias is not taken along', () => {
  const table = new AliasTable({ aliases: ['203.0.113.5:5060'] });
  table.setOwn([
    { address: '203.0.113.5', port: 5060 },
    { address: '203.0.113.5', port: 5070 },
  ]);
  table.setOwn([{ address: '203.0.113.9', port: 5060 }]);
  assert.ok(table.isSelf('203.0.113.9', 5060));
  assert.ok(table.isSelf('203.0.113.5', 5060));
  assert.ok(table.isSelf('203.0.113.5', 5070));
});

test('a public address that changes for ever does not grow the table', () => {
  const table = new AliasTable({ maxLearned: 10 });
  for (let index = 0; index < 100; index++) table.setOwn([{ address: `203.0.113.${index}`, port: 5060 }]);
  const known = Array.from({ length: 100 }, (_, index) => table.isSelf(`203.0.113.${index}`, 5060));
  assert.equal(known.filter(Boolean).length, 11);
  assert.deepEqual(known.slice(-11), Array(11).fill(true));
});

test('strangers by the thousand and hosts without end are answered with no', () => {
  const table = new AliasTable();
  table.setOwn([{ address: '10.0.0.15', port: 5060 }]);
  for (let index = 0; index < 10_000; index++) assert.ok(!table.isSelf(`h${index}.example`, undefined));
  assert.ok(!table.isSelf('x'.repeat(1_000_000), undefined));
  assert.ok(table.isSelf('10.0.0.15', 5060));
});

test('what is no alias and no domain is refused', () => {
  for (const alias of ['', 'a b', 'sip:example.com', 'example.com:0', '<x>', '*.example.com']) {
    assert.throws(() => new AliasTable({ aliases: [alias] }), { code: 'identity.alias-syntax' }, alias);
  }
  for (const domain of ['', '*', '*.', 'example.com:5060', '10.0.0.1', 'a.*.com']) {
    assert.throws(() => new AliasTable({ domains: [domain] }), { code: 'identity.alias-syntax' }, domain);
  }
});

test('aliases and domains are replaced while listeners and what was advertised stay', () => {
  const table = new AliasTable({ aliases: ['old.example:5070', '203.0.113.9'], domains: ['*.old.example'] });
  table.setOwn([{ address: '203.0.113.5', port: 5060 }]);
  table.learn('203.0.113.77', 5060);
  assert.throws(() => table.configure({ aliases: ['new.example'], domains: ['not a domain'] }), {
    code: 'identity.alias-syntax',
  });
  assert.ok(table.isSelf('sub.old.example', 5060) && !table.isSelf('new.example', 5060));
  table.configure({ aliases: ['new.example'], domains: ['*.new.example'] });
  for (const [host, port] of [
    ['203.0.113.5', 5060],
    ['203.0.113.77', 5060],
    ['new.example', 5099],
    ['sub.new.example', 5060],
  ] as const) {
    assert.ok(table.isSelf(host, port), host);
  }
  for (const host of ['old.example', 'sub.old.example', '203.0.113.9']) {
    assert.ok(!table.isSelf(host, 5070), host);
  }
});
