import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../net/clock.ts';
import type { ApiReply } from './api-reply.ts';
import { DiscoveryError } from './discovery-error.ts';

export interface AskApiOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The child's whole environment: the SDK finds its credentials and endpoints there, as its users expect. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** 20000 by default: importing an SDK alone takes seconds on a small machine. */
  readonly timeoutMs?: number;
}

const MAX_REPLY_BYTES = 8 * 1024 * 1024;

/**
 * Asks a cloud's API in a child process that ends with its answer: an SDK costs seconds and hundreds of
 * megabytes, and none of them stay in the agent. `program` is the module that answers, by `serveApi`; it is
 * given as its `.ts` file. Rejects with the `DiscoveryError` of the child, `discovery.api-timeout`,
 * `discovery.api-failed` or `discovery.aborted`.
 */
export async function askApi<Answer>(
  program: URL,
  question: unknown,
  { clock, signal, env, timeoutMs = 20_000 }: AskApiOptions,
): Promise<Answer> {
  const given = fileURLToPath(program);
  const path = import.meta.url.endsWith('.js') ? given.replace(/\.ts$/, '.js') : given;
  const aborted = (): DiscoveryError =>
    new DiscoveryError(
      'discovery.aborted',
      'the question to the API was given up because cloudsip is stopping.',
    );
  if (signal.aborted) throw aborted();
  return new Promise((resolve, reject) => {
    // Nothing of the question stands in the arguments, where every user of the machine could read it.
    const child = spawn(process.execPath, [path], { env: { ...env }, stdio: ['pipe', 'pipe', 'ignore'] });
    const chunks: Buffer[] = [];
    let bytes = 0;
    let failure: DiscoveryError | undefined;
    const end = (error: DiscoveryError): void => {
      failure ??= error;
      child.kill('SIGKILL');
    };
    const onAbort = (): void => end(aborted());
    const timer = clock.schedule(
      () =>
        end(
          new DiscoveryError(
            'discovery.api-timeout',
            `The cloud's API gave no answer within ${timeoutMs} ms. Check that this machine reaches the API's endpoint (a NAT gateway, a private endpoint or a public address is needed), and the endpoint set in the environment, if any.`,
          ),
        ),
      timeoutMs,
    );
    // The clock's timers keep no process alive, and at boot nothing else may.
    const alive = setInterval(() => {}, timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_REPLY_BYTES) end(failed(`an answer of more than ${MAX_REPLY_BYTES} bytes`));
      else chunks.push(chunk);
    });
    // A child that ended before it read the question is told of by its end.
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify(question));
    const settle = (error?: Error, code?: number | null): void => {
      clock.cancel(timer);
      clearInterval(alive);
      signal.removeEventListener('abort', onAbort);
      if (failure) reject(failure);
      else if (error) reject(failed(`an error when its program was started (${error.message})`));
      else {
        const reply = parseReply<Answer>(Buffer.concat(chunks).toString('utf8'));
        if (!reply) reject(failed(`no answer: its program ended with ${code ?? 'a signal'}`));
        else if ('answer' in reply) resolve(reply.answer);
        else reject(new DiscoveryError(reply.error.code, reply.error.message));
      }
    };
    child.on('error', (error) => settle(error));
    child.on('close', (code) => settle(undefined, code));
  });
}

function failed(what: string): DiscoveryError {
  return new DiscoveryError(
    'discovery.api-failed',
    `The cloud's API: expected an answer, came ${what}. Run "cloudsip doctor" to see what it says.`,
  );
}

function parseReply<Answer>(text: string): ApiReply<Answer> | undefined {
  try {
    const reply = JSON.parse(text) as { answer?: Answer; error?: { message?: unknown } } | null;
    const isReply = reply?.answer !== undefined || typeof reply?.error?.message === 'string';
    return isReply ? (reply as ApiReply<Answer>) : undefined;
  } catch {
    return undefined;
  }
}
