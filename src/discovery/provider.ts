import type { Clock } from '../net/clock.ts';
import type { OsInterface } from '../net/os-interfaces.ts';
import type { Examination, Finding } from './finding.ts';
import type { MachineFacts } from './machine-facts.ts';
import type { Notice } from './notice.ts';
import type { Topology } from './topology.ts';

/** The few log calls that a provider needs; pino satisfies it. */
export interface DiscoveryLog {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

/** What a provider is handed. */
export interface DiscoveryContext {
  /** The machine as it was at the start. */
  readonly facts: MachineFacts;
  /** The interfaces as they are now, so that `watch` sees addresses come and go; without it, those of `facts`. */
  readonly currentInterfaces?: () => readonly OsInterface[];
  readonly clock: Clock;
  readonly log: DiscoveryLog;
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * How often to ask the cloud for changes, where a person says so; else at the cloud's own pace. Notices are always
   * asked for at the cloud's own: they are worth nothing when they come late.
   */
  readonly pollIntervalMs?: number | undefined;
  /** The `static:` section of the configuration; only the static provider reads it. */
  readonly configuration: unknown;
}

/** A plugin that knows one cloud. */
export interface Provider {
  readonly name: string;
  /** What a foreign provider was loaded from, a path or a package: it is found by that too. */
  readonly origin?: string;
  /** Whether this machine is one of that cloud's, from machine facts alone: never touches the network. */
  detect(facts: MachineFacts): boolean;
  /** Asks the cloud. Rejects with a `DiscoveryError` that says what was asked, what came and what to do. */
  discover(context: DiscoveryContext, signal: AbortSignal): Promise<Topology>;
  /**
   * Calls `changed` with each topology that differs from the one before, or whose addresses the operating
   * system gained or lost, until `signal` aborts. `known` is what the caller runs with already; without it the
   * first answer counts as new. Errors are logged and survived.
   */
  watch(
    context: DiscoveryContext,
    changed: (topology: Topology) => void,
    signal: AbortSignal,
    known?: Topology,
  ): void;
  /**
   * Calls `notify` with each notice that the machine is to go away or to pause, until `signal` aborts: once for
   * each `id`, and again where its deadline moved or the cloud took it back. Errors are logged and survived. Absent where the cloud gives no notice.
   */
  watchNotices?(context: DiscoveryContext, notify: (notice: Notice) => void, signal: AbortSignal): void;
  /**
   * What only the cloud knows about why packets do not arrive: rights, firewall rules, addresses that the API
   * tells differently. Never rejects for what the cloud answers: a refusal is a finding. For diagnosis alone,
   * so it may take seconds.
   */
  examine?(
    context: DiscoveryContext,
    examination: Examination,
    signal: AbortSignal,
  ): Promise<readonly Finding[]>;
}
