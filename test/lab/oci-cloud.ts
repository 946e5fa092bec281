import { fileURLToPath } from 'node:url';
import type { Documents } from '../support/fake-cloud.ts';
import type { Lab } from './lab.ts';
import { describeMachine, type LabCloud } from './lab-metadata.ts';

/** A cloud whose metadata names no public address, and of the private ones only the first of each card. */
export const ociCloud: LabCloud<Documents> = {
  firmware: { chassis_asset_tag: 'OracleCloud.com', sys_vendor: 'QEMU', product_name: 'Standard PC' },
  program: 'fake-cloud.ts',
  describe: (lab, hostName) => ({
    '/opc/v2/instance/': JSON.stringify({ region: 'eu-frankfurt-1', freeformTags: {} }),
    '/opc/v2/vnics/': JSON.stringify(
      describeMachine(lab, hostName).nics.map((nic, index) => ({
        vnicId: `ocid1.vnic.oc1..${index}`,
        macAddr: nic.mac.toUpperCase(),
        privateIp: nic.addresses[0]!.private,
        subnetCidrBlock: nic.subnetCidr,
      })),
    ),
  }),
};

const hosts = ['alice-host', 'bob-host'] as const;
const PORT = 3478;

/** What a person says for the servers below. */
export const stunArguments: readonly string[] = ['198.51.100.10', '198.51.100.20'].flatMap((address) => [
  '--stun',
  `${address}:${PORT}`,
]);

/** A STUN server on each of two hosts of the internet. */
export async function startStunServers(lab: Lab): Promise<void> {
  const program = fileURLToPath(new URL('../support/fake-stun.ts', import.meta.url));
  for (const name of hosts) {
    const host = lab.host(name);
    const server = host.spawn(process.execPath, [program, host.address, String(PORT)]);
    await server.line(/^fake-stun /);
  }
}
