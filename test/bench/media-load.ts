import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program, runProgram } from '../support/process.ts';
import type { MediaNetwork } from './media-network.ts';
import { othersNs, runTimeNs, systemBusyNs } from './run-time.ts';

export interface Load {
  readonly calls: number;
  readonly seconds: number;
}

/** What came of one run. Delays in microseconds. */
export interface LoadResult {
  readonly sent: number;
  readonly received: number;
  /** Came to the wrong phone. */
  readonly misled: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** Nanoseconds on the processors, of the phones and of the relay together. */
  readonly runNs: number;
  /** The same, but all that /proc/stat says less what other processes had. */
  readonly systemNs: number;
}

/** Streams that go through a relay settle before anything is counted. */
const warmSeconds = 3;

/** The program that plays the phones, compiled for this machine. */
export class Phones implements AsyncDisposable {
  readonly #directory: string;
  readonly #network: MediaNetwork;

  private constructor(directory: string, network: MediaNetwork) {
    this.#directory = directory;
    this.#network = network;
  }

  static async compile(network: MediaNetwork): Promise<Phones> {
    const directory = await mkdtemp(join(tmpdir(), 'cloudsip-bench-media-'));
    const source = join(import.meta.dirname, 'media-generator.c');
    await runProgram('cc', ['-O2', '-Wall', '-o', join(directory, 'phones'), source, '-lpthread']);
    return new Phones(directory, network);
  }

  /** Talks through the relay of process `pid`, whose ports are given for caller and callee of each call. */
  through(ports: readonly (readonly [number, number])[], load: Load, pid: number): Promise<LoadResult> {
    return this.#run(['w0', this.#network.relayMac], ports, load, [pid]);
  }

  /** Talks past any relay: what all other runs cost besides the relay. */
  past(load: Load): Promise<LoadResult> {
    const ports = Array.from({ length: load.calls }, (_, i) => [20_000 + 2 * i, 20_001 + 2 * i] as const);
    return this.#run(['w1', this.#network.otherMac], ports, load, [], ['w2']);
  }

  async #run(
    where: readonly string[],
    ports: readonly (readonly [number, number])[],
    { calls, seconds }: Load,
    relay: readonly number[],
    more: readonly string[] = [],
  ): Promise<LoadResult> {
    const args = [...where, String(calls), String(warmSeconds), String(seconds), ...more];
    const program = this.#network.world.inside(() => new Program(join(this.#directory, 'phones'), args));
    program.write(`${ports.flat().join('\n')}\n`);
    program.end();
    const pids = [program.pid, ...relay];
    const look = () => ({ run: runTimeNs(pids), system: systemBusyNs(), others: othersNs(pids) });
    await program.line(/^begin$/, { timeoutMs: 30_000 });
    const before = look();
    await program.line(/^end$/, { timeoutMs: (seconds + 30) * 1000 });
    const after = look();
    const counts = JSON.parse(await program.line(/^\{/, { timeoutMs: 30_000 })) as LoadResult;
    await program.exited;
    let others = 0;
    for (const [pid, ns] of after.others) others += ns - (before.others.get(pid) ?? 0);
    return {
      ...counts,
      runNs: after.run - before.run,
      systemNs: after.system - before.system - others,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}
