import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program, runProgram } from '../support/process.ts';
import { freeEndpoint } from './loopback.ts';
import type { Server } from './server.ts';

/** UDP workers: one for each of two processors is too few when one waits, Debian's eight are for more of them. */
const workers = 4;

/** Starts Kamailio with test/bench/kamailio.cfg. It answers some time after that. */
export async function startKamailio(): Promise<Server> {
  const scratch = await mkdtemp(join(tmpdir(), 'cloudsip-bench-kamailio-'));
  const endpoint = await freeEndpoint();
  const args = [
    ...['-f', join(import.meta.dirname, 'kamailio.cfg'), '-l', `udp:${endpoint.address}:${endpoint.port}`],
    ...['-n', String(workers), '-m', '512', '-M', '16', '-E', '-Y', scratch, '-w', scratch],
  ];
  // Once started it says of a mistake in its configuration no more than that it has ended.
  await runProgram('kamailio', ['-c', ...args]);
  const program = new Program('kamailio', ['-DD', ...args]);
  return {
    name: 'Kamailio',
    endpoint,
    pid: program.pid,
    password: '', // it asks for none
    async [Symbol.asyncDispose]() {
      await program.stop();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}
