import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Drain, type DrainProgress } from '../../src/agent/drain.ts';
import type { Notice } from '../../src/discovery/notice.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A drain with work that the test sets, and all that it said and did in its order. */
function build(options: { timeoutMs?: number; drainOn?: string[]; acknowledge?: boolean } = {}) {
  const clock = new ManualClock();
  const events: string[] = [];
  const work = { calls: 0, transactions: 0 };
  const configuration = {
    timeoutMs: 300_000,
    drainOn: ['termination', 'maintenance'],
    acknowledge: true,
    ...options,
  };
  const say = (_details: object, message: string): void => void events.push(message);
  const drain = new Drain({
    clock,
    log: { debug: say, info: say, warn: say },
    timeoutMs: () => configuration.timeoutMs,
    drainOn: () => configuration.drainOn,
    acknowledge: () => configuration.acknowledge,
    work: () => ({ ...work }),
  });
  let ended: DrainProgress | undefined;
  void drain.ended.then((progress) => {
    ended = progress;
    events.push('ended');
  });
  /** Lets what was promised happen. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  const notice = (id: string, inMs: number | undefined, more: Partial<Notice> = {}): Notice => ({
    id,
    kind: 'termination',
    ...(inMs !== undefined && { deadline: clock.now() + inMs }),
    source: 'test cloud',
    ...more,
  });
  return { clock, drain, work, configuration, events, settle, notice, ended: () => ended };
}

const begins = 'draining: new requests are refused, calls in progress are served';

describe('draining', () => {
  test('ends at once where nothing is under way', async () => {
    const { drain, ended, settle, clock } = build();
    assert.equal(drain.retryAfter, undefined);
    drain.ask('SIGTERM');
    await settle();
    assert.equal(ended()?.state, 'ended');
    assert.equal(clock.pending, 0);
  });

  test('refuses, waits for the last call, tells the cloud, ends: in this order', async () => {
    const { drain, work, clock, events, settle, notice, ended } = build();
    work.calls = 2;
    drain.notice(
      notice('a', undefined, {
        acknowledge: () => {
          events.push(`acknowledged with ${work.calls} calls`);
          return Promise.resolve();
        },
      }),
    );
    assert.equal(drain.retryAfter, 300);
    assert.equal(drain.progress.state, 'draining');
    work.calls = 1;
    clock.advance(10_000);
    assert.equal(drain.retryAfter, 290);
    work.calls = 0;
    work.transactions = 1;
    clock.advance(10_000);
    assert.equal(ended(), undefined);
    work.transactions = 0;
    clock.advance(3_000);
    await settle();
    assert.ok(drain.retryAfter, 'nothing new is welcome to the last moment');
    assert.deepEqual(events, [
      'the cloud gives notice',
      begins,
      'draining: this much is left',
      'draining: this much is left',
      'drained: nothing is under way any more',
      'acknowledged with 0 calls',
      'the cloud was told that it need not wait any longer',
      'ended',
    ]);
    assert.equal(clock.pending, 0);
  });

  test('lingers for a lost response after a call, but not for long', async () => {
    const { drain, work, clock, settle, ended } = build();
    work.calls = 1;
    drain.ask('test');
    work.calls = 0;
    clock.advance(1_000);
    await settle();
    assert.equal(ended(), undefined);
    clock.advance(2_000);
    await settle();
    assert.ok(ended());
  });

  test('tells the cloud nothing unless that is asked for', async () => {
    const { drain, notice, events, settle, clock } = build({ acknowledge: false });
    drain.notice(notice('a', undefined, { acknowledge: () => Promise.reject(new Error('never')) }));
    clock.advance(3_000);
    await settle();
    assert.deepEqual(events.slice(-2), ['drained: nothing is under way any more', 'ended']);
  });

  test('cuts off what is left when the time is up, and acknowledges nothing then', async () => {
    const { drain, work, clock, settle, events, ended, notice } = build({ timeoutMs: 60_000 });
    work.calls = 3;
    drain.notice(notice('a', undefined, { acknowledge: () => Promise.reject(new Error('never')) }));
    clock.advance(59_000);
    await settle();
    assert.equal(ended(), undefined);
    clock.advance(1_000);
    await settle();
    assert.equal(ended()?.calls, 3);
    assert.deepEqual(events.slice(-2), ['draining took too long: what is left is cut off', 'ended']);
  });

  test('ends before the deadline of a notice, and the soonest counts', async () => {
    const { drain, work, clock, settle, ended, notice } = build();
    work.calls = 1;
    drain.notice(notice('later', 200_000));
    drain.notice(notice('soon', 120_000));
    clock.advance(114_000);
    await settle();
    assert.equal(ended(), undefined);
    clock.advance(1_000);
    await settle();
    assert.match(ended()?.reason ?? '', /^termination at .* \(test cloud\)$/);
  });

  test('ends before the deadline also where calls are given little time or none', async () => {
    for (const timeoutMs of [0, 3000]) {
      const { drain, work, clock, settle, ended, notice } = build({ timeoutMs });
      work.calls = 1;
      drain.notice(notice('a', 60_000));
      clock.advance(55_000 - timeoutMs - 1);
      assert.equal(drain.progress.state, 'serving');
      clock.advance(timeoutMs + 1);
      await settle();
      assert.equal(ended()?.calls, 1);
    }
  });

  test('begins so long before a deadline that is far', async () => {
    const { drain, work, clock, events, notice } = build();
    work.calls = 1;
    const days = 40 * 86_400_000;
    drain.notice(notice('a', days, { kind: 'maintenance' }));
    assert.equal(drain.retryAfter, undefined);
    clock.advance(days - 300_001);
    assert.equal(drain.retryAfter, undefined);
    clock.advance(1);
    assert.equal(drain.progress.state, 'draining');
    assert.deepEqual(events, ['the cloud gives notice', begins]);
  });

  test('a deadline that has passed leaves the time that the configuration gives', async () => {
    const { drain, work, clock, settle, ended, notice } = build();
    work.calls = 1;
    drain.notice(notice('a', -1000));
    drain.notice(notice('b', Number.NaN));
    clock.advance(299_000);
    await settle();
    assert.equal(ended(), undefined);
    clock.advance(1_000);
    await settle();
    assert.ok(ended());
  });

  test('a notice whose time goes or has passed when it moves leaves that time too, but not each time anew', async () => {
    for (const moved of [undefined, -60_000, Number.NaN]) {
      const { drain, work, clock, settle, ended, notice } = build();
      work.calls = 1;
      drain.notice(notice('a', 3_600_000));
      clock.advance(1_200_000);
      assert.equal(drain.retryAfter, undefined);
      drain.notice(notice('a', moved));
      assert.equal(drain.retryAfter, 300, `moved to ${moved}`);
      clock.advance(200_000);
      drain.notice(notice('a', -1));
      drain.notice(notice('a', undefined));
      assert.equal(drain.retryAfter, 100);
      clock.advance(100_000);
      await settle();
      assert.ok(ended());
    }
  });

  test('a notice whose time goes while it drains keeps what is left of that time', async () => {
    const { drain, work, clock, notice } = build();
    work.calls = 1;
    drain.notice(notice('a', 3_600_000));
    clock.advance(3_400_000);
    assert.equal(drain.retryAfter, 195);
    drain.notice(notice('a', undefined));
    assert.equal(drain.retryAfter, 200);
  });

  test('a notice that comes as another kind is another one', () => {
    const { drain, work, events, notice } = build();
    work.calls = 1;
    const { deadline } = notice('', 60_000);
    const one = { ...notice('a', undefined, { kind: 'pause' }), deadline: deadline! };
    drain.notice(one);
    assert.equal(drain.retryAfter, undefined);
    drain.notice({ ...one, kind: 'termination' });
    assert.ok(drain.retryAfter);
    drain.notice({ ...one, kind: 'pause' });
    assert.equal(drain.retryAfter, undefined);
    assert.equal(events.filter((event) => event.startsWith('the cloud gives notice')).length, 3);
  });

  test('lingers by the clock, however often it has to look', async () => {
    const { drain, work, clock, settle, ended } = build();
    work.calls = 1;
    drain.ask('test');
    work.calls = 0;
    for (let n = 0; n < 100; n++) drain.reconsider();
    await settle();
    assert.equal(ended(), undefined);
    clock.advance(2_000);
    await settle();
    assert.ok(ended());
  });

  test('is called off by a notice that is taken back or moved', async () => {
    const { drain, work, clock, events, notice } = build();
    work.calls = 1;
    drain.notice(notice('a', 1_000_000));
    drain.notice(notice('a', 1_000_000, { withdrawn: true }));
    assert.equal(clock.pending, 0);
    drain.notice(notice('b', 60_000));
    assert.ok(drain.retryAfter);
    drain.notice(notice('b', 1_000_000));
    assert.equal(drain.retryAfter, undefined);
    clock.advance(700_000);
    assert.ok(drain.retryAfter);
    drain.notice(notice('b', undefined, { withdrawn: true }));
    assert.equal(drain.retryAfter, undefined);
    assert.equal(clock.pending, 0);
    assert.equal(events.filter((event) => event === begins).length, 2);
    assert.equal(events.filter((event) => event.startsWith('draining is called off')).length, 2);
  });

  test('by hand is called off by nothing', async () => {
    const { drain, work, notice } = build();
    work.calls = 1;
    drain.notice(notice('a', 60_000));
    drain.ask('cloudsip drain');
    drain.notice(notice('a', 60_000, { withdrawn: true }));
    assert.equal(drain.progress.final, true);
    assert.equal(drain.retryAfter, 300);
  });

  test('leaves out what the configuration does, until that changes; the same notice is told once', async () => {
    const { drain, work, configuration, events, notice } = build();
    work.calls = 1;
    const pause = notice('a', 10_000, { kind: 'pause' });
    drain.notice(pause);
    drain.notice(pause);
    assert.equal(drain.retryAfter, undefined);
    configuration.drainOn.push('pause');
    drain.reconsider();
    assert.ok(drain.retryAfter);
    assert.deepEqual(events, ['the cloud gives notice, of a kind that drain-on leaves out', begins]);
  });

  test('a cloud that does not answer holds nothing up for long', async () => {
    const { drain, clock, settle, ended, events, notice } = build();
    let aborted = false;
    const acknowledge = (signal: AbortSignal) =>
      new Promise<void>(() => signal.addEventListener('abort', () => (aborted = true)));
    drain.notice(notice('a', undefined, { acknowledge }));
    await settle();
    assert.equal(ended(), undefined);
    clock.advance(10_000);
    await settle();
    assert.ok(ended() && aborted);
    assert.ok(events.includes('the cloud could not be told that it need not wait any longer'));
    assert.equal(clock.pending, 0);
  });

  test('keeps a bounded number of notices, and of those the ones that matter first', () => {
    const { drain, notice, clock, work, events } = build();
    work.calls = 1;
    drain.notice(notice('soon', 60_000));
    for (let n = 0; n < 1000; n++) {
      drain.notice(notice(String(n), 1e9));
      drain.notice(notice(`pause ${n}`, 30_000, { kind: 'pause' }));
    }
    assert.ok(drain.retryAfter, 'what drains is not pushed out');
    drain.notice(notice('soon', undefined, { withdrawn: true }));
    assert.equal(drain.retryAfter, undefined);
    for (let n = 0; n < 1000; n++) drain.notice(notice(String(n), undefined, { withdrawn: true }));
    // Nothing waits for any of them, but for the lines that were held back.
    clock.advance(10_000);
    assert.equal(clock.pending, 0);
    assert.ok(events.filter((event) => event === 'the cloud takes its notice back').length <= 65);
  });

  test('tells each step to whoever watches, the present one first', async () => {
    const { drain, work, clock, settle } = build();
    const seen: string[] = [];
    work.calls = 1;
    const unwatch = drain.watch(({ state, calls }) => seen.push(`${state} ${calls}`));
    drain.ask('test');
    work.calls = 0;
    clock.advance(3_000);
    await settle();
    assert.deepEqual([...new Set(seen)], ['serving 1', 'draining 1', 'draining 0', 'ended 0']);
    unwatch();
  });
});

describe('a cloud that names other notices each time that it is asked', () => {
  for (const kind of ['termination', 'pause'] as const) {
    test(`fills no log with ${kind}, and is obeyed all the same`, () => {
      const { drain, clock, events, notice, work } = build();
      work.calls = 1;
      for (let poll = 0; poll < 60; poll++) {
        for (let n = 0; n < 20; n++) drain.notice(notice(`${poll}-${n}`, 600_000, { kind }));
        for (let n = 0; n < 20; n++)
          drain.notice(notice(`${poll}-${n}`, undefined, { kind, withdrawn: true }));
        clock.advance(1000);
      }
      // Twenty at once, then two kinds of line every ten seconds.
      assert.ok(events.length > 20 && events.length <= 20 + 14, `${events.length}`);
      drain.notice(notice('last', undefined));
      assert.equal(drain.progress.state, 'draining');
      drain.close();
    });
  }

  test('that begins a drain and calls it off again and again fills none either', () => {
    const { drain, clock, events, notice, work } = build();
    work.calls = 1;
    for (let poll = 0; poll < 600; poll++) {
      drain.notice(notice('one', undefined, poll % 2 === 0 ? {} : { withdrawn: true }));
      clock.advance(100);
    }
    assert.ok(events.length > 20 && events.length <= 20 + 28, `${events.length}`);
    drain.close();
  });
});
