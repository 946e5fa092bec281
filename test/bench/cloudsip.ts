import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAccountStore } from '../../src/account/account-store.ts';
import type { Endpoint } from '../../src/net/address.ts';
import { Program } from '../support/process.ts';
import { freeEndpoint } from './loopback.ts';
import { callee, type Server, standing } from './server.ts';

/** What `npm start` runs: the built program where it is up to date. */
const launcher = join(import.meta.dirname, '../../src/cloudsip');

export interface CloudsipOptions {
  /** Write a processor profile into this directory when it ends. */
  readonly profileInto?: string;
  /** Where it listens; default somewhere on the loopback. */
  readonly endpoint?: Endpoint;
  /** Its options for media; default none, as Kamailio relays none here either. */
  readonly media?: readonly string[];
}

/** Starts cloudsip with accounts for those who are called. */
export async function startCloudsip(options: CloudsipOptions = {}): Promise<Server> {
  const { profileInto, media = ['--media', 'off'] } = options;
  const scratch = await mkdtemp(join(tmpdir(), 'cloudsip-bench-'));
  const accounts = openAccountStore(scratch);
  const { password } = accounts.add(callee);
  accounts.add(standing, password);
  accounts.close();
  const endpoint = options.endpoint ?? (await freeEndpoint());
  const profiling = profileInto ? ` --cpu-prof --cpu-prof-dir=${profileInto}` : '';
  const program = new Program(
    launcher,
    [
      ...['--listen', `udp:${endpoint.address}:${endpoint.port}`, '--state-dir', scratch],
      ...['--provider', 'local', '--log-level', 'info', ...media],
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
