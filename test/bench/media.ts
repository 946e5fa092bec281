import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startCloudsipRelay } from './cloudsip-relay.ts';
import { bpfMapBytes, bpfMaps, socketSlabBytes } from './kernel-memory.ts';
import { type LoadResult, Phones } from './media-load.ts';
import { openMediaNetwork } from './media-network.ts';
import type { BenchRelay } from './media-relay.ts';
import { ownMemoryMib, processTree, proportionalMemoryMib, residentMemoryMib } from './process-usage.ts';
import { startRtpengine } from './rtpengine.ts';

const usage = `npm run bench -- media [options]

  --calls 500       calls at once; each has two streams of 50 packets a second
  --seconds 10      how long each relay is measured
  --rounds 3        how often: the least processor time counts, and the median of all else
  --system          show also what /proc/stat says, which means little on a machine that does other things
  --only NAME       rtpengine, kernel, kernel-xdp, koffi or dgram. Repeatable
  --memory 5000     only: memory of so many calls, set up and settled in the kernel
  --muxed 0         so many of them have RTCP beside RTP on both sides, and need two descriptors instead of four
  --rest 0          and so many seconds later: V8 gives back what it does not need 100 s after its last collection`;

const relays = {
  rtpengine: startRtpengine,
  kernel: () => startCloudsipRelay('kernel'),
  'kernel-xdp': () => startCloudsipRelay('kernel-xdp'),
  koffi: () => startCloudsipRelay('koffi'),
  dgram: () => startCloudsipRelay('dgram'),
} as const;
type Name = keyof typeof relays;

interface Measurement extends LoadResult {
  readonly name: string;
  readonly memoryKibPerCall: number;
  readonly addMicroseconds: number;
  readonly removeMicroseconds: number;
  readonly remark: string;
}

