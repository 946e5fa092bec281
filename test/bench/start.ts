import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { readMachineFacts } from '../../src/discovery/machine-facts.ts';
import { startFakeAzure } from '../support/fake-azure.ts';
import { azureDocuments } from '../support/fake-azure-document.ts';
import { healthyAccount } from '../support/fake-ec2-account.ts';
import { fakeAccessKey, startFakeEc2Api } from '../support/fake-ec2-api.ts';
import { startFakeGce } from '../support/fake-gce.ts';
import { gceDocument } from '../support/fake-gce-document.ts';
import { startFakeImds } from '../support/fake-imds.ts';
import { imdsDocument, type MachineDescription } from '../support/fake-imds-document.ts';
import { Program } from '../support/process.ts';
import { type Installation, install, sdkPackages } from './installation.ts';
import { freeEndpoint } from './loopback.ts';
import { processTree, residentMemoryMib } from './process-usage.ts';

const usage = `npm run bench -- start [options]

  --runs 15     starts of each provider, with the clouds' SDKs and without, in turn
  --idle 5      seconds after ready at which memory is read`;

interface Surroundings {
  readonly provider: string;
  readonly env: Readonly<Record<string, string>>;
  /** For the table. */
  readonly what: string;
  /** Without the SDKs it cannot start. */
  readonly asksApi?: true;
}

interface Sample {
  /** From the start of the launcher to the line `ready`, milliseconds. */
  readonly readyMs: number;
  readonly residentMib: number;
  /** Processes beside the agent's own when memory was read. */
  readonly children: number;
}

const machine: MachineDescription = {
  nics: [{ mac: '02:00:0a:00:00:0f', addresses: [{ private: '10.0.0.15', public: '203.0.113.5' }] }],
};

/** Measures the time to `ready` and resident memory when idle, with the SDKs installed and hidden. */
export async function start(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: 'string', default: '15' },
      idle: { type: 'string', default: '5' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const runs = Number(values.runs);
  const idleMs = Number(values.idle) * 1000;
  if (!(runs >= 1 && idleMs >= 0)) throw new Error(`expected numbers after --runs and --idle\n\n${usage}`);
  await using stack = new AsyncDisposableStack();
  const surroundings = await startClouds(stack);
  const present = stack.use(await install());
  const hidden = stack.use(await install(sdkPackages));
  const rows: string[] = [];
  for (const cloud of surroundings) {
    const samples: Record<'present' | 'hidden', Sample[]> = { present: [], hidden: [] };
    // In turn, so that what else the machine does meets both. The first of each fills the caches.
    for (let run = 0; run <= runs; run++) {
      for (const [name, installation] of Object.entries({ present, hidden })) {
        if (name === 'hidden' && cloud.asksApi) continue;
        const sample = await startOnce(installation, cloud, idleMs);
        if (run > 0) samples[name as keyof typeof samples].push(sample);
      }
    }
    for (const [name, list] of Object.entries(samples))
      if (list.length > 0) rows.push(row(cloud, name, list));
    console.error(`${cloud.what}: ${runs} starts done`);
  }
  console.log(
    [
      '| Provider | SDKs | Starts | Ready ms, median (least to most) | Resident MiB when idle, median (least to most) | Other processes |',
      '| --- | --- | ---: | ---: | ---: | ---: |',
      ...rows,
    ].join('\n'),
  );
}

/** A metadata service of each cloud on loopback, and EC2's API. */
async function startClouds(stack: AsyncDisposableStack): Promise<Surroundings[]> {
  const imds = stack.use(await startFakeImds({ document: imdsDocument(machine) }));
  const off = stack.use(await startFakeImds({ document: { 'switched-off': '' } }));
  // The agent asks for this machine by what it finds on it.
  const { dmi, interfaces } = readMachineFacts();
  const mac = interfaces.find((device) => !device.internal)?.mac ?? machine.nics[0]!.mac;
  const instanceId = dmi['board_asset_tag'] ?? 'i-0123456789abcdef0';
  const account = healthyAccount({ instanceId, nics: [{ ...machine.nics[0]!, mac }] });
  const api = stack.use(await startFakeEc2Api({ account: () => account }));
  const gce = stack.use(
    await startFakeGce(
      gceDocument({ nics: [{ mac: '42:01:0a:00:00:0f', ip: '10.0.0.15', external: '203.0.113.5' }] }),
    ),
  );
  const azure = stack.use(await startFakeAzure({ documents: azureDocuments(machine, 'loadbalancer') }));
  return [
    { what: 'local, no cloud', provider: 'local', env: {} },
    { what: 'ec2', provider: 'ec2', env: { AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.url } },
    { what: 'gcp', provider: 'gcp', env: { GCE_METADATA_HOST: gce.url.replace('http://', '') } },
    { what: 'azure', provider: 'azure', env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: azure.url } },
    {
      what: 'ec2, metadata switched off: the API is asked',
      provider: 'ec2',
      asksApi: true,
      env: {
        AWS_EC2_METADATA_SERVICE_ENDPOINT: off.url,
        AWS_ENDPOINT_URL_EC2: api.url,
        AWS_REGION: 'eu-central-1',
        AWS_ACCESS_KEY_ID: fakeAccessKey.id,
        AWS_SECRET_ACCESS_KEY: fakeAccessKey.secret,
      },
    },
  ];
}

async function startOnce(
  { launcher }: Installation,
  { provider, env }: Surroundings,
  idleMs: number,
): Promise<Sample> {
  const stateDir = await mkdtemp(join(tmpdir(), 'cloudsip-bench-'));
  const { address, port } = await freeEndpoint();
  const begun = performance.now();
  const args = ['--provider', provider, '--listen', `udp:${address}:${port}`, '--state-dir', stateDir];
  const { PATH = '' } = process.env;
  const environment = { PATH, HOME: stateDir, NODE_ENV: 'production', ...env };
  const program = new Program(launcher, args, { env: environment }, 'cloudsip');
  try {
    await program.line(/"msg":"ready"/, { timeoutMs: 60_000 });
    const readyMs = performance.now() - begun;
    await delay(idleMs);
    const tree = processTree(program.pid);
    return { readyMs, residentMib: residentMemoryMib([program.pid]), children: tree.length - 1 };
  } finally {
    await program.stop('SIGTERM', 20_000);
    await rm(stateDir, { recursive: true, force: true });
  }
}

function row({ what }: Surroundings, sdks: string, samples: readonly Sample[]): string {
  const spread = (numbers: number[], digits: number): string => {
    const sorted = numbers.toSorted((a, b) => a - b);
    const median = (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
    return `${median.toFixed(digits)} (${sorted[0]!.toFixed(digits)} to ${sorted.at(-1)!.toFixed(digits)})`;
  };
  const ready = spread(
    samples.map(({ readyMs }) => readyMs),
    0,
  );
  const resident = spread(
    samples.map(({ residentMib }) => residentMib),
    1,
  );
  const children = Math.max(...samples.map((sample) => sample.children));
  return `| ${what} | ${sdks} | ${samples.length} | ${ready} | ${resident} | ${children} |`;
}
