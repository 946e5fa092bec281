import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { ForwarderKind } from '../../src/media/media-contract.ts';
import { ip } from '../support/private-network.ts';
import { Program } from '../support/process.ts';
import type { CallResult } from './calls.ts';
import { startCloudsip } from './cloudsip.ts';
import { bpfMapBytes, bpfMaps } from './kernel-memory.ts';
import { type LoadResult, Phones } from './media-load.ts';
import { type MediaNetwork, openMediaNetwork, relayAddress } from './media-network.ts';
import { ownMemoryMib, residentMemoryMib } from './process-usage.ts';
import type { Server } from './server.ts';

const usage = `npm run bench -- together [options]

  --calls 200       calls that run, each with two streams of 50 packets a second
  --rate 200        new calls a second meanwhile, each with media of its own
  --seconds 15      how long the streams are measured, without the new calls and with them
  --only NAME       kernel, kernel-xdp, koffi or dgram. Repeatable; default kernel and koffi
  --memory N        only: memory of the agent for N calls set up by SIP, once the kernel forwards them
  --rest 0          and so many seconds later: V8 gives back what it does not need 100 s after its last collection`;

const kinds: readonly ForwarderKind[] = ['kernel', 'kernel-xdp', 'koffi', 'dgram'];

/** The cable for SIP: the media's own carries nothing but media. */
const [nearAddress, callerHost, calleeHost] = ['10.78.0.1', '10.78.0.2', '10.78.0.3'];
/** Before and after what is measured of sipp's run: it starts, and its last calls end. */
const marginSeconds = 2;
/** The last transaction ends 32 seconds after its call (RFC 3261 17.2.2). */
const transactionsEndMs = 40_000;

interface Phase {
  readonly name: string;
  readonly through: LoadResult;
  readonly past: LoadResult;
  readonly calls?: CallResult;
}

