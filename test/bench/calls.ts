import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint } from '../../src/net/address.ts';
import { Program } from '../support/process.ts';
import { boundUdp, freeEndpoint } from './loopback.ts';
import { callee } from './server.ts';

export interface CallRun {
  readonly server: Endpoint;
  /** Where the callee has been registered. */
  readonly callee: Endpoint;
  readonly callsPerSecond: number;
  readonly calls: number;
  /** Where the caller is; default somewhere on the loopback. */
  readonly callerAddress?: string;
}

export interface CallResult {
  readonly calls: number;
  readonly failed: number;
  /** Of requests by the caller and of answers by the callee: what was lost or came too late. */
  readonly retransmissions: number;
  /** From INVITE to 180, mean, as exact as sipp's clock: to the millisecond. */
  readonly ringingMs: number;
}

const scenario = (name: string) => join(import.meta.dirname, 'scenarios', `${name}.xml`);

/** Beyond what the calls themselves take: sipp's last retransmissions. */
const patienceMs = 40_000;

/** Runs calls from one sipp through the server to another. */
export async function runCalls(run: CallRun): Promise<CallResult> {
  const { server, callee: at, callsPerSecond, calls, callerAddress } = run;
  const scratch = await mkdtemp(join(tmpdir(), 'cloudsip-bench-sipp-'));
  try {
    const answering = sipp('callee', scratch, at, []);
    try {
      await boundUdp(at, 5_000);
      const calling = sipp('caller', scratch, await freeEndpoint(callerAddress), [
        ...['-s', callee, '-r', String(callsPerSecond), '-m', String(calls), '-l', '20000'],
        `${server.address}:${server.port}`,
      ]);
      // sipp ends with 1 where calls have failed: they are counted below.
      await calling.ended((calls / callsPerSecond) * 2_000 + patienceMs);
    } finally {
      // Calls that the caller has given up would keep it from ending on its own.
      await answering.stop('SIGUSR1', 2_000);
    }
    const caller = await lastStatistics(join(scratch, 'caller.csv'));
    const answered = await lastStatistics(join(scratch, 'callee.csv'));
    return {
      calls: Number(caller['TotalCallCreated']),
      failed: Number(caller['FailedCall(C)']),
      retransmissions: Number(caller['Retransmissions(C)']) + Number(answered['Retransmissions(C)']),
      ringingMs: milliseconds(caller['ResponseTime1(C)'] ?? ''),
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function sipp(name: string, scratch: string, { address, port }: Endpoint, args: readonly string[]): Program {
  return new Program(
    'sipp',
    [
      ...['-sf', scenario(name), '-i', address, '-p', String(port), '-mi', address],
      ...[
        '-trace_stat',
        '-stf',
        join(scratch, `${name}.csv`),
        '-fd',
        '1',
        '-nostdin',
        '-buff_size',
        '4194304',
      ],
      ...args,
    ],
    { cwd: scratch, onLine: () => {} },
    `sipp (${name})`,
  );
}

/** The last line of a sipp statistics file, by column. */
async function lastStatistics(path: string): Promise<Record<string, string>> {
  const lines = (await readFile(path, 'latin1')).trimEnd().split('\n');
  const names = (lines[0] ?? '').split(';');
  const values = (lines.at(-1) ?? '').split(';');
  return Object.fromEntries(names.map((name, i) => [name, values[i] ?? '']));
}

/** `00:00:00:001234`: hours, minutes, seconds, microseconds. */
function milliseconds(text: string): number {
  const [hours = 0, minutes = 0, seconds = 0, microseconds = 0] = text.split(':').map(Number);
  return ((hours * 60 + minutes) * 60 + seconds) * 1000 + microseconds / 1000;
}
