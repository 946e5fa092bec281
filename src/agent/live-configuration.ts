import type { Configuration } from '../cli/configuration.ts';
import type { CloudOptions, Resolved } from '../cli/configuration-source.ts';
import { options } from '../cli/options.ts';
import type { DiscoveryLog } from '../discovery/provider.ts';

/** Where options come from; see `ConfigurationSource`. */
export interface ConfigurationLayers {
  readonly hasFile: boolean;
  resolve(cloud?: CloudOptions): Resolved;
  reread(): Promise<void>;
}

type Property = keyof Configuration;

/** What a running agent takes over. The rest is built into parts that live as long as the process. */
const liveProperties: readonly Property[] = (Object.keys(options) as Property[]).filter(
  (property) => options[property].restart === undefined,
);

/** The configuration in force, which follows the file and the cloud as far as that goes without a restart. */
export class LiveConfiguration {
  readonly #layers: ConfigurationLayers;
  readonly #log: DiscoveryLog;
  #current: Configuration;
  /** Warnings that hold now: each is told once for as long as it holds. */
  #told: readonly string[] = [];
  #restartTold = '';

  constructor(layers: ConfigurationLayers, log: DiscoveryLog) {
    this.#layers = layers;
    this.#log = log;
    this.#current = layers.resolve().configuration;
  }

  get current(): Configuration {
    return this.#current;
  }

  get hasFile(): boolean {
    return this.#layers.hasFile;
  }

  /** Reads the file again, for the next `wanted`. Rejects with a `UsageError`; nothing has changed then. */
  reread(): Promise<void> {
    return this.#layers.reread();
  }

  /** All options at the start, when nothing hangs on them yet. */
  initial(cloud: CloudOptions): Configuration {
    return this.#resolve(cloud);
  }

  /** What is to be in force now. Tells which options would need a restart. */
  wanted(cloud: CloudOptions): Configuration {
    const resolved = this.#resolve(cloud);
    const wanted = withLive(this.#current, resolved);
    const restart = changedOptions(wanted, resolved);
    if (restart.join() !== this.#restartTold && restart.length > 0) {
      this.#log.warn(
        { options: restart },
        'these options were changed: a restart is needed for them to count',
      );
    }
    this.#restartTold = restart.join();
    return wanted;
  }

  /** What the running agent could take over. */
  adopt(configuration: Configuration): void {
    this.#current = configuration;
  }

  #resolve(cloud: CloudOptions): Configuration {
    const { configuration, warnings } = this.#layers.resolve(cloud);
    for (const warning of warnings) if (!this.#told.includes(warning)) this.#log.warn({}, warning);
    this.#told = warnings;
    return configuration;
  }
}

/** One configuration with what a running agent takes over from another. */
export function withLive(configuration: Configuration, other: Configuration): Configuration {
  const taken = Object.fromEntries(liveProperties.map((property) => [property, other[property]]));
  return { ...configuration, ...taken };
}

/** The names of the options that differ. */
export function changedOptions(before: Configuration, after: Configuration): string[] {
  return (Object.keys(options) as Property[])
    .filter((property) => JSON.stringify(before[property]) !== JSON.stringify(after[property]))
    .map((property) => options[property].name);
}
