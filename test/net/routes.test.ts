import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { netlinkAttribute, netlinkAttributes } from '../../src/net/netlink.ts';
import { nthAddress } from '../../src/net/nth-address.ts';
import { readRoutingRules, routeFrom } from '../../src/net/routes.ts';

describe("the kernel's routes", () => {
  test('lead from loopback to loopback by its interface', () => {
    const route = routeFrom('127.0.0.1', '127.0.0.2');
    assert.equal(route?.device, 'lo');
    assert.equal(route?.gateway, undefined);
  });
  test('are none from an address that is not ours', () => {
    assert.equal(routeFrom('203.0.113.77', '203.0.113.78'), undefined);
  });
  test('are asked for in the order of the rules, the local table first', () => {
    const rules = readRoutingRules('ipv4');
    assert.deepEqual(rules[0], { priority: 0, table: 255 });
    assert.ok(rules.some(({ table }) => table === 254));
    const priorities = rules.map(({ priority }) => priority);
    assert.deepEqual(
      priorities,
      [...priorities].sort((a, b) => a - b),
    );
  });
});

describe('attributes of netlink', () => {
  test('are read as they are written, padded to four bytes', () => {
    const written = Buffer.concat([
      netlinkAttribute(3, Buffer.from('ens5\0')),
      netlinkAttribute(5, Buffer.from([1])),
    ]);
    assert.equal(written.length, 20);
    const read = netlinkAttributes(Buffer.concat([Buffer.alloc(12), written]), 12);
    assert.deepEqual(
      [...read],
      [
        [3, Buffer.from('ens5\0')],
        [5, Buffer.from([1])],
      ],
    );
  });
  test('end where a length makes no sense', () => {
    for (const length of [0, 3, 200]) {
      const broken = netlinkAttribute(1, Buffer.alloc(4));
      broken.writeUInt16LE(length, 0);
      assert.equal(netlinkAttributes(broken, 0).size, 0);
    }
  });
});

test('the n-th address of a network', () => {
  assert.equal(nthAddress('10.0.1.0', 1), '10.0.1.1');
  assert.equal(nthAddress('10.0.255.255', 1), '10.1.0.0');
  assert.equal(nthAddress('2001:db8:1::', 1), '2001:db8:1::1');
});
