import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, it } from 'node:test';
import { Bpf, BpfError } from '../../../src/media/kernel/bpf.ts';
import { tcxProgram } from '../../../src/media/kernel/programs.ts';
import { loadLibc } from '../../../src/net/libc.ts';

/** A kernel whose verifier is interrupted so many times before it has read the program. */
function interrupted(times: number): { readonly calls: () => number; readonly load: () => number } {
  let calls = 0;
  const bpf = new Bpf({
    ...loadLibc(),
    bpf: () => (++calls > times ? 7 : -1),
    errno: () => constants.errno.EAGAIN,
  });
  return { calls: () => calls, load: () => bpf.loadProgram('relay', 'tcx', tcxProgram, 3) };
}

describe('loading a program', () => {
  it('begins again where a signal interrupted the verifier', () => {
    const { calls, load } = interrupted(3);
    assert.equal(load(), 7);
    assert.equal(calls(), 4);
  });

  it('gives up in the end, and says why', () => {
    const { load } = interrupted(Number.POSITIVE_INFINITY);
    assert.throws(load, (error) => error instanceof BpfError && error.errno === 'EAGAIN');
  });
});
