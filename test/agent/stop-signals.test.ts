import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { DrainProgress } from '../../src/agent/drain.ts';
import { StopSignals } from '../../src/agent/stop-signals.ts';
import { tellServiceManager } from '../../src/agent/tell-service-manager.ts';

test('the first signal is heard, also where it came before anybody could, and the second is told apart', async () => {
  const process = new EventEmitter();
  const stops = new StopSignals(process);
  process.emit('SIGTERM');
  const heard: string[] = [];
  stops.first = (signal) => heard.push(signal);
  let second: string | undefined;
  void stops.second.then((signal) => {
    second = signal;
  });
  await Promise.resolve();
  assert.equal(second, undefined);
  process.emit('SIGINT');
  await stops.second;
  assert.deepEqual([heard, second], [['SIGTERM'], 'SIGINT']);
});

test('the service manager hears each step, and STOPPING only of what nothing calls off', () => {
  const told: string[] = [];
  const tell = tellServiceManager(async (state) => told.push(state));
  const step = (state: DrainProgress['state'], final: boolean, calls = 0): void =>
    tell({ state, final, calls, transactions: 0, reason: 'reboot\n(the cloud)' });
  step('serving', false);
  step('draining', false, 2);
  step('serving', false);
  step('draining', false, 1);
  step('draining', true, 1);
  step('ended', true);
  assert.deepEqual(told, [
    'STATUS=draining, calls left: 2, reboot (the cloud)',
    'STATUS=serving',
    'STATUS=draining, calls left: 1, reboot (the cloud)',
    'STOPPING=1\nSTATUS=draining, calls left: 1, reboot (the cloud)\nEXTEND_TIMEOUT_USEC=30000000',
    'STATUS=drained',
  ]);
});