/** Measures running calls while others are set up and end, and prints a Markdown table. */
export async function together(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      calls: { type: 'string', default: '200' },
      rate: { type: 'string', default: '200' },
      seconds: { type: 'string', default: '15' },
      only: { type: 'string', multiple: true, default: ['kernel', 'koffi'] },
      memory: { type: 'string' },
      rest: { type: 'string', default: '0' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const names = values.only.map((name) => {
    const kind = kinds.find((known) => known === name);
    if (kind) return kind;
    throw new Error(`expected --only to be one of ${kinds.join(', ')} and got "${name}"`);
  });
  const network = openMediaNetwork();
  ip(
    `link add r1 type veth peer name w3 netns ${network.world.path}`,
    `address add ${nearAddress}/24 dev r1`,
    'link set r1 up',
  );
  network.world.inside(() =>
    ip(
      `address add ${callerHost}/24 dev w3`,
      `address add ${calleeHost}/24 dev w3`,
      'link set w3 up',
      `route add ${relayAddress} via ${nearAddress}`,
    ),
  );
  await using phones = await Phones.compile(network);
  if (values.memory !== undefined)
    return await watchMemory(network, phones, Number(values.memory), Number(values.rest));
  const [calls, rate, seconds] = [values.calls, values.rate, values.seconds].map(Number) as [
    number,
    number,
    number,
  ];
  const rows: string[] = [];
  for (const kind of names) {
    await using office = await Office.open(network, kind);
    const ports = await office.stand(calls);
    const talk = { calls, seconds };
    const through = (): Promise<LoadResult> => phones.through(ports, talk, office.server.pid);
    // Once for nothing: the streams settle and code is compiled.
    await phones.through(ports, { calls, seconds: 1 }, office.server.pid);
    const alone = { name: 'alone', through: await through(), past: await phones.past(talk) };
    const while_ = async (measure: () => Promise<LoadResult>): Promise<[LoadResult, CallResult]> => {
      const made = office.load(rate, rate * (seconds + 2 * marginSeconds + 3));
      await delay(marginSeconds * 1000);
      return [await measure(), await made];
    };
    const [result, made] = await while_(through);
    const [past] = await while_(() => phones.past(talk));
    const loaded = { name: `with ${rate} calls a second`, through: result, past, calls: made };
    rows.push(...[alone, loaded].map((phase) => row(kind, phase)));
    console.error(rows.slice(-2).join('\n'));
  }
  console.log(
    [
      '| Forwarder | Calls that run | Packets | Lost | Delay p50 µs | p99 µs | p99.9 µs | Without a relay p50 µs | p99 µs | p99.9 µs | New calls | Failed |',
      '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
      ...rows,
    ].join('\n'),
  );
}

function row(kind: ForwarderKind, { name, through, past, calls }: Phase): string {
  const delays = [through, past].flatMap(({ p50, p99, p999 }) => [p50, p99, p999]);
  const cells = [kind, name, through.sent, through.sent - through.received, ...delays];
  return `| ${[...cells, calls?.calls ?? '', calls?.failed ?? ''].join(' | ')} |`;
}

/** The agent as a whole, after calls that were set up by SIP: what stays of each once its transactions are over. */
async function watchMemory(
  network: MediaNetwork,
  phones: Phones,
  calls: number,
  restSeconds: number,
): Promise<void> {
  await using office = await Office.open(network, 'kernel');
  const { pid } = office.server;
  const maps = bpfMaps(pid);
  const look = () => ({
    own: ownMemoryMib([pid]),
    map: bpfMapBytes(maps) / 2 ** 20,
    resident: residentMemoryMib([pid]),
  });
  const before = look();
  const ports = await office.stand(calls);
  const load = { calls, seconds: 1 };
  await phones.through(ports, load, pid);
  const settled = look();
  await delay(transactionsEndMs);
  // A stream's packets once more: what is measured are calls that run.
  await phones.through(ports, load, pid);
  const after = look();
  const more = ({ own, map, resident }: typeof before): string => {
    const mib = own + map - before.own - before.map;
    return (
      `${mib.toFixed(1)} MiB more in the process and its map (${((mib * 1024) / calls).toFixed(1)} KiB a call), ` +
      `resident ${(resident - before.resident).toFixed(1)} MiB more`
    );
  };
  console.log(`${calls} calls set up by SIP: ${more(settled)}; after their transactions ${more(after)}`);
  if (restSeconds === 0) return;
  await delay(restSeconds * 1000);
  console.log(`${restSeconds} s later ${more(look())}`);
}

/** The agent with media, and the telephones that call through it. */
class Office implements AsyncDisposable {
  readonly server: Server;
  readonly #program: Program;

  private constructor(server: Server, program: Program) {
    this.server = server;
    this.#program = program;
  }

  static async open(network: MediaNetwork, kind: ForwarderKind): Promise<Office> {
    const endpoint = { address: relayAddress, port: 5060 };
    // Between the runs nobody talks.
    const media = ['--media', kind, '--rtp-ports', '40000-65000', '--silence', 'off'];
    const server = await startCloudsip({ endpoint, media });
    const script = join(import.meta.dirname, 'sip-phones.ts');
    const args = [script, relayAddress, callerHost!, calleeHost!, server.password];
    return new Office(
      server,
      network.world.inside(() => new Program(process.execPath, args, {}, 'the telephones')),
    );
  }

  /** Sets up calls that stay; gives their ports, for the caller and for the callee. */
  stand(count: number): Promise<[number, number][]> {
    return this.#ask(`stand ${count}`, 120_000);
  }

  load(callsPerSecond: number, calls: number): Promise<CallResult> {
    return this.#ask(`load ${callsPerSecond} ${calls}`, (calls / callsPerSecond) * 2_000 + 60_000);
  }

  async #ask<Answer>(line: string, timeoutMs: number): Promise<Answer> {
    const from = this.#program.lines.length;
    this.#program.write(`${line}\n`);
    const answer = await this.#program.line(/^\{"answer":/, { from, timeoutMs });
    return (JSON.parse(answer) as { answer: Answer }).answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#program.end();
    await this.#program.stop('SIGTERM');
    await this.server[Symbol.asyncDispose]();
  }
}
