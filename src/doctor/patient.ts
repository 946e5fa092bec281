import type { DiscoveryError } from '../discovery/discovery-error.ts';
import type { Finding } from '../discovery/finding.ts';
import type { DiscoveryContext, Provider } from '../discovery/provider.ts';
import type { Topology } from '../discovery/topology.ts';
import type { PortRange } from '../media/port-pool.ts';
import type { Family } from '../net/address.ts';
import type { Listener } from '../net/listener.ts';
import type { Route, RoutingRule } from '../net/routes.ts';
import type { MetadataExchange } from './metadata-watch.ts';
import type { RunningAgent } from './running-agent.ts';

/** What of the agent's options the checks want to know. */
export interface PatientConfiguration {
  /** A provider's name, or `auto`. */
  readonly provider: string;
  readonly aliases: readonly string[];
  readonly rtpPorts: PortRange;
  readonly stateDirectory: string;
  /** `off`: no RTP is relayed. */
  readonly media: string;
  /** `dgram` for either: no system calls of our own. */
  readonly udp: string;
}

/** The machine and what is known of it once the cloud has been asked. Tests bring machines of their own. */
export interface Patient {
  readonly configuration: PatientConfiguration;
  /** Sentences about what was given, by a person or by tags, and has no effect. */
  readonly warnings: readonly string[];
  readonly context: DiscoveryContext;
  readonly providers: readonly Provider[];
  /** The one that was asked; absent where there is none of that name. */
  readonly provider?: Provider;
  /** What the cloud said, or why it did not. */
  readonly topology?: Topology;
  readonly discoveryError?: DiscoveryError;
  /** What was asked of metadata services meanwhile. */
  readonly exchanges: readonly MetadataExchange[];
  readonly listeners: readonly Listener[];
  /** Why no listeners could be planned from the topology. */
  readonly listenerError?: Error;
  readonly agent?: RunningAgent;
  readonly machine: Machine;
}

/** What the checks ask of the operating system. */
export interface Machine {
  /** Where its `/proc` and `/sys` lie, `/`. */
  readonly root: string;
  /** The effective user. */
  readonly uid: number;
  /** By which way a packet from one of our addresses leaves; undefined where it has no route. Throws where the kernel cannot be asked. */
  routeFrom(source: string, destination: string): Route | undefined;
  routingRules(family: Family): readonly RoutingRule[];
  /** The addresses of a host name; rejects where it has none. */
  resolve(host: string): Promise<readonly string[]>;
}

export interface Check {
  /** The name that its findings bear, where they have none of their own. */
  readonly name: string;
  readonly run: (patient: Patient) => readonly Finding[] | Promise<readonly Finding[]>;
}
