import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAccountStore } from '../../src/account/account-store.ts';
import { Program } from '../support/process.ts';
import { freeEndpoint } from './loopback.ts';
import { callee, type Server } from './server.ts';

/** What `npm start` runs: the built program where it is up to date. */
const launcher = join(import.meta.dirname, '../../src/cloudsip');

export interface CloudsipOptions {
  /** Write a processor profile into this directory when it ends. */
  readonly profileInto?: string;
}

/** Starts cloudsip with an account for the callee, and without media: Kamailio relays none here either. */
export async function startCloudsip({ profileInto }: CloudsipOptions = {}): Promise<Server> {
  const scratch = await mkdtemp(join(tmpdir(), 'cloudsip-bench-'));
  const accounts = openAccountStore(scratch);
  const { password } = accounts.add(callee);
  accounts.close();
  const endpoint = await freeEndpoint();
  const profiling = profileInto ? ` --cpu-prof --cpu-prof-dir=${profileInto}` : '';
  const program = new Program(
    launcher,
    [
      ...['--listen', `udp:${endpoint.address}:${endpoint.port}`, '--state-dir', scratch],
      ...['--provider', 'local', '--media', 'off', '--log-level', 'info'],
    ],
    {
      env: {
        ...process.env,
        NODE_ENV: 'production',
        NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''}${profiling}`,
      },
    },
    'cloudsip',
  );
  try {
    await program.line(/"msg":"ready"/, { timeoutMs: 30_000 });
  } catch (error) {
    await program.stop();
    await rm(scratch, { recursive: true, force: true });
    throw error;
  }
  return {
    name: 'cloudsip',
    endpoint,
    pid: program.pid,
    password,
    async [Symbol.asyncDispose]() {
      await program.stop('SIGTERM', 20_000);
      await rm(scratch, { recursive: true, force: true });
    },
  };
}
