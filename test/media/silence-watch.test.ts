import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Listened, type SilenceLimits, SilenceWatch } from '../../src/media/silence-watch.ts';
import { ManualClock } from '../support/manual-clock.ts';

const usual: SilenceLimits = { initialMs: 60_000, runningMs: 60_000, heldMs: 1_800_000 };

function setUp(limits = usual): {
  clock: ManualClock;
  watch: SilenceWatch;
  session: { packets: number | undefined; quiet: boolean; told: number } & Listened;
} {
  const clock = new ManualClock();
  const watch = new SilenceWatch(clock, limits);
  const session = {
    packets: 0 as number | undefined,
    quiet: false,
    told: 0,
    heard: (): number | undefined => session.packets,
    silent: (): void => {
      session.told++;
    },
  };
  watch.add(session);
  return { clock, watch, session };
}

describe('watching for silence', () => {
  it('tells once when nothing comes, within a twelfth', () => {
    const { clock, session } = setUp();
    clock.advance(60_000);
    assert.equal(session.told, 0);
    clock.advance(10_000);
    assert.equal(session.told, 1);
    clock.advance(3_600_000);
    assert.equal(session.told, 1);
  });

  it('knows a limit of its own before the first packet, and none where it is 0', () => {
    const { clock, session } = setUp({ initialMs: 10_000, runningMs: 60_000, heldMs: 0 });
    clock.advance(12_000);
    assert.equal(session.told, 1);
    session.packets = 1;
    clock.advance(55_000);
    assert.equal(session.told, 1);
    clock.advance(10_000);
    assert.equal(session.told, 2);
    session.packets = 2;
    session.quiet = true;
    clock.advance(86_400_000);
    assert.equal(session.told, 2);
  });

  it('is content with one packet now and then', () => {
    const { clock, session } = setUp();
    for (let i = 1; i < 10; i++) {
      clock.advance(50_000);
      session.packets = i;
    }
    assert.equal(session.told, 0);
    clock.advance(70_000);
    assert.equal(session.told, 1);
    session.packets = 100;
    clock.advance(130_000);
    assert.equal(session.told, 2, 'again after something was heard in between');
  });

  it('counts from what was said last', () => {
    const { clock, watch, session } = setUp();
    clock.advance(55_000);
    watch.touch(session);
    clock.advance(55_000);
    assert.equal(session.told, 0);
  });

  it('waits much longer on hold', () => {
    const { clock, session } = setUp();
    session.quiet = true;
    clock.advance(1_790_000);
    assert.equal(session.told, 0);
    clock.advance(20_000);
    assert.equal(session.told, 1);
  });

  it('does not count where nothing is expected', () => {
    const { clock, session } = setUp();
    session.packets = undefined;
    clock.advance(3_600_000);
    assert.equal(session.told, 0);
  });

  it('leaves no timer behind', () => {
    const { clock, watch, session } = setUp();
    watch.remove(session);
    watch.remove(session);
    assert.equal(clock.pending, 0);
  });
});
