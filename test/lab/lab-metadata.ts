import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ImdsTree, MachineDescription, NicDescription } from '../support/fake-imds-document.ts';
import type { Program } from '../support/process.ts';
import type { Lab } from './lab.ts';
import { LabError } from './lab-error.ts';
import type { LabHost } from './lab-host.ts';

const metadataProgram = fileURLToPath(new URL('../support/fake-imds.ts', import.meta.url));
let services = 0;

export type MetadataDocument = MachineDescription | ImdsTree;

/** The metadata service of a laboratory, at the cloud's own address. */
export class LabMetadata implements AsyncDisposable {
  readonly program: Program;
  readonly #file: string;

  private constructor(program: Program, file: string) {
    this.program = program;
    this.#file = file;
  }

  /** Resolves when the address answers. */
  static async start(
    host: LabHost,
    address: string,
    port: number,
    document: MetadataDocument,
  ): Promise<LabMetadata> {
    const file = join(host.directory, `metadata-${++services}.json`);
    writeFileSync(file, JSON.stringify(document));
    const args = ['--host', address, '--port', String(port), '--document', file];
    const program = host.spawn(process.execPath, [metadataProgram, ...args]);
    await program.line(/^fake-imds http/);
    return new LabMetadata(program, file);
  }

  /** What it says from the next request on; nobody can read half of it. */
  replace(document: MetadataDocument): void {
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
    const first = addresses[0];
    if (mac === undefined || first === undefined) {
      throw new LabError(
        `${name} of ${hostName} has no fixed MAC or no address, so a cloud cannot describe it`,
      );
    }
    return { mac, vpcCidrs: [vpcCidr], subnetCidr: subnetOf(first), addresses: addresses.map(pair) };
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
