import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readMachineFacts } from '../../src/discovery/machine-facts.ts';

test('what the machine tells is read below a root, trimmed, and empty files count as absent', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'cloudsip-facts-'));
  t.after(() => rmSync(root, { recursive: true }));
  const dmi = join(root, 'sys/class/dmi/id');
  mkdirSync(dmi, { recursive: true });
  mkdirSync(join(root, 'sys/hypervisor'));
  writeFileSync(join(dmi, 'board_vendor'), 'Amazon EC2\n');
  writeFileSync(join(dmi, 'chassis_version'), '\n');
  writeFileSync(join(dmi, 'product_uuid'), 'EC23AEF5-54BE-4843-8D24-8C819F88453E\n');
  mkdirSync(join(dmi, 'bios_vendor'));
  writeFileSync(join(root, 'sys/hypervisor/uuid'), 'ec2c6e2f-5fac-4fc7-9c82-74127ec14bbb\n');

  assert.deepEqual(readMachineFacts(root, []), {
    // Not the UUID: only root may read it, and what is found out must not depend on that.
    dmi: { board_vendor: 'Amazon EC2' },
    hypervisorUuid: 'ec2c6e2f-5fac-4fc7-9c82-74127ec14bbb',
    interfaces: [],
  });
});

test('a machine without DMI has no facts and is no error', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'cloudsip-facts-'));
  t.after(() => rmSync(root, { recursive: true }));
  assert.deepEqual(readMachineFacts(root, []), { dmi: {}, interfaces: [] });
});

test('the interfaces of this machine are read when none are given', () => {
  assert.ok(readMachineFacts().interfaces.some((device) => device.internal));
});
