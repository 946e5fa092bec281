import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { CloudsipError } from '../../src/error.ts';

/** `ERR_TEST_PROGRAM`: a program ended, kept silent or failed where a test counted on it. */
export class ProgramError extends CloudsipError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_TEST_PROGRAM', message, options);
  }
}

export interface ProgramOptions {
  readonly cwd?: string;
  /** Replaces the environment; the default is that of the test process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Takes standard output as bytes; it is then missing from `lines` and `output`. */
  readonly onStdout?: (chunk: Buffer) => void;
  /** Called for every whole line of standard output and standard error. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

export interface ProgramExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface LineOptions {
  /** Default 10 000. */
  readonly timeoutMs?: number;
  /** Index into `lines` at which to begin; default 0, so that a line that is already there counts. */
  readonly from?: number;
}

interface Waiter {
  readonly pattern: RegExp;
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

const keptLines = 100_000;

/** A program that a test started: its lines, its end, and the right to end it. */
export class Program implements AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /** Resolves when the program has ended and all of its output has been read. Never rejects. */
  readonly exited: Promise<ProgramExit>;
  /** Lines of standard output and error in order of arrival; the first 100 000 are kept. */
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #waiters = new Set<Waiter>();
  readonly #onLine: ProgramOptions['onLine'];
  #exit: ProgramExit | undefined;

  constructor(
    command: string,
    args: readonly string[],
    options: ProgramOptions = {},
    name: string = command,
  ) {
    this.name = name;
    this.#onLine = options.onLine;
    this.#child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdin?.on('error', () => {}); // EPIPE: the program's end is told by `exited`
    if (options.onStdout) this.#child.stdout?.on('data', options.onStdout);
    else this.#readLines('stdout');
    this.#readLines('stderr');
    this.exited = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#takeLine(`cannot start ${this.name}: ${error.message}`, 'stderr');
        if (this.#child.pid === undefined) this.#finish({ exitCode: null, signal: null }, resolve);
      });
      this.#child.once('close', (exitCode, signal) => this.#finish({ exitCode, signal }, resolve));
    });
    this.pid = this.#child.pid ?? -1;
  }

  /** The exit once there is one. */
  get exit(): ProgramExit | undefined {
    return this.#exit;
  }

  /** Everything printed so far, as one text. */
  get output(): string {
    return this.lines.join('\n');
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Closes standard input. */
  end(): void {
    this.#child.stdin?.end();
  }

  /** The first line that matches; rejects when time is up or the program ends without it. */
  line(pattern: RegExp, options: LineOptions = {}): Promise<string> {
    const found = this.lines.slice(options.from ?? 0).find((line) => pattern.test(line));
    if (found !== undefined) return Promise.resolve(found);
    if (this.#exit) return Promise.reject(this.#ended(pattern, this.#exit));
    const timeoutMs = options.timeoutMs ?? 10_000;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        act();
      };
      const waiter: Waiter = {
        pattern,
        resolve: (line) => settle(() => resolve(line)),
        reject: (error) => settle(() => reject(error)),
      };
      const timer = setTimeout(() => {
        waiter.reject(
          new ProgramError(
            `${this.name} printed nothing like ${pattern} in ${timeoutMs} ms.\n${this.#tail()}`,
          ),
        );
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#exit) this.#child.kill(signal);
  }

  /** Sends the signal and waits; SIGKILL follows when the program is still there after `graceMs`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 5_000): Promise<ProgramExit> {
    this.signal(signal);
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /** Waits for the program to end by itself; after `timeoutMs` it is killed and the promise rejects. */
  async ended(timeoutMs: number): Promise<ProgramExit> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.signal('SIGKILL');
    }, timeoutMs);
    const exit = await this.exited;
    clearTimeout(timer);
    if (late) throw new ProgramError(`${this.name} was to end within ${timeoutMs} ms.\n${this.#tail()}`);
    return exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #readLines(stream: 'stdout' | 'stderr'): void {
    const readable = this.#child[stream];
    if (!readable) return;
    let rest = '';
    readable.setEncoding('utf8');
    readable.on('data', (chunk: string) => {
      const lines = (rest + chunk).split(/\r?\n/);
      rest = lines.pop() ?? '';
      for (const line of lines) this.#takeLine(line, stream);
    });
    readable.on('end', () => {
      if (rest !== '') this.#takeLine(rest, stream);
    });
  }

  #takeLine(line: string, stream: 'stdout' | 'stderr'): void {
    if (this.lines.length < keptLines) this.lines.push(line);
    this.#onLine?.(line, stream);
    for (const waiter of [...this.#waiters]) if (waiter.pattern.test(line)) waiter.resolve(line);
  }

  #finish(exit: ProgramExit, resolve: (exit: ProgramExit) => void): void {
    this.#exit = exit;
    for (const waiter of [...this.#waiters]) waiter.reject(this.#ended(waiter.pattern, exit));
    resolve(exit);
  }

  #ended(pattern: RegExp, exit: ProgramExit): ProgramError {
    const how = exit.signal ?? `exit code ${exit.exitCode}`;
    return new ProgramError(`${this.name} ended (${how}) before it printed ${pattern}.\n${this.#tail()}`);
  }

  #tail(): string {
    return this.lines.slice(-40).join('\n');
  }
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Written to standard input. */
  readonly input?: string;
  /** Default 30 000. */
  readonly timeoutMs?: number;
  /** Resolve for a non-zero exit code too. Default false. */
  readonly allowFailure?: boolean;
}

/** Runs a command to its end. Rejects with ProgramError when it fails, unless `allowFailure`. */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const { cwd, env, input, timeoutMs = 30_000, allowFailure = false } = options;
  const child = spawn(command, args, {
    cwd,
    env: env ?? process.env,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const chunks: { stdout: string[]; stderr: string[] } = { stdout: [], stderr: [] };
  child.stdout.setEncoding('utf8').on('data', (text: string) => chunks.stdout.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => chunks.stderr.push(text));
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  const [exitCode, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  const stdout = chunks.stdout.join('');
  const stderr = chunks.stderr.join('');
  if (exitCode !== 0 && !allowFailure) {
    throw new ProgramError(
      `${command} ${args.join(' ')}: ${signal ?? `exit code ${exitCode}`}\n${stderr}${stdout}`,
    );
  }
  return { stdout, stderr, exitCode };
}
