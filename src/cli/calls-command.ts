import type { Writable } from 'node:stream';
import type { CallLine, CallStream, CallsHead } from '../proxy/call-lines.ts';
import { askAgent } from './ask-agent.ts';
import { columns } from './columns.ts';
import { harmlessInLine } from './harmless.ts';
import { unreachedReason } from './unreached-reason.ts';

export interface CallsCommandIo {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly stateDir: string;
  readonly json: boolean;
}

type Line = CallsHead | CallLine | { readonly done: true } | { readonly error: string };

/** `cloudsip calls`: the calls of this moment. Returns the exit code: 1 where no agent was reached. */
export async function runCallsCommand({ stdout, stderr, stateDir, json }: CallsCommandIo): Promise<number> {
  let head: CallsHead | undefined;
  let whole = false;
  const lines: CallLine[] = [];
  try {
    for await (const line of askAgent<Line>(stateDir, 'calls')) {
      if ('streams' in line) lines.push(line);
      else if ('forwarder' in line) head = line;
      else if ('done' in line) whole = true;
    }
  } catch (error) {
    stderr.write(`cloudsip: ${unreachedReason(error, stateDir)}\n`);
    return 1;
  }
  if (!head || !whole) {
    stderr.write('cloudsip: the agent did not tell all of its calls: it ended, or is of an older version\n');
    return 1;
  }
  const { calls, forwarder } = head;
  stdout.write(
    json ? `${JSON.stringify({ calls, forwarder, media: lines }, null, 2)}\n` : callsText(head, lines),
  );
  return 0;
}

const titles = ['call', 'side', 'from', 'here', 'codec', 'packets', 'in kernel', 'lost', 'jitter', 'MOS'];

function callsText({ calls, forwarder }: CallsHead, lines: readonly CallLine[]): string {
  const media = forwarder === null ? 'media is not relayed' : `media by ${forwarder}`;
  const head = `${calls} ${calls === 1 ? 'call' : 'calls'}, ${media}`;
  if (lines.length === 0) return `${head}\n`;
  const rows = lines.flatMap(({ callId, streams }) =>
    streams.map((stream, index) => [index === 0 ? callId : '', ...cells(stream)].map(harmlessInLine)),
  );
  return `${[head, '', ...columns([titles, ...rows])].join('\n')}\n`;
}

/** A dash for what is not known. */
function cells(stream: CallStream): string[] {
  const { party, stream: position, remote, described, bound, codec, packets, inKernel } = stream;
  const { lost, jitterMs, mos } = stream;
  return [
    position === 0 ? party : `${party} ${position}`,
    remote ?? described ?? '-',
    bound,
    codec ?? '-',
    String(packets),
    String(inKernel),
    String(lost ?? '-'),
    jitterMs === undefined ? '-' : `${jitterMs} ms`,
    String(mos ?? '-'),
  ];
}