/** Measures the same calls through rtpengine and through cloudsip's forwarders, and prints a Markdown table. */
export async function media(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      calls: { type: 'string', default: '500' },
      seconds: { type: 'string', default: '10' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string', multiple: true },
      memory: { type: 'string' },
      muxed: { type: 'string', default: '0' },
      rest: { type: 'string', default: '0' },
      system: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const names = (values.only ?? Object.keys(relays)).map((name) => {
    if (Object.hasOwn(relays, name)) return name as Name;
    throw new Error(`expected --only to be one of ${Object.keys(relays).join(', ')} and got "${name}"`);
  });
  const network = openMediaNetwork();
  await using phones = await Phones.compile(network);
  if (values.memory !== undefined)
    return await watchMemory(phones, Number(values.memory), Number(values.muxed), Number(values.rest));
  const load = { calls: Number(values.calls), seconds: Number(values.seconds) };
  const bare: LoadResult[] = [];
  const measured: Measurement[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    bare.push(await phones.past(load));
    for (const name of names) {
      const result = await measure(await relays[name](), phones, load);
      measured.push(result);
      console.error(
        `round ${round + 1}, ${result.name}: ${result.received} of ${result.sent}, ${result.remark}`,
      );
    }
  }
  console.log(table(bare, measured, values.system));
}

async function measure(
  relay: BenchRelay,
  phones: Phones,
  load: { calls: number; seconds: number },
): Promise<Measurement> {
  await using _ = relay;
  const maps = bpfMaps(relay.pid);
  const before = memoryKib(relay.pid, maps);
  const { ports, microsecondsPerCall } = await relay.add(load.calls);
  const result = await phones.through(ports, load, relay.pid);
  const after = memoryKib(relay.pid, maps);
  const remark = (await relay.report?.()) ?? '';
  return {
    ...result,
    name: relay.name,
    remark,
    memoryKibPerCall: (after - before) / load.calls,
    addMicroseconds: microsecondsPerCall,
    removeMicroseconds: await relay.remove(),
  };
}

/** Of the process and of what it keeps in BPF maps. */
function memoryKib(pid: number, maps: readonly string[]): number {
  return proportionalMemoryMib(processTree(pid)) * 1024 + bpfMapBytes(maps) / 1024;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

function table(bare: readonly LoadResult[], measured: readonly Measurement[], system: boolean): string {
  const of = <Result extends LoadResult>(
    those: readonly Result[],
    read: (result: Result) => number,
  ): number => median(those.map(read));
  // Whatever disturbs a run makes it dearer.
  const least = (read: (result: LoadResult) => number, those: readonly LoadResult[]): number =>
    Math.min(...those.map((result) => read(result) / result.sent));
  const perPacket = (read: (result: LoadResult) => number, those: readonly LoadResult[]): number =>
    (least(read, those) - least(read, bare)) / 1000;
  const groups = [...Map.groupBy(measured, ({ name }) => name)];
  const base = groups.find(([name]) => name.startsWith('rtpengine'));
  const baseCost = base && perPacket((result) => result.runNs, base[1]);
  const rows = groups.map(([name, those]) => {
    const cost = perPacket((result) => result.runNs, those);
    const added = (read: (result: LoadResult) => number): string =>
      Math.max(0, of(those, read) - of(bare, read)).toFixed(0);
    const cells = [
      name,
      cost.toFixed(2),
      baseCost === undefined ? '' : (cost / baseCost).toFixed(2),
      ...(system ? [perPacket((result) => result.systemNs, those).toFixed(2)] : []),
      (100 * of(those, (result) => 1 - result.received / result.sent)).toFixed(3),
      String(of(those, (result) => result.misled)),
      ...[added((result) => result.p50), added((result) => result.p99), added((result) => result.p999)],
      of(those, (result) => result.memoryKibPerCall).toFixed(1),
      of(those, (result) => result.addMicroseconds).toFixed(0),
      of(those, (result) => result.removeMicroseconds).toFixed(0),
      those.at(-1)?.remark ?? '',
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    `| Relay | CPU µs a packet | of rtpengine |${system ? ' by /proc/stat µs |' : ''} Loss % | Misled | Added delay p50 µs | p99 µs | p99.9 µs | Memory KiB a call | Add a call µs | Remove a call µs | |`,
    `| --- | ---: | ---: |${system ? ' ---: |' : ''} ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |`,
    ...rows,
  ].join('\n');
}

const portion = 50;

/** What so many calls cost in memory once the kernel forwards them. */
async function watchMemory(phones: Phones, calls: number, muxed: number, restSeconds: number): Promise<void> {
  const sockets = 4 * (calls - muxed) + 2 * muxed;
  await using relay = await startCloudsipRelay('kernel', { descriptors: sockets + 100 });
  const maps = bpfMaps(relay.pid);
  const look = () => ({
    own: ownMemoryMib([relay.pid]),
    resident: residentMemoryMib([relay.pid]),
    map: bpfMapBytes(maps) / 2 ** 20,
    slabs: socketSlabBytes() / 2 ** 20,
  });
  // The first call loads code and attaches the program: that is no call's own.
  const first = await relay.add(1);
  await phones.through(first.ports, { calls: 1, seconds: 1 }, relay.pid);
  await relay.remove();
  const before = look();
  // No agent is asked for thousands at once: what would lie in between then is no call's own either.
  const ports: (readonly [number, number])[] = [];
  // Those first that have four sockets until they are answered.
  const add = async (upTo: number, rtcp?: 'beside'): Promise<void> => {
    while (ports.length < upTo)
      ports.push(...(await relay.add(Math.min(portion, upTo - ports.length), rtcp)).ports);
  };
  await add(muxed, 'beside');
  await add(calls);
  await phones.through(ports, { calls, seconds: 1 }, relay.pid);
  const tell = (when: string): void => {
    const now = look();
    const more = (read: (of: typeof now) => number): string => (read(now) - read(before)).toFixed(1);
    console.log(
      `${calls} calls${when}: ${more(({ own, map }) => own + map)} MiB more (${more(({ own }) => own)} in the process, ` +
        `${more(({ map }) => map)} in the program's map); resident ${more(({ resident }) => resident)} MiB more; ` +
        `the kernel's slabs for ${sockets} sockets ${more(({ slabs }) => slabs)} MiB`,
    );
  };
  tell('');
  if (restSeconds > 0) {
    await delay(restSeconds * 1000);
    tell(`, ${restSeconds} s later`);
  }
  console.log(await relay.report?.());
}
