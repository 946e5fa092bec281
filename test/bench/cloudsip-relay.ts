import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ForwarderKind, MediaStats } from '../../src/media/media-contract.ts';
import { Program } from '../support/process.ts';
import type { BenchRelay } from './media-relay.ts';

/** What `npm start` runs Node with. */
function launcherFlags(): string[] {
  const launcher = readFileSync(join(import.meta.dirname, '../../src/cloudsip'), 'utf8');
  return /^flags="(.*)"$/m.exec(launcher)?.[1]?.split(' ') ?? [];
}

/** Node itself raises its limit to the hard one. */
function allowedDescriptors(): number {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
}

export interface CloudsipRelayOptions {
  /** How many files it opens: where this process may not open as many, it is allowed to, if that is ours to give. */
  readonly descriptors?: number;
}

/** Starts cloudsip's relay, without the rest of it, in a process of its own. */
export async function startCloudsipRelay(
  forwarder: ForwarderKind,
  { descriptors = 0 }: CloudsipRelayOptions = {},
): Promise<BenchRelay> {
  const raised = descriptors > allowedDescriptors() ? ['prlimit', `--nofile=${descriptors}`] : [];
  const [command, ...args] = [
    ...raised,
    ...[process.execPath, ...launcherFlags()],
    ...[join(import.meta.dirname, 'relay-process.ts'), forwarder],
  ];
  const program = new Program(
    command!,
    args,
    { env: { ...process.env, NODE_ENV: 'production' } },
    `cloudsip with ${forwarder}`,
  );
  const ask = async <Answer>(line: string): Promise<Answer> => {
    const from = program.lines.length;
    program.write(`${line}\n`);
    return JSON.parse(await program.line(/^\{/, { from, timeoutMs: 60_000 })) as Answer;
  };
  await ask('stats');
  let made = 0;
  return {
    name: `cloudsip ${forwarder}`,
    pid: program.pid,
    async add(calls, rtcp) {
      made = calls;
      const { ports, milliseconds } = await ask<{ ports: [number, number][]; milliseconds: number }>(
        `add ${calls} ${rtcp ?? 'apart'}`,
      );
      return { ports, microsecondsPerCall: (milliseconds * 1000) / calls };
    },
    async remove() {
      const { milliseconds } = await ask<{ milliseconds: number }>('remove');
      return (milliseconds * 1000) / made;
    },
    async report() {
      const { packets, kernelPackets } = await ask<MediaStats>('stats');
      return `${((100 * kernelPackets) / Math.max(1, packets)).toFixed(1)} % in the kernel`;
    },
    async [Symbol.asyncDispose]() {
      program.end();
      await program.stop('SIGTERM');
    },
  };
}
