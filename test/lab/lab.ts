import { Capture } from '../support/capture.ts';
import { runProgram } from '../support/process.ts';
import { LabError } from './lab-error.ts';
import type { LabHost } from './lab-host.ts';
import { type Ec2Document, ec2Cloud, type LabCloud, LabMetadata } from './lab-metadata.ts';
import { publicAddressChange } from './router-rules.ts';
import type { CloudRouterSpec, Topology } from './topology.ts';
import type { Watchdog } from './watchdog.ts';

/** A built laboratory. It is gone after `close()`, and also when the process that built it is gone. */
export class Lab implements AsyncDisposable {
  readonly topology: Topology;
  /** Prefix of its namespaces, unique on this machine. */
  readonly name: string;
  /** A temporary directory that goes with the laboratory. */
  readonly directory: string;
  readonly #hosts: ReadonlyMap<string, LabHost>;
  readonly #watchdog: Watchdog;
  readonly #publicByPrivate: Map<string, string>;

  constructor(
    topology: Topology,
    name: string,
    directory: string,
    hosts: ReadonlyMap<string, LabHost>,
    watchdog: Watchdog,
  ) {
    this.topology = topology;
    this.name = name;
    this.directory = directory;
    this.#hosts = hosts;
    this.#watchdog = watchdog;
    this.#publicByPrivate = new Map(Object.entries(this.#cloudRouter()?.spec.publicAddresses ?? {}));
  }

  host(name: string): LabHost {
    const host = this.#hosts.get(name);
    if (!host)
      throw new LabError(
        `no host ${name} in this laboratory: there are ${[...this.#hosts.keys()].join(', ')}`,
      );
    return host;
  }

  /** Resolves when packets are being captured. `filter` is a pcap expression, `''` for everything. */
  capture(host: string, interfaceName: string, filter: string): Promise<Capture> {
    return Capture.start(this.host(host), interfaceName, filter);
  }

  /** The public address in front of a private one now. */
  publicAddress(privateAddress: string): string | undefined {
    return this.#publicByPrivate.get(privateAddress);
  }

  /**
   * Gives a private address another public one, or none, in one transaction. A public address that stood in
   * front of another private address moves, as an elastic address does.
   */
  async setPublicAddress(privateAddress: string, publicAddress: string | undefined): Promise<void> {
    const router = this.#cloudRouter();
    if (!router) throw new LabError('this topology has no cloud router, so there is no address to change');
    for (const [inner, outer] of this.#publicByPrivate) {
      if (inner === privateAddress || outer === publicAddress) this.#publicByPrivate.delete(inner);
    }
    if (publicAddress !== undefined) this.#publicByPrivate.set(privateAddress, publicAddress);
    const input = publicAddressChange(this.#publicByPrivate);
    await router.host.run('nft', ['-f', '-'], { input });
  }

  /** Serves the true document of `vm`, or `document`, as EC2's metadata; resolves when the address answers. */
  startMetadata(document: Ec2Document = ec2Cloud.describe(this, 'vm')): Promise<LabMetadata<Ec2Document>> {
    return this.startMetadataOf(ec2Cloud, document);
  }

  /** The same for any cloud. */
  startMetadataOf<Document>(
    cloud: LabCloud<Document>,
    document: Document = cloud.describe(this, 'vm'),
  ): Promise<LabMetadata<Document>> {
    return this.startService(cloud.program, document);
  }

  /**
   * Starts a server of test/support at the cloud's own address, which the machine reaches and nobody else: at the
   * metadata's port, or at another one for an API.
   */
  startService<Document>(
    programName: string,
    document: Document,
    port?: number,
  ): Promise<LabMetadata<Document>> {
    const metadata = this.topology.metadata;
    if (!metadata) throw new LabError('this topology has no metadata address');
    const host = this.host(metadata.host);
    return LabMetadata.start(host, programName, metadata.address, port ?? metadata.port, document);
  }

  /** Ends every process inside and removes the namespaces; resolves when they are gone. */
  async close(): Promise<void> {
    await this.#watchdog.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #cloudRouter(): { host: LabHost; spec: CloudRouterSpec } | undefined {
    for (const host of this.#hosts.values()) {
      const spec = host.spec.forwarding;
      if (spec?.kind === 'cloud') return { host, spec };
    }
    return undefined;
  }
}

/** Names of this machine's namespaces. */
export async function listNamespaces(): Promise<string[]> {
  const { stdout } = await runProgram('ip', ['netns', 'list']);
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name !== '');
}
