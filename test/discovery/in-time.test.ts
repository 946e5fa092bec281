import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inTime } from '../../src/discovery/in-time.ts';
import { ManualClock } from '../support/manual-clock.ts';

const never = (): Promise<never> => new Promise(() => {});

describe('a question as a whole', () => {
  test('gives its answer, or its error, and leaves nothing behind', async () => {
    const clock = new ManualClock();
    const { signal } = new AbortController();
    assert.equal(await inTime('It', async () => 7, { clock, signal }), 7);
    await assert.rejects(
      inTime('It', () => Promise.reject(new RangeError('no')), { clock, signal }),
      RangeError,
    );
    assert.equal(clock.pending, 0);
  });

  test('ends with discovery.timeout where it takes too long, and tells who was asked', async () => {
    const clock = new ManualClock();
    let ending: AbortSignal | undefined;
    const ask = (signal: AbortSignal): Promise<never> => {
      ending = signal;
      return never();
    };
    const asked = inTime('The provider mine', ask, { clock, signal: new AbortController().signal });
    clock.advance(100_000);
    await assert.rejects(asked, {
      code: 'discovery.timeout',
      message: /^The provider mine: expected an answer within 100000 ms, came none/,
    });
    assert.equal(ending?.aborted, true);
    assert.equal(clock.pending, 0);
  });

  test('ends with discovery.aborted where nobody wants the answer any more, heeded or not', async () => {
    const clock = new ManualClock();
    const abort = new AbortController();
    const asked = inTime('It', never, { clock, signal: abort.signal });
    abort.abort();
    await assert.rejects(asked, { code: 'discovery.aborted' });
    assert.equal(clock.pending, 0);
  });
});
