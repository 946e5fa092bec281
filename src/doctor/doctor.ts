import { lookup } from 'node:dns/promises';
import { selectProvider } from '../discovery/detect.ts';
import { DiscoveryError } from '../discovery/discovery-error.ts';
import type { Finding } from '../discovery/finding.ts';
import type { DiscoveryContext, Provider } from '../discovery/provider.ts';
import type { Topology } from '../discovery/topology.ts';
import type { Listener } from '../net/listener.ts';
import { readRoutingRules, routeFrom } from '../net/routes.ts';
import { checks as allChecks } from './checks.ts';
import { MetadataWatch } from './metadata-watch.ts';
import type { Check, Machine, Patient, PatientConfiguration } from './patient.ts';
import { findRunningAgent, type RunningAgent } from './running-agent.ts';

/** What the cloud said, and what the agent would make of it. */
export interface Discovered {
  readonly topology: Topology;
  /** With what the instance's tags set. */
  readonly configuration: PatientConfiguration;
  /** Sentences about what was given, by a person or by tags, and has no effect. */
  readonly warnings: readonly string[];
  readonly listeners: readonly Listener[];
  /** Why there are none. */
  readonly error?: Error;
}

export interface DoctorOptions extends Pick<Discovered, 'configuration' | 'warnings'> {
  readonly context: DiscoveryContext;
  readonly providers: readonly Provider[];
  /** Asks the cloud as the agent would; rejects with a `DiscoveryError`. */
  readonly discover: () => Promise<Discovered>;
  /** By default this machine, and the agent that runs on it. */
  readonly machine?: Machine;
  readonly agent?: RunningAgent;
  readonly checks?: readonly Check[];
}

export const thisMachine: Machine = {
  root: '/',
  uid: process.geteuid?.() ?? 0,
  routeFrom,
  routingRules: readRoutingRules,
  resolve: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
};

/** Examines the machine: the findings of each check, as soon as it is done, in the order of the table. */
export async function* examineMachine(options: DoctorOptions): AsyncGenerator<Finding> {
  const patient = await interview(options);
  for (const { name, run } of options.checks ?? allChecks) {
    let found: readonly Finding[];
    try {
      found = await run(patient);
    } catch (error) {
      // One check that stumbles must not hide what the others see.
      const evidence = `It could not be checked: ${error instanceof Error ? error.message : String(error)}`;
      found = [{ check: name, verdict: 'skip', evidence }];
    }
    yield* found;
  }
}

async function interview(options: DoctorOptions): Promise<Patient> {
  const { context, providers, machine = thisMachine } = options;
  using watch = new MetadataWatch();
  let discovered: Discovered | undefined;
  let discoveryError: DiscoveryError | undefined;
  let provider: Provider | undefined;
  try {
    provider = selectProvider(providers, options.configuration.provider, context.facts);
    discovered = await options.discover();
  } catch (error) {
    if (!(error instanceof DiscoveryError)) throw error;
    discoveryError = error;
  }
  const { configuration, warnings } = discovered ?? options;
  const agent = options.agent ?? findRunningAgent(machine.root);
  return {
    configuration,
    warnings,
    context,
    providers,
    ...(provider && { provider }),
    ...(discovered && { topology: discovered.topology }),
    ...(discoveryError && { discoveryError }),
    exchanges: watch.exchanges,
    listeners: discovered?.listeners ?? [],
    ...(discovered?.error && { listenerError: discovered.error }),
    ...(agent && { agent }),
    machine,
  };
}
