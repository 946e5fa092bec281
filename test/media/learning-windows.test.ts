import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LearningWindows } from '../../src/media/learning-windows.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('learning windows', () => {
  function watched(): {
    clock: ManualClock;
    windows: LearningWindows;
    sealed: string[];
    learner: (name: string) => { seal(): void };
  } {
    const clock = new ManualClock();
    const sealed: string[] = [];
    const windows = new LearningWindows(clock, 1000);
    return { clock, windows, sealed, learner: (name) => ({ seal: () => sealed.push(name) }) };
  }

  it('end in the order in which they were opened, each after its time, by one timer', () => {
    const { clock, windows, sealed, learner } = watched();
    windows.open(learner('a'));
    clock.advance(400);
    windows.open(learner('b'));
    assert.equal(clock.pending, 1);
    clock.advance(599);
    assert.deepEqual(sealed, []);
    clock.advance(1);
    assert.deepEqual(sealed, ['a']);
    clock.advance(399);
    assert.deepEqual(sealed, ['a']);
    clock.advance(1);
    assert.deepEqual(sealed, ['a', 'b']);
    assert.equal(clock.pending, 0);
  });

  it('one that begins anew ends later', () => {
    const { clock, windows, sealed, learner } = watched();
    const a = learner('a');
    windows.open(a);
    windows.open(learner('b'));
    clock.advance(500);
    windows.open(a);
    clock.advance(500);
    assert.deepEqual(sealed, ['b']);
    clock.advance(500);
    assert.deepEqual(sealed, ['b', 'a']);
  });

  it('who is gone is not sealed, and the last one takes the timer along', () => {
    const { clock, windows, sealed, learner } = watched();
    const a = learner('a');
    const b = learner('b');
    windows.open(a);
    windows.open(b);
    windows.forget(a);
    assert.equal(clock.pending, 1);
    windows.forget(b);
    assert.equal(clock.pending, 0);
    clock.advance(5000);
    assert.deepEqual(sealed, []);
  });
});
