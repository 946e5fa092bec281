import { copyFileSync, existsSync, mkdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LabHost } from '../lab/lab-host.ts';
import { type Program, ProgramError } from './process.ts';
import { MediaCounter, tonePcap } from './sipp-media.ts';
import { parseSippStatistics, type SippStatistics } from './sipp-statistics.ts';

export interface SippOptions {
  /** Name of a file in test/lab/scenarios without `.xml`: `uac`, `uas`, `register`. */
  readonly scenario: string;
  /** Where requests go: `203.0.113.5` or `203.0.113.5:5060`. Not for a scenario that is called. */
  readonly target?: string;
  /** The domain in URIs; default the target's host. */
  readonly domain?: string;
  /** The user that is called; one for all calls, as sipp computes every digest over one URI. */
  readonly callee?: string;
  /** Default 5060. */
  readonly localPort?: number;
  /** Default the host's first address. */
  readonly localAddress?: string;
  readonly transport?: 'udp' | 'tcp';
  /** Ends after so many calls; default 1. A scenario that is called may be stopped instead: `Infinity`. */
  readonly calls?: number;
  /** Calls per second; default 10. */
  readonly callsPerSecond?: number;
  /** How long a call talks; default 2000. */
  readonly talkMs?: number;
  /** How long it sends its tone; default the whole talk. What is sent beside the BYE may miss the call's end. */
  readonly toneMs?: number;
  /** Who calls, in turn. Passwords go into a file, never onto the command line. */
  readonly users?: readonly SippUser[];
  /** The tone of its RTP; default 440. */
  readonly toneHz?: number;
  /** First RTP port; the 10 000 from there on belong to this run, four to a call. Default 20 000. */
  readonly mediaPort?: number;
  /** More arguments of sipp. */
  readonly args?: readonly string[];
  /** The run is killed and `finished` rejects after so long; default 60 000. */
  readonly timeoutMs?: number;
}

export interface SippUser {
  readonly user: string;
  readonly password?: string;
}

export interface SippResult extends SippStatistics {
  /** 0 when all calls succeeded, 1 when some failed, 99 without any call; null when ended by a signal. */
  readonly exitCode: number | null;
  /** What sipp found unexpected, for a person to read. */
  readonly errors: string;
  /** Port to number of RTP packets that reached it; every call has a port of its own. */
  readonly rtpReceived: ReadonlyMap<number, number>;
}

const scenarios = join(import.meta.dirname, '..', 'lab', 'scenarios');
const defaultTalkMs = 2_000;
const defaultMediaPort = 20_000;
/** From a delay of so long on, sipp calls itself overloaded: it may stand as long as a transaction stands it. */
const watchdogMs = 2000;
let runs = 0;

/** One run of sipp on a host of the laboratory. */
export class SippRun implements AsyncDisposable {
  readonly program: Program;
  readonly directory: string;
  readonly #media: MediaCounter;
  /** Rejects when time ran out or sipp could not work at all; failed calls are told in the result. */
  readonly finished: Promise<SippResult>;

  private constructor(program: Program, directory: string, media: MediaCounter, timeoutMs: number) {
    this.program = program;
    this.#media = media;
    this.directory = directory;
    this.finished = this.#finish(timeoutMs);
    this.finished.catch(() => {}); // told to whoever awaits it
  }

