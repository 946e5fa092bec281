import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Endpoint } from '../../src/net/address.ts';
import { type CallResult, runCalls } from './calls.ts';
import { startCloudsip } from './cloudsip.ts';
import { startKamailio } from './kamailio.ts';
import { freeEndpoint } from './loopback.ts';
import { cpuSeconds, processTree, proportionalMemoryMib, residentMemoryMib } from './process-usage.ts';
import { register } from './register.ts';
import { callee, type Server } from './server.ts';

const usage = `npm run bench -- signalling [options]

  --rates 100,200,400,800   calls a second, one run each
  --seconds 15              length of a run
  --lead 34                 seconds of the same calls before each run, not counted
  --calls N                 calls in a run, instead of --seconds
  --only cloudsip|kamailio  measure one of them
  --memory N                only: N calls through cloudsip, resident memory every 10,000 (at the first of --rates, 500)
  --cpu-prof                write a processor profile of cloudsip`;

interface Measurement extends CallResult {
  readonly server: string;
  readonly callsPerSecond: number;
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly memoryBeforeMib: number;
  readonly memoryAfterMib: number;
}

/**
 * Before each run the same calls are carried for so many seconds: a transaction ends 32 seconds after its call
 * (RFC 3261 17), so that without them a run would pay for the ends of the calls before it, and not of its own.
 */
const usualLead = 34;
/** Compiled code and warm caches for both: what a server that has run for a minute has. */
const warmUp = { callsPerSecond: 600, calls: 15_000 };
const usualRates = [100, 200, 400, 800];
/** Resident memory is told after each so many calls, at so many a second unless --rates says another. */
const memoryStep = 10_000;
const memoryRate = 500;

/** Measures calls through cloudsip and through Kamailio, in turn, and prints a Markdown table. */
export async function signalling(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rates: { type: 'string' },
      seconds: { type: 'string', default: '15' },
      lead: { type: 'string', default: String(usualLead) },
      calls: { type: 'string' },
      only: { type: 'string' },
      memory: { type: 'string' },
      'cpu-prof': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const profileInto = values['cpu-prof'] ? await mkdtemp(join(tmpdir(), 'cloudsip-profile-')) : undefined;
  const cloudsip = () => startCloudsip(profileInto ? { profileInto } : {});
  const rates = values.rates?.split(',').map((text) => positive('--rates', text)) ?? [];
  if (values.memory !== undefined) {
    await watchMemory(cloudsip, positive('--memory', values.memory), rates[0] ?? memoryRate);
  } else {
    const callsAt = (rate: number) =>
      values.calls === undefined
        ? rate * positive('--seconds', values.seconds)
        : positive('--calls', values.calls);
    const servers = { cloudsip, kamailio: startKamailio };
    const only = values.only;
    if (only !== undefined && only !== 'cloudsip' && only !== 'kamailio') {
      throw new Error(`expected --only cloudsip or --only kamailio and got "${only}"`);
    }
    const each = rates.length > 0 ? rates : usualRates;
    const measured: Measurement[] = [];
    for (const start of only ? [servers[only]] : [servers.kamailio, servers.cloudsip]) {
      const lead = Number(values.lead);
      if (!(lead >= 0)) throw new Error(`expected --lead to be a number of seconds and got "${values.lead}"`);
      measured.push(...(await measure(start, each, lead, callsAt)));
    }
    console.log(table(each, measured));
  }
  if (profileInto) console.log(`Profile: ${profileInto}`);
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new Error(`expected ${option} to be a number above 0 and got "${text}"`);
}

/** A server that knows where the callee is, and has carried some calls. */
async function warm(start: () => Promise<Server>): Promise<{ server: Server; at: Endpoint }> {
  const server = await start();
  try {
    const at = await freeEndpoint();
    await register({ server: server.endpoint, contact: at, user: callee, password: server.password });
    const { failed } = await runCalls({ server: server.endpoint, callee: at, ...warmUp });
    if (failed > 0)
      throw new Error(`${failed} of ${warmUp.calls} calls through ${server.name} failed while it warmed up`);
    return { server, at };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

async function measure(
  start: () => Promise<Server>,
  rates: readonly number[],
  leadSeconds: number,
  callsAt: (rate: number) => number,
): Promise<Measurement[]> {
  const { server, at } = await warm(start);
  await using _ = server;
  const measured: Measurement[] = [];
  for (const callsPerSecond of rates) {
    const lead = Math.round(leadSeconds * callsPerSecond);
    if (lead > 0) await runCalls({ server: server.endpoint, callee: at, callsPerSecond, calls: lead });
    const pids = processTree(server.pid);
    const memoryBeforeMib = proportionalMemoryMib(pids);
    const before = cpuSeconds(pids);
    const calls = callsAt(callsPerSecond);
    const result = await runCalls({ server: server.endpoint, callee: at, callsPerSecond, calls });
    const after = cpuSeconds(pids);
    measured.push({
      ...result,
      server: server.name,
      callsPerSecond,
      userSeconds: after.user - before.user,
      systemSeconds: after.system - before.system,
      memoryBeforeMib,
      memoryAfterMib: proportionalMemoryMib(pids),
    });
    console.error(`${server.name}: ${calls} calls at ${callsPerSecond}/s done, ${result.failed} failed`);
  }
  return measured;
}

function microsecondsPerCall({ userSeconds, systemSeconds, calls }: Measurement): number {
  return ((userSeconds + systemSeconds) * 1e6) / calls;
}

function table(rates: readonly number[], measured: readonly Measurement[]): string {
  const rows = [
    '| Calls/s | Server | Calls | Failed | Retransmissions | INVITE to 180 ms | CPU user s | CPU system s | CPU per call µs | PSS MiB | cloudsip / Kamailio |',
    '| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
  ];
  for (const rate of rates) {
    const those = measured.filter((entry) => entry.callsPerSecond === rate);
    const base = those.find((entry) => entry.server === 'Kamailio');
    for (const entry of those) {
      const perCall = microsecondsPerCall(entry);
      const ratio = base && entry !== base ? (perCall / microsecondsPerCall(base)).toFixed(2) : '';
      const memory = `${entry.memoryBeforeMib.toFixed(0)} → ${entry.memoryAfterMib.toFixed(0)}`;
      const cells = [
        ...[rate, entry.server, entry.calls, entry.failed, entry.retransmissions, entry.ringingMs.toFixed(0)],
        ...[entry.userSeconds.toFixed(2), entry.systemSeconds.toFixed(2), perCall.toFixed(0), memory, ratio],
      ];
      rows.push(`| ${cells.join(' | ')} |`);
    }
  }
  return rows.join('\n');
}

/** Memory that grows with the calls behind it is a leak: prints it as they go. */
async function watchMemory(
  start: () => Promise<Server>,
  calls: number,
  callsPerSecond: number,
): Promise<void> {
  const { server, at } = await warm(start);
  await using _ = server;
  console.log('| Calls | RSS MiB | Failed | Retransmissions |\n| ---: | ---: | ---: | ---: |');
  const show = (done: number, failed: number, retransmissions: number) => {
    const memory = residentMemoryMib(processTree(server.pid)).toFixed(1);
    console.log(`| ${done} | ${memory} | ${failed} | ${retransmissions} |`);
  };
  show(0, 0, 0);
  for (let done = 0; done < calls; ) {
    const step = Math.min(memoryStep, calls - done);
    const result = await runCalls({ server: server.endpoint, callee: at, callsPerSecond, calls: step });
    done += step;
    show(done, result.failed, result.retransmissions);
  }
}
