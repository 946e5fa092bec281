import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { LabHost } from '../lab/lab-host.ts';
import { type Program, ProgramError } from './process.ts';

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

interface Evaluated {
  readonly result: { readonly value: unknown };
  readonly exceptionDetails?: {
    readonly text: string;
    readonly exception?: { readonly description?: string };
  };
}

/** Without a display, a sound card, or a word to anybody's servers. */
const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-extensions',
  '--mute-audio',
  // Nobody clicks here before sound may be made.
  '--autoplay-policy=no-user-gesture-required',
];

/** Host candidates with their addresses: nobody answers mDNS in the laboratory. */
const plainAddresses = '--disable-features=WebRtcHideLocalIpsWithMdns';

export interface ChromiumOptions {
  /** Names of mDNS in the places of its addresses, as it writes them by itself. */
  readonly hidesAddresses?: boolean;
}

/** A page in a real browser on a host of the laboratory, told what to do by the DevTools protocol over a pipe. */
export class ChromiumPage implements AsyncDisposable {
  readonly program: Program;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #rest = '';
  #ids = 0;
  #session: string | undefined;

  private constructor(host: LabHost, { hidesAddresses = false }: ChromiumOptions) {
    const profile = mkdtempSync(join(host.directory, 'chromium-'));
    // The protocol speaks on descriptors 3 and 4.
    const script = 'exec chromium "$@" 3<&0 4>&1 </dev/null >/dev/null';
    const privacy = hidesAddresses ? [] : [plainAddresses];
    const words = [
      ...flags,
      ...privacy,
      '--remote-debugging-pipe',
      `--user-data-dir=${profile}`,
      'about:blank',
    ];
    const { PATH = '/usr/bin:/bin' } = process.env;
    this.program = host.spawn('sh', ['-c', script, 'chromium', ...words], {
      env: { PATH, HOME: profile, TMPDIR: profile },
      onStdout: (chunk) => this.#take(chunk.toString('utf8')),
    });
  }

  /** Resolves when the page can be told things. */
  static async open(host: LabHost, options: ChromiumOptions = {}): Promise<ChromiumPage> {
    const page = new ChromiumPage(host, options);
    try {
      const { targetId } = (await page.#ask('Target.createTarget', { url: 'about:blank' })) as {
        targetId: string;
      };
      const attached = await page.#ask('Target.attachToTarget', { targetId, flatten: true });
      page.#session = (attached as { sessionId: string }).sessionId;
      return page;
    } catch (error) {
      await page[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What an expression gives in the page, once it has come true; plain data only. */
  async evaluate<T>(expression: string): Promise<T> {
    const given = (await this.#ask('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
      userGesture: true,
    })) as Evaluated;
    const { result, exceptionDetails } = given;
    if (!exceptionDetails) return result.value as T;
    const { text, exception } = exceptionDetails;
    throw new ProgramError(`the page failed: ${exception?.description ?? text}`);
  }

  async #ask(method: string, params: object): Promise<unknown> {
    const id = ++this.#ids;
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.program.write(`${JSON.stringify({ id, method, params, sessionId: this.#session })}\0`);
    const gone = this.program.exited.then(() => {
      throw new ProgramError(`Chromium ended before it answered ${method}.\n${this.program.output}`);
    });
    const { result, error } = await Promise.race([answer, gone]);
    if (error) throw new ProgramError(`Chromium refused ${method}: ${error.message}`);
    return result;
  }

  #take(text: string): void {
    const messages = (this.#rest + text).split('\0');
    this.#rest = messages.pop()!;
    for (const message of messages) {
      const answer = JSON.parse(message) as Answer;
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program.stop('SIGTERM', 3_000);
  }
}
