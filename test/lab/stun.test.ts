import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runCloudsip } from '../support/cloudsip.ts';
import { needsRoot } from '../support/privileged.ts';
import { buildLab } from './build-lab.ts';
import { cloud } from './cloud.ts';
import { everyAddressServes } from './every-address.ts';
import type { LabHost } from './lab-host.ts';
import { ociCloud, startStunServers, stunArguments } from './oci-cloud.ts';

everyAddressServes('every address of a machine of OCI serves by itself, found by STUN', {
  cloud: ociCloud,
  prepare: startStunServers,
  args: stunArguments,
});

interface Discovered {
  readonly interfaces: readonly {
    readonly addresses: readonly {
      readonly private: string;
      readonly public: string | null;
      readonly publicUnknown: boolean;
      readonly from: string;
    }[];
  }[];
  readonly notes: readonly string[];
}

describe('what STUN sees of a machine of OCI', needsRoot, () => {
  const discover = async (vm: LabHost): Promise<Discovered> => {
    const options = { firmware: ociCloud.firmware };
    const { stdout } = await runCloudsip(vm, ['discover', '--json', ...stunArguments], options);
    return JSON.parse(stdout) as Discovered;
  };
  const shown = ({ interfaces }: Discovered): string[] =>
    interfaces.flatMap((nic) =>
      nic.addresses.map((each) => `${each.private} ${each.publicUnknown ? '?' : each.public} ${each.from}`),
    );

  test('follows the router, and a masquerading gateway is no address of the machine', async () => {
    await using lab = await buildLab(cloud);
    const vm = lab.host('vm');
    await lab.startMetadataOf(ociCloud);
    await startStunServers(lab);
    assert.deepEqual(shown(await discover(vm)), [
      '10.0.0.15 203.0.113.5 stun',
      '10.0.0.16 203.0.113.6 stun',
      '10.0.1.15 203.0.113.7 stun',
    ]);

    await lab.setPublicAddress('10.0.1.15', '203.0.113.70');
    assert.equal(shown(await discover(vm))[2], '10.0.1.15 203.0.113.70 stun');

    // The addresses are taken away, and all leave by the router's own.
    const gateway = `
      flush chain ip edge leave
      flush map ip edge inbound
      add table ip shared
      add chain ip shared leave { type nat hook postrouting priority srcnat + 10; }
      add rule ip shared leave oifname internet masquerade
    `;
    await lab.host('router').run('nft', ['-f', '-'], { input: gateway });
    const behind = await discover(vm);
    assert.deepEqual(shown(behind), ['10.0.0.15 ? imds', '10.0.0.16 ? os', '10.0.1.15 ? imds']);
    for (const address of ['10.0.0.15', '10.0.0.16', '10.0.1.15']) {
      const note = behind.notes.find((each) => each.startsWith(`${address} `)) ?? '';
      assert.match(note, /leaves by a NAT gateway that is not its own \(.*198\.51\.100\.1/);
    }
  });
});
