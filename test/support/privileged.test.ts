import assert from 'node:assert/strict';
import { test } from 'node:test';
import { privilegeOption } from './privileged.ts';

test('root runs the laboratory everywhere', () => {
  assert.deepEqual(privilegeOption(0, false), { skip: false });
  assert.deepEqual(privilegeOption(0, true), { skip: false });
});

test('without root it is skipped with a reason, but never silently in CI', () => {
  assert.match(String(privilegeOption(1000, false).skip), /uid 1000: run it with sudo/);
  assert.match(String(privilegeOption(undefined, false).skip), /sudo/);
  assert.throws(() => privilegeOption(1000, true), /need root/);
});
