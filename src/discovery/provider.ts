import type { Clock } from '../net/clock.ts';
import type { MachineFacts } from './machine-facts.ts';
import type { Topology } from './topology.ts';

/** The few log calls that a provider needs; pino satisfies it. */
export interface DiscoveryLog {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

/** What a provider is handed. */
export interface DiscoveryContext {
  readonly facts: MachineFacts;
  readonly clock: Clock;
  readonly log: DiscoveryLog;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The `static:` section of the configuration; only the static provider reads it. */
  readonly configuration: unknown;
}

/** A plugin that knows one cloud. */
export interface Provider {
  readonly name: string;
  /** Whether this machine is one of that cloud's, from machine facts alone: never touches the network. */
  detect(facts: MachineFacts): boolean;
  /** Asks the cloud. Rejects with a `DiscoveryError` that says what was asked, what came and what to do. */
  discover(context: DiscoveryContext, signal: AbortSignal): Promise<Topology>;
  /** Calls `changed` with each new topology until `signal` aborts. */
  watch(context: DiscoveryContext, changed: (topology: Topology) => void, signal: AbortSignal): void;
}
