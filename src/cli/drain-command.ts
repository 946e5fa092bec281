import type { Writable } from 'node:stream';
import { askAgent } from './ask-agent.ts';
import { unreachedReason } from './unreached-reason.ts';

export interface DrainCommandIo {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly stateDir: string;
}

/** One step, as the agent tells it. */
interface Step {
  readonly state?: string;
  readonly calls?: number;
  readonly transactions?: number;
  readonly until?: number;
}

/**
 * `cloudsip drain`: asks the running agent to take nothing new and to end once its calls have, and waits for that.
 * Returns the exit code: 0 the last call ended by itself, 1 no agent was reached or it was ended before, 3 calls
 * were cut off since the time was up.
 */
export async function runDrainCommand({ stdout, stderr, stateDir }: DrainCommandIo): Promise<number> {
  let last: Step | undefined;
  let shown = '';
  try {
    for await (const step of askAgent<Step>(stateDir, 'drain')) {
      last = step;
      const line = inWords(step);
      if (line !== shown) stdout.write(`${line}\n`);
      shown = line;
    }
  } catch (error) {
    stderr.write(`cloudsip: ${unreachedReason(error, stateDir)}\n`);
    return 1;
  }
  if (last?.state !== 'ended') {
    stderr.write('cloudsip: the agent ended before it was drained\n');
    return 1;
  }
  return isIdle(last) ? 0 : 3;
}

function isIdle({ calls, transactions }: Step): boolean {
  return calls === 0 && transactions === 0;
}

function inWords(step: Step): string {
  const { state, calls = 0, transactions = 0, until } = step;
  const left = `${calls} ${calls === 1 ? 'call' : 'calls'} and ${transactions} unanswered ${transactions === 1 ? 'request' : 'requests'}`;
  if (state === 'ended')
    return isIdle(step) ? 'drained: the agent ends' : `the time is up: ${left} are cut off`;
  const limit = until === undefined ? '' : `, until ${new Date(until).toISOString()} at the latest`;
  return `draining: ${left} left${limit}`;
}
