import type { Writable } from 'node:stream';
import { discover } from '../discovery/detect.ts';
import { readMachineFacts } from '../discovery/machine-facts.ts';
import type { DiscoveryContext, DiscoveryLog, Provider } from '../discovery/provider.ts';
import type { Topology } from '../discovery/topology.ts';
import { IdentityError } from '../identity/identity-error.ts';
import { planListeners } from '../identity/listener-plan.ts';
import type { Clock } from '../net/clock.ts';
import type { Listener } from '../net/listener.ts';
import { readOsInterfaces } from '../net/os-interfaces.ts';
import type { Configuration } from './configuration.ts';

/** What the commands that ask the cloud are given. */
export interface CloudQuestion {
  readonly configuration: Configuration;
  readonly providers: readonly Provider[];
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: Writable;
}

export interface PlannedListeners {
  readonly listeners: readonly Listener[];
  readonly warnings: readonly string[];
  /** Why there are none. */
  readonly error?: IdentityError;
}

export function questionContext({ configuration, clock, env, stderr }: CloudQuestion): DiscoveryContext {
  return {
    facts: readMachineFacts(),
    clock,
    log: warningsTo(stderr),
    env,
    configuration: configuration.static,
    currentInterfaces: () => readOsInterfaces(),
  };
}

/** Asks the provider as the agent does at its start. Rejects with a `DiscoveryError`. */
export async function askCloud(question: CloudQuestion, context: DiscoveryContext): Promise<Topology> {
  const { providers, configuration } = question;
  const { topology } = await discover(
    providers,
    configuration.provider,
    context,
    new AbortController().signal,
  );
  return topology;
}

/** The listeners that the agent would open with this topology. */
export function listenersFor(
  topology: Topology,
  { listen, advertise }: Pick<Configuration, 'listen' | 'advertise'>,
  { facts }: Pick<DiscoveryContext, 'facts'>,
): PlannedListeners {
  try {
    return planListeners(
      topology,
      { listen, ...(advertise !== undefined && { advertise }), transports: ['udp'] },
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
