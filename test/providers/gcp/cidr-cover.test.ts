import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cover, coverOf } from '../../../providers/gcp/cidr-cover.ts';

const COVERS: [ranges: string[], target: string, cover: Cover][] = [
  [['0.0.0.0/0'], '0.0.0.0/0', 'all'],
  [['0.0.0.0/1', '128.0.0.0/1'], '0.0.0.0/0', 'all'],
  [['128.0.0.0/1', '0.0.0.0/1'], '0.0.0.0/0', 'all'],
  [['0.0.0.0/1', '128.0.0.0/2'], '0.0.0.0/0', 'some'],
  [['0.0.0.0/1', '192.0.0.0/2'], '0.0.0.0/0', 'some'],
  [['10.0.0.0/8'], '0.0.0.0/0', 'some'],
  [['10.0.0.0/8'], '10.1.0.0/16', 'all'],
  [['10.0.0.0/16'], '10.1.0.0/16', 'none'],
  [['10.0.0.7'], '10.0.0.7', 'all'],
  [['10.0.0.7/32'], '10.0.0.0/24', 'some'],
  [['::/0'], '0.0.0.0/0', 'none'],
  [['::/0'], '::/0', 'all'],
  [['2001:db8::/32'], '::/0', 'some'],
  [['2001:db8::/32'], '2001:db8:1:2::/64', 'all'],
  [[], '0.0.0.0/0', 'none'],
  [['nonsense', '10.0.0.0/99'], '10.0.0.0/8', 'none'],
  [['10.0.0.0/8'], 'nonsense', 'none'],
];

for (const [ranges, target, cover] of COVERS) {
  test(`[${ranges.join(', ')}] covers ${cover} of ${target}`, () => {
    assert.equal(coverOf(ranges, target), cover);
  });
}
