import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { getPriority, release, setPriority } from 'node:os';
import { test } from 'node:test';
import type * as Koffi from 'koffi';
import { askForShortSlices } from '../../src/media/short-slice.ts';
import { loadLibc } from '../../src/net/libc.ts';

const getattr = process.arch === 'x64' ? 315 : 275;
const libc = loadLibc();

/** What the kernel has noted of this thread. */
function scheduling(): { policy: number; nice: number; sliceNs: bigint } {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const syscall = koffi.load(null).func('syscall', 'int', ['size_t', 'int', 'uintptr_t', 'size_t', 'uint']);
  const attributes = new DataView(new ArrayBuffer(48));
  assert.equal(syscall(getattr, 0, libc.addressOf(new Uint8Array(attributes.buffer)), 48, 0), 0);
  return {
    policy: attributes.getUint32(4, true),
    nice: attributes.getInt32(16, true),
    sliceNs: attributes.getBigUint64(24, true),
  };
}

const [major = 0, minor = 0] = release().split('.').map(Number);
const slices = major > 6 || (major === 6 && minor >= 12);

test('a thread gets shorter turns, and has the priority and the policy that it had', () => {
  setPriority(getPriority() + 1);
  const before = scheduling();
  askForShortSlices(libc);
  assert.deepEqual(scheduling(), { ...before, sliceNs: slices ? 100_000n : before.sliceNs });
});
