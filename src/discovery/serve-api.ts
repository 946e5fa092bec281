import { writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { ApiReply } from './api-reply.ts';
import { DiscoveryError, quoted } from './discovery-error.ts';

/**
 * The whole life of a child that `askApi` started: reads the question, answers it, ends. `answer` rejects with a
 * `DiscoveryError` for what it understands of the cloud's refusal; anything else is told as `discovery.api-failed`.
 */
export async function serveApi<Question, Answer>(
  answer: (question: Question) => Promise<Answer>,
): Promise<never> {
  let reply: ApiReply<Answer>;
  try {
    reply = { answer: await answer(JSON.parse(await text(process.stdin)) as Question) };
  } catch (error) {
    const known = error instanceof DiscoveryError ? error : unknown(error);
    reply = { error: { code: known.code, message: known.message } };
  }
  // Written whole before the end: SDKs leave sockets and timers open that would keep the process.
  writeAll(JSON.stringify(reply));
  process.exit(0);
}

function unknown(error: unknown): DiscoveryError {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return new DiscoveryError(
    'discovery.api-failed',
    `The cloud's API: expected an answer, came ${name}: ${quoted(message)}.`,
    { cause: error },
  );
}

function writeAll(textToWrite: string): void {
  let rest: Uint8Array = Buffer.from(textToWrite);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      // A pipe that is full for the moment.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}
