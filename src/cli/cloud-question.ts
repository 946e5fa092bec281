import type { Writable } from 'node:stream';
import { discover } from '../discovery/detect.ts';
import { readMachineFacts } from '../discovery/machine-facts.ts';
import type { DiscoveryContext, DiscoveryLog, Provider } from '../discovery/provider.ts';
import type { Topology } from '../discovery/topology.ts';
import { IdentityError } from '../identity/identity-error.ts';
import { planListeners } from '../identity/listener-plan.ts';
import type { Clock } from '../net/clock.ts';
import { type Listener, servedTransports } from '../net/listener.ts';
import { readOsInterfaces } from '../net/os-interfaces.ts';
import type { Configuration } from './configuration.ts';
import type { ConfigurationSource } from './configuration-source.ts';

/** What the commands that ask the cloud are asked for. */
export interface CloudInvocation {
  readonly configuration: Configuration;
  readonly source: Pick<ConfigurationSource, 'resolve'>;
  readonly arguments: readonly string[];
  readonly warnings: readonly string[];
}

export interface CloudIo {
  readonly providers: readonly Provider[];
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: Writable;
}

export interface CloudAnswer {
  readonly topology: Topology;
  /** With what the instance's tags set. */
  readonly configuration: Configuration;
  /** Sentences about what was given, by a person or by tags, and has no effect. */
  readonly warnings: readonly string[];
  readonly planned: PlannedListeners;
}

/** The listeners that the agent would open. */
export interface PlannedListeners {
  readonly listeners: readonly Listener[];
  readonly warnings: readonly string[];
  /** Why there are none. */
  readonly error?: IdentityError;
}

export function cloudContext({ configuration }: CloudInvocation, io: CloudIo): DiscoveryContext {
  return {
    facts: readMachineFacts(),
    clock: io.clock,
    log: warningsTo(io.stderr),
    env: io.env,
    configuration: configuration.static,
    currentInterfaces: () => readOsInterfaces(),
  };
}

/** Asks the provider as the agent does at its start. Rejects with a `DiscoveryError`. */
export async function askCloud(
  invocation: CloudInvocation,
  { providers }: CloudIo,
  context: DiscoveryContext,
): Promise<CloudAnswer> {
  const name = invocation.configuration.provider;
  const { topology } = await discover(providers, name, context, new AbortController().signal);
  const { configuration, warnings } = invocation.source.resolve(topology.options ?? {});
  return {
    topology,
    configuration,
    warnings: [...invocation.warnings, ...warnings],
    planned: plan(topology, configuration, context),
  };
}

function plan(
  topology: Topology,
  { listen, advertise }: Pick<Configuration, 'listen' | 'advertise'>,
  { facts }: Pick<DiscoveryContext, 'facts'>,
): PlannedListeners {
  try {
    return planListeners(
      topology,
      { listen, ...(advertise !== undefined && { advertise }), transports: servedTransports },
      facts.interfaces.flatMap((nic) => nic.addresses.map(({ address }) => address)),
    );
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    return { listeners: [], warnings: [], error };
  }
}

/** What a command prints is for its reader: of the log only what went wrong. */
function warningsTo(stderr: Writable): DiscoveryLog {
  return {
    debug: () => {},
    info: () => {},
    warn: (_details, message) => void stderr.write(`cloudsip: ${message}\n`),
  };
}
