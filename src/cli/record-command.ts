import type { Writable } from 'node:stream';
import { askAgent } from './ask-agent.ts';
import { unreachedReason } from './unreached-reason.ts';
import { UsageError } from './usage-error.ts';

export interface RecordCommandIo {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly stateDir: string;
}

/**
 * `cloudsip record CALL-ID [on|off]`: asks the running agent to record a call from now on, or to end that. Returns the
 * exit code: 0 done, 1 no agent was reached or it has no such call. Rejects with a UsageError.
 */
export async function runRecordCommand(
  args: readonly string[],
  { stdout, stderr, stateDir }: RecordCommandIo,
): Promise<number> {
  const [callId, wanted = 'on', ...more] = args;
  if (
    callId === undefined ||
    !/^[!-~]{1,512}$/.test(callId) ||
    !/^o(?:n|ff)$/.test(wanted) ||
    more.length > 0
  ) {
    throw new UsageError('usage.arguments', 'expected cloudsip record CALL-ID [on|off]');
  }
  let reply: { readonly recording?: boolean; readonly error?: string } = {};
  try {
    for await (const line of askAgent<typeof reply>(stateDir, `record ${wanted} ${callId}`)) reply = line;
  } catch (error) {
    stderr.write(`cloudsip: ${unreachedReason(error, stateDir)}\n`);
    return 1;
  }
  if (reply.recording === undefined) {
    stderr.write(`cloudsip: ${reply.error ?? 'the agent gave no answer'}\n`);
    return 1;
  }
  stdout.write(`${callId} is ${reply.recording ? 'recorded from now on' : 'not recorded any more'}\n`);
  return 0;
}
