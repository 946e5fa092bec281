import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LabHost } from '../lab/lab-host.ts';
import { type Program, ProgramError, type ProgramExit, type RunResult } from './process.ts';

const mainProgram = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** What /sys/class/dmi/id says on EC2 (Nitro). */
export const ec2Firmware: Readonly<Record<string, string>> = {
  bios_vendor: 'Amazon EC2',
  board_vendor: 'Amazon EC2',
  board_asset_tag: 'i-0123456789abcdef0',
  chassis_vendor: 'Amazon EC2',
  product_name: 'm7i.large',
  sys_vendor: 'Amazon EC2',
};

export interface CloudsipOptions {
  /** After `main.ts`; none by default, which is the case that matters. */
  readonly args?: readonly string[];
  /** Added to an environment that holds PATH and HOME only. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: one directory for each host, which outlives the process as a disk does. */
  readonly stateDir?: string;
  /** Files of /sys/class/dmi/id by name; default `ec2Firmware`. */
  readonly firmware?: Readonly<Record<string, string>>;
  /** Run it at a terminal of its own (util-linux's script): what a person sees is in `program.lines`. */
  readonly terminal?: boolean;
  /** Default 20 000. */
  readonly readyTimeoutMs?: number;
}

/** One line of its log. */
export interface LogRecord {
  readonly level: string;
  readonly msg: string;
  readonly [name: string]: unknown;
}

export interface CloudsipAccount {
  readonly name: string;
  readonly password: string;
}

/** The agent, running on a host of the laboratory. */
export class CloudsipProcess implements AsyncDisposable {
  readonly host: LabHost;
  readonly program: Program;
  readonly stateDir: string;
  /** Every line of its log that was JSON, oldest first. */
  readonly log: LogRecord[];

  constructor(host: LabHost, program: Program, stateDir: string, log: LogRecord[]) {
    this.host = host;
    this.program = program;
    this.stateDir = stateDir;
    this.log = log;
  }

  get pid(): number {
    return this.program.pid;
  }

  /** The first record with this message, past or future, at or after index `from` of `program.lines`. */
  async logged(message: string, options: { timeoutMs?: number; from?: number } = {}): Promise<LogRecord> {
    const line = await this.program.line(new RegExp(`"msg":${literal(JSON.stringify(message))}`), options);
    return JSON.parse(line) as LogRecord;
  }

  /** The accounts that were made at the first start, and those added since, as `cloudsip user list` shows them. */
  async accounts(): Promise<CloudsipAccount[]> {
    const args = [mainProgram, 'user', 'list', '--json'];
    const env = { ...baseEnvironment(), CLOUDSIP_STATE_DIR: this.stateDir };
    const { stdout } = await this.host.run(process.execPath, args, { env });
    return JSON.parse(stdout) as CloudsipAccount[];
  }

  /** Makes an account, as `cloudsip user add` does; the running agent knows it at once. */
  async addAccount(name: string, password: string): Promise<CloudsipAccount> {
    const env = { ...baseEnvironment(), CLOUDSIP_STATE_DIR: this.stateDir };
    const args = [mainProgram, 'user', 'add', name];
    await this.host.run(process.execPath, args, { env, input: `${password}\n` });
    return { name, password };
  }

  /** SIGTERM; resolves when it has ended. An exit by SIGKILL means that it took longer than `graceMs`. */
  stop(graceMs = 10_000): Promise<ProgramExit> {
    return this.program.stop('SIGTERM', graceMs);
  }

  /** Ends it as a power cut would; what it had on disk stays. */
  kill9(): Promise<ProgramExit> {
    return this.program.stop('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** The mount namespace that `ip netns exec` makes is this process's own: nobody else sees the firmware. */
const withFirmware = 'cp -a /sys/class/net "$0" && mount --bind "$0" /sys/class && exec "$@"';

export interface CommandOptions extends Pick<CloudsipOptions, 'env' | 'stateDir' | 'firmware'> {
  /** Numeric user to run as; root by default. */
  readonly uid?: number;
}

/** Runs a command of cloudsip, `['doctor', '--json']`, on a host of the laboratory, whatever its exit code. */
export function runCloudsip(
  host: LabHost,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<RunResult> {
  const { uid, stateDir = join(host.directory, 'cloudsip-state') } = options;
  const sysClass = layOutSysClass(host, options.firmware ?? ec2Firmware);
  const user =
    uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
  const words = [...user, process.execPath, mainProgram, ...args];
  return host.run('sh', ['-c', withFirmware, sysClass, ...words], {
    env: { ...baseEnvironment(), CLOUDSIP_STATE_DIR: stateDir, ...options.env },
    allowFailure: true,
  });
}

/** Starts the agent and resolves when it serves; rejects with its output when it does not come so far. */
export async function startCloudsip(host: LabHost, options: CloudsipOptions = {}): Promise<CloudsipProcess> {
  const stateDir = options.stateDir ?? join(host.directory, 'cloudsip-state');
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const sysClass = layOutSysClass(host, options.firmware ?? ec2Firmware);
  const log: LogRecord[] = [];
  // LAB_MEDIA=koffi npm test -- test/lab runs every laboratory with one forwarder.
  const media = process.env['LAB_MEDIA'];
  const wanted = options.args ?? [];
  const args = media && !wanted.includes('--media') ? ['--media', media, ...wanted] : wanted;
  const agent = [process.execPath, mainProgram, ...args];
  const words = options.terminal ? ['script', '-qfec', `exec ${agent.join(' ')}`, '/dev/null'] : agent;
  const program = host.spawn('sh', ['-c', withFirmware, sysClass, ...words], {
    env: { ...baseEnvironment(), CLOUDSIP_STATE_DIR: stateDir, ...options.env },
    onLine: (line) => {
      if (!line.startsWith('{')) return;
      try {
        log.push(JSON.parse(line) as LogRecord);
      } catch {
        // a line that only looks like a record; it is in program.lines
      }
    },
  });
  const cloudsip = new CloudsipProcess(host, program, stateDir, log);
  try {
    const ready = options.terminal ? /ready after/ : /"msg":"ready"/;
    await program.line(ready, { timeoutMs: options.readyTimeoutMs ?? 20_000 });
  } catch (cause) {
    await cloudsip.kill9();
    throw new ProgramError(`cloudsip did not become ready on ${host.name}.\n${program.output}`, { cause });
  }
  return cloudsip;
}

/** What will stand in for /sys/class: the firmware that was asked for. The network cards join it inside. */
function layOutSysClass(host: LabHost, firmware: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(host.directory, 'sys-class-'));
  chmodSync(directory, 0o755);
  const dmi = join(directory, 'dmi', 'id');
  mkdirSync(dmi, { recursive: true });
  for (const [name, value] of Object.entries(firmware)) writeFileSync(join(dmi, name), `${value}\n`);
  return directory;
}

function baseEnvironment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: '/root' };
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
