import {
  type DestinationStream,
  destination,
  type Logger,
  type LoggerOptions,
  pino,
  stdTimeFunctions,
} from 'pino';
import type { LogLevel } from './configuration.ts';
import { harmlessLine, redactLine } from './redaction.ts';

/** What of `process.stdout` the log needs; any writable stream serves in its place. */
export interface LogOutput extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly fd?: number;
}

/** What waits for a slow reader of standard output; lines beyond it are dropped. In bytes. */
const maxWaiting = 4 * 1024 * 1024;
/** How long the exit of the process waits for a reader that takes nothing. */
const lastWaitMs = 1000;

/**
 * The log: lines to read on a terminal, JSON lines elsewhere. Credentials are left out of both. Lines to a
 * pipe or a file are written without waiting for the reader; what waits is written when the process exits.
 */
export async function createLog(level: LogLevel, output: LogOutput = process.stdout): Promise<Logger> {
  if (output.isTTY) {
    return pino(
      { ...common(level), hooks: { streamWrite: (line) => redactLine(harmlessLine(line)) } },
      await prettyStream(output),
    );
  }
  const options = { ...common(level), hooks: { streamWrite: redactLine } };
  if (output.fd === undefined) return pino(options, output);
  let waitsUntil = Number.POSITIVE_INFINITY;
  const retryEAGAIN = (): boolean => performance.now() < waitsUntil;
  const stream = destination({ dest: output.fd, sync: false, maxLength: maxWaiting, retryEAGAIN });
  const log = pino(options, stream);
  let dropped = 0;
  stream.on('drop', () => dropped++);
  // A full disk is no reason to end: the next line has it tried again.
  let failed = false;
  stream.on('error', () => {
    failed = true;
  });
  stream.on('write', () => {
    failed = false;
  });
  const flushSync = stream.flushSync.bind(stream);
  // At the exit. By itself it waits for ever, for a reader that stands still and for a disk that is full.
  stream.flushSync = () => {
    if (failed) return;
    waitsUntil = performance.now() + lastWaitMs;
    try {
      flushSync();
    } catch {
      // Nobody takes it.
    }
  };
  stream.on('drain', () => {
    if (dropped === 0) return;
    log.warn({ dropped }, 'log lines were dropped: standard output is read too slowly');
    dropped = 0;
  });
  return log;
}

function common(level: LogLevel): LoggerOptions {
  return {
    level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
}

/** Loaded only for a terminal: it costs 70 ms of the start. In this thread, so that no line outlives the process. */
async function prettyStream(output: LogOutput): Promise<DestinationStream> {
  const { prettyFactory } = await import('pino-pretty');
  const pretty = prettyFactory({
    colorize: process.env['NO_COLOR'] === undefined,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  });
  return { write: (line: string) => output.write(pretty(line)) };
}
