import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiscoveryContext } from '../../../src/discovery/provider.ts';
import type { NetworkInterface } from '../../../src/discovery/topology.ts';
import type { Clock } from '../../../src/net/clock.ts';
import type { OsInterface } from '../../../src/net/os-interfaces.ts';
import { type Certificate, makeCertificate } from '../../support/certificate.ts';
import { type FakeArm, startFakeArm } from '../../support/fake-arm.ts';
import { type ArmDocument, armDocument } from '../../support/fake-arm-document.ts';
import { type FakeAzure, startFakeAzure } from '../../support/fake-azure.ts';
import { type AzureVmDescription, azureDocuments } from '../../support/fake-azure-document.ts';
import { ImpatientClock } from '../../support/impatient-clock.ts';
import { quietLog } from '../../support/quiet-log.ts';

export const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../fixtures/metadata/azure/${name}`, import.meta.url), 'utf8'));

export interface Surroundings {
  readonly interfaces?: readonly OsInterface[];
  readonly clock?: Clock;
  readonly env?: Readonly<Record<string, string>>;
}

export interface LoggedContext extends DiscoveryContext {
  readonly log: ReturnType<typeof quietLog>;
}

/** A machine whose metadata is at `imds`, and which finds no Resource Manager; `env` is added. */
export function contextOf(
  imds: Pick<FakeAzure, 'url'>,
  { interfaces = [], clock, env }: Surroundings = {},
): LoggedContext {
  return {
    facts: { dmi: {}, interfaces },
    // The retries' waits, but neither the connect time-out (2 s) nor the call's (10 s).
    clock: clock ?? new ImpatientClock(1900),
    log: quietLog(),
    env: {
      AZURE_POD_IDENTITY_AUTHORITY_HOST: imds.url,
      AZURE_RESOURCE_MANAGER_ENDPOINT: 'nowhere',
      ...env,
    },
    configuration: undefined,
  };
}

export const pairs = (nic: NetworkInterface | undefined): (string | undefined)[][] =>
  (nic?.addresses ?? []).map(({ privateAddress, publicAddress }) => [privateAddress, publicAddress]);

export interface FakeCloud extends AsyncDisposable {
  readonly imds: FakeAzure;
  readonly arm: FakeArm;
  /** Of the machine, so that it asks this cloud. */
  readonly env: Readonly<Record<string, string>>;
  context(surroundings?: Surroundings): LoggedContext;
}

/** Metadata that tells no public address, and a Resource Manager that does. */
export async function startFakeCloud(
  machine: AzureVmDescription,
  more: Partial<ArmDocument> = {},
): Promise<FakeCloud> {
  const directory = mkdtempSync(join(tmpdir(), 'cloudsip-azure-'));
  const stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  try {
    const tls: Certificate = await makeCertificate(directory, ['127.0.0.1']);
    const imds = stack.use(await startFakeAzure({ documents: azureDocuments(machine, 'nobody') }));
    const arm = stack.use(await startFakeArm({ document: armDocument(machine, tls, more) }));
    const env = { AZURE_RESOURCE_MANAGER_ENDPOINT: arm.url, NODE_EXTRA_CA_CERTS: tls.certificateFile };
    return {
      imds,
      arm,
      env,
      context: (surroundings = {}) =>
        contextOf(imds, { ...surroundings, env: { ...env, ...surroundings.env } }),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
