import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EffectiveRule } from '../../../providers/azure/arm-answer.ts';
import { judgeRules, type Passage } from '../../../providers/azure/security-group.ts';

const RTP: Passage = { protocol: 'udp', address: '10.0.0.4', ports: { from: 10_000, to: 20_000 } };
const SIP: Passage = { ...RTP, ports: { from: 5060, to: 5060 } };

let names = 0;
const rule = (priority: number, more: Partial<EffectiveRule> = {}): EffectiveRule => ({
  name: `rule-${++names}`,
  priority,
  allow: true,
  protocol: 'udp',
  remote: ['Internet'],
  own: ['*'],
  sourcePorts: ['0-65535'],
  ports: ['*'],
  ...more,
});
const deny = (priority: number, more: Partial<EffectiveRule> = {}): EffectiveRule =>
  rule(priority, { protocol: '*', allow: false, name: 'deny', ...more });
const closed = (rules: EffectiveRule[], passage = RTP): string[] =>
  judgeRules(rules, passage).closed.map(({ from, to, rule: name }) => `${from}-${to} ${name}`);

test('without any rule nothing comes in', () => {
  assert.deepEqual(closed([]), ['10000-20000 no rule']);
});

test('the first rule by priority decides, in whatever order they are listed', () => {
  const last = deny(65_500, { remote: ['0.0.0.0/0'] });
  assert.deepEqual(closed([last, rule(300)]), []);
  assert.deepEqual(closed([rule(300), deny(200), last]), ['10000-20000 deny']);
});

test('each port is decided by itself', () => {
  const rules = [
    deny(500),
    rule(300, { ports: ['10000-12000', '11000-15000'] }),
    deny(200, { ports: ['14000'] }),
  ];
  assert.deepEqual(closed(rules), ['14000-14000 deny', '15001-20000 deny']);
  assert.deepEqual(closed([rule(100, { ports: ['5060', 'garbage', '70000-1'] })], SIP), []);
});

test('another protocol is another matter', () => {
  assert.deepEqual(closed([rule(100, { protocol: 'tcp' }), deny(200)], SIP), ['5060-5060 deny']);
  assert.deepEqual(closed([rule(100, { protocol: '*' }), deny(200)], SIP), []);
  assert.deepEqual(closed([rule(100), deny(200)], { ...SIP, protocol: 'tcp' }), ['5060-5060 deny']);
});

test('the destination that counts is the private address', () => {
  for (const destination of ['10.0.0.4', '10.0.0.0/24', 'VirtualNetwork', '*', '0.0.0.0/0']) {
    assert.deepEqual(closed([rule(100, { own: [destination] })], SIP), [], destination);
  }
  for (const destination of ['203.0.113.5', '10.0.1.0/24', 'Storage']) {
    assert.deepEqual(
      closed([rule(100, { own: [destination] }), deny(200)], SIP),
      ['5060-5060 deny'],
      destination,
    );
  }
  const six = { ...SIP, address: 'fd00::4' };
  assert.deepEqual(closed([rule(100, { own: ['fd00::/64'], remote: ['::/0'] })], six), []);
});

test('rules for some senders open nothing to the internet, and are told', () => {
  const provider = rule(100, {
    name: 'trunk',
    remote: ['198.51.100.0/24', '198.51.101.0/24', '192.0.2.1', '192.0.2.2'],
  });
  const verdict = judgeRules([provider, deny(200)], SIP);
  assert.equal(verdict.closed.length, 1);
  assert.deepEqual(verdict.exceptions, [
    { rule: 'trunk', allow: true, remote: '198.51.100.0/24, 198.51.101.0/24, 192.0.2.1 and others' },
  ]);
  const odd = rule(100, { name: 'from 5060', sourcePorts: ['5060'] });
  assert.deepEqual(closed([odd, deny(200)], SIP), ['5060-5060 deny']);
});

test('the inside is not the internet, even where it is expanded to everything', () => {
  const inside = rule(100, { remote: ['VirtualNetwork', '10.0.0.0/16', '0.0.0.0/0'] });
  const verdict = judgeRules([inside, deny(65_500)], SIP);
  assert.equal(verdict.closed.length, 1);
  assert.deepEqual(verdict.exceptions, []);
});