  /** Resolves when sipp has bound its port. */
  static async start(host: LabHost, options: SippOptions): Promise<SippRun> {
    const directory = join(host.directory, `sipp-${++runs}-${options.scenario}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(
      join(directory, 'tone.pcap'),
      tonePcap(options.toneHz ?? 440, options.toneMs ?? options.talkMs ?? defaultTalkMs),
    );
    // sipp looks for the tone beside the scenario.
    copyFileSync(join(scenarios, `${options.scenario}.xml`), join(directory, 'scenario.xml'));
    const media = await MediaCounter.start(host, `sipp${runs}`, options.mediaPort ?? defaultMediaPort);
    const args = commandLine(host, options, directory);
    const program = host.spawn('sipp', args, { cwd: directory, env: { ...process.env, TERM: 'dumb' } });
    const run = new SippRun(program, directory, media, options.timeoutMs ?? 60_000);
    await run.#bound(options.localPort ?? 5060);
    return run;
  }

  /** Lets calls in progress end, takes no more, and waits for the result. */
  async stop(): Promise<SippResult> {
    this.program.signal('SIGUSR1');
    return await this.finished;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program.stop('SIGKILL');
    await this.finished.catch(() => {});
  }

  async #finish(timeoutMs: number): Promise<SippResult> {
    await using media = this.#media;
    const { exitCode } = await this.program.ended(timeoutMs);
    const statistics = parseSippStatistics(this.#read('statistics.csv'));
    const errors = this.#read('errors.log');
    if (!statistics)
      throw new ProgramError(`${this.program.name} left no figures.\n${errors}\n${this.program.output}`);
    return { ...statistics, exitCode, errors, rtpReceived: await media.packetsByPort() };
  }

  /**
   * Without a terminal sipp says nothing when it is ready. But it writes its statistics file early and once a
   * second after that: each of those moments is one to look whether the port is there.
   */
  async #bound(port: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const pattern = new RegExp(`:${port.toString(16).toUpperCase().padStart(4, '0')} `);
    const look = () => {
      const { pid, exit } = this.program;
      if (exit) return;
      const sockets = ['udp', 'tcp'].map((name) => `/proc/${pid}/net/${name}`);
      if (sockets.some((path) => existsSync(path) && pattern.test(readFileSync(path, 'latin1')))) resolve();
    };
    const watcher = watch(this.directory, look);
    look();
    await Promise.race([promise, this.finished]);
    watcher.close();
  }

  #read(name: string): string {
    const path = join(this.directory, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }
}

/** Runs sipp to its end. */
export async function runSipp(host: LabHost, options: SippOptions): Promise<SippResult> {
  await using run = await SippRun.start(host, options);
  return await run.finished;
}

function commandLine(host: LabHost, options: SippOptions, directory: string): string[] {
  const {
    target,
    transport = 'udp',
    calls = 1,
    callsPerSecond = 10,
    talkMs = defaultTalkMs,
    localPort = 5060,
  } = options;
  const localAddress = options.localAddress ?? host.address;
  const args = ['-sf', join(directory, 'scenario.xml')];
  args.push('-i', localAddress, '-p', String(localPort), '-mi', localAddress);
  args.push('-t', transport === 'udp' ? 'u1' : 't1');
  args.push('-mp', String(options.mediaPort ?? defaultMediaPort));
  args.push('-r', String(callsPerSecond), '-d', String(talkMs));
  if (Number.isFinite(calls)) args.push('-m', String(calls));
  args.push('-nostdin', '-fd', '1', '-trace_stat', '-stf', join(directory, 'statistics.csv'));
  // It tells of being kept from the processor, which is no error of the other side: calls and packets are counted.
  args.push('-watchdog_minor_threshold', String(watchdogMs));
  args.push('-trace_err', '-error_file', join(directory, 'errors.log'));
  const domain = options.domain ?? target?.split(':')[0] ?? localAddress;
  args.push('-key', 'domain', domain);
  if (options.callee !== undefined) {
    // RFC 7616 section 3.4: the digest's uri is that of the request; left alone, sipp takes the target's address.
    args.push('-key', 'callee', options.callee, '-auth_uri', `${options.callee}@${domain}`);
  }
  if (options.users) {
    const file = join(directory, 'users.csv');
    const lines = options.users.map(({ user, password }) => {
      const proof = password === undefined ? '' : `[authentication username=${user} password=${password}]`;
      return `${user};${proof}`;
    });
    writeFileSync(file, `SEQUENTIAL\n${lines.join('\n')}\n`, { mode: 0o600 });
    args.push('-inf', file);
  }
  args.push(...(options.args ?? []));
  if (target !== undefined) args.push(target);
  return args;
}
