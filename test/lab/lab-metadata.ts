import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ec2Firmware } from '../support/cloudsip.ts';
import type { ImdsTree, MachineDescription, NicDescription } from '../support/fake-imds-document.ts';
import type { Program } from '../support/process.ts';
import type { Lab } from './lab.ts';
import { LabError } from './lab-error.ts';
import type { LabHost } from './lab-host.ts';

let services = 0;

/** Which cloud a laboratory plays: what its machines say of themselves, and who answers for it. */
export interface LabCloud<Document = unknown> {
  /** Files of /sys/class/dmi/id by name. */
  readonly firmware: Readonly<Record<string, string>>;
  /**
   * The metadata service, in test/support: it takes `--host`, `--port` and `--document FILE.json`, reads the file
   * anew for each request, and prints `NAME http://…` when it serves. The API's server is started the same way.
   */
  readonly program: string;
  /** The true document of a host, as it stands in the laboratory now. */
  describe(lab: Lab, hostName: string): Document;
}

export type Ec2Document = MachineDescription | ImdsTree;

export const ec2Cloud: LabCloud<Ec2Document> = {
  firmware: ec2Firmware,
  program: 'fake-imds.ts',
  describe: (lab, hostName) => describeMachine(lab, hostName),
};

/** A service of the cloud in a laboratory: the metadata at its own address, or the API. */
export class LabMetadata<Document = unknown> implements AsyncDisposable {
  readonly program: Program;
  readonly #file: string;

  private constructor(program: Program, file: string) {
    this.program = program;
    this.#file = file;
  }

  /** Resolves when the address answers. `programName` is a file of test/support. */
  static async start<Document>(
    host: LabHost,
    programName: string,
    address: string,
    port: number,
    document: Document,
  ): Promise<LabMetadata<Document>> {
    const file = join(host.directory, `metadata-${++services}.json`);
    writeFileSync(file, JSON.stringify(document));
    const path = fileURLToPath(new URL(`../support/${programName}`, import.meta.url));
    const args = ['--host', address, '--port', String(port), '--document', file];
    const program = host.spawn(process.execPath, [path, ...args]);
    await program.line(/^\S+ http/);
    return new LabMetadata(program, file);
  }

  /** What it says from the next request on; nobody can read half of it. */
  replace(document: Document): void {
    writeFileSync(`${this.#file}.new`, JSON.stringify(document));
    renameSync(`${this.#file}.new`, this.#file);
  }

  async stop(): Promise<void> {
    await this.program.stop('SIGKILL');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** A host as its cloud would describe it now: its cards, and the public addresses that stand in front of them. */
export function describeMachine(lab: Lab, hostName: string, vpcCidr = '10.0.0.0/16'): MachineDescription {
  const nics = lab.host(hostName).spec.interfaces.map(({ name, mac, addresses }): NicDescription => {
    const [v4, v6] = [false, true].map((six) => addresses.filter((address) => address.includes(':') === six));
    const first = v4?.[0];
    if (mac === undefined || first === undefined) {
      throw new LabError(
        `${name} of ${hostName} has no fixed MAC or no address, so a cloud cannot describe it`,
      );
    }
    return {
      mac,
      vpcCidrs: [vpcCidr],
      subnetCidr: subnetOf(first),
      addresses: v4!.map(pair),
      ...(v6!.length > 0 && { ipv6s: v6!.map((address) => address.split('/')[0]!) }),
    };
  });
  return { nics };

  function pair(cidr: string): { private: string; public?: string } {
    const inner = cidr.split('/')[0]!;
    const outer = lab.publicAddress(inner);
    return outer === undefined ? { private: inner } : { private: inner, public: outer };
  }
}

/** `10.0.0.15/24` lies in `10.0.0.0/24`. */
function subnetOf(cidr: string): string {
  const [address = '', prefix = '32'] = cidr.split('/');
  const size = 2 ** (32 - Number(prefix));
  const value = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const start = value - (value % size);
  return `${[24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256).join('.')}/${prefix}`;
}
