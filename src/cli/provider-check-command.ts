import type { Writable } from 'node:stream';
import type { Finding, Verdict } from '../discovery/finding.ts';
import { loadPlugin } from '../discovery/load-plugin.ts';
import { readMachineFacts } from '../discovery/machine-facts.ts';
import type { DiscoveryContext, Provider } from '../discovery/provider.ts';
import { examineProvider } from '../discovery/provider-conformance.ts';
import type { Clock } from '../net/clock.ts';
import { readOsInterfaces } from '../net/os-interfaces.ts';
import { doctorJson } from './doctor-command.ts';
import { DoctorText } from './doctor-text.ts';

export interface ProviderCheckIo {
  /** Those that need not be loaded. */
  readonly providers: readonly Provider[];
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable;
  /** What a test replaces. */
  readonly context?: Partial<DiscoveryContext>;
}

const usage = `Usage:
  cloudsip provider-check PROVIDER [--json]

  PROVIDER is the path of a module, the name of an npm package, or a provider of cloudsip.
  It is run on this machine; the exit code is 1 where it breaks the contract of docs/providers.md.
`;

/**
 * `cloudsip provider-check …`. Returns the exit code: 0 kept, 1 broken, 2 used wrongly. Rejects with a
 * `DiscoveryError` where the provider cannot be loaded.
 */
export async function runProviderCheckCommand(args: readonly string[], io: ProviderCheckIo): Promise<number> {
  const [specifier, ...others] = args.filter((argument) => argument !== '--json');
  if (specifier === 'help' || specifier === '--help' || specifier === '-h') {
    io.stdout.write(usage);
    return 0;
  }
  if (specifier === undefined || specifier.startsWith('-') || others.length > 0) {
    io.stderr.write(usage);
    return 2;
  }
  const provider = io.providers.find(({ name }) => name === specifier) ?? (await loadPlugin(specifier));
  const context: DiscoveryContext = {
    facts: readMachineFacts(),
    clock: io.clock,
    log: { debug: () => {}, info: () => {}, warn: () => {} },
    env: io.env,
    configuration: undefined,
    currentInterfaces: () => readOsInterfaces(),
    ...io.context,
  };
  const counts: Record<Verdict, number> = { pass: 0, warn: 0, fail: 0, skip: 0 };
  const told: Finding[] = [];
  const text = args.includes('--json') ? undefined : new DoctorText(io.stdout, io.env);
  for await (const finding of examineProvider(provider, context)) {
    counts[finding.verdict]++;
    told.push(finding);
    text?.finding(finding);
  }
  if (text) text.summary(counts);
  else io.stdout.write(`${JSON.stringify(doctorJson(told, counts), null, 2)}\n`);
  return counts.fail > 0 ? 1 : 0;
}
