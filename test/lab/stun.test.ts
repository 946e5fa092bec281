import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Capture } from '../support/capture.ts';
import { type CloudsipProcess, runCloudsip, startCloudsip } from '../support/cloudsip.ts';
import { needsRoot } from '../support/privileged.ts';
import { requestText } from '../support/sip-text.ts';
import { buildLab } from './build-lab.ts';
import { cloud } from './cloud.ts';
import { everyAddressServes } from './every-address.ts';
import type { Lab } from './lab.ts';
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

describe('the listener itself asks', needsRoot, () => {
  const agent = (lab: Lab, args: readonly string[] = []): Promise<CloudsipProcess> =>
    startCloudsip(lab.host('vm'), {
      firmware: ociCloud.firmware,
      args: [...stunArguments, ...args],
      env: { CLOUDSIP_POLL_INTERVAL: '200ms' },
    });
  const listening = ({ log }: CloudsipProcess): string[] =>
    log
      .filter(({ msg }) => msg === 'listening')
      .map(({ bound, advertised }) => `${bound} ${advertised}`)
      .sort();
  const cards = (lab: Lab) =>
    Promise.all(['ens5', 'ens6'].map((card) => lab.capture('vm', card, 'udp port 3478')));
  /** Who asked whom, by what left the cards. */
  const asked = async (taps: readonly Capture[]): Promise<string[]> => {
    const packets = (await Promise.all(taps.map((tap) => tap.stop()))).flat();
    const requests = packets.filter(({ destination }) => destination.port === 3478);
    return [
      ...new Set(
        requests.map(({ source, destination }) => `${source.address}:${source.port} ${destination.address}`),
      ),
    ].sort();
  };
  const fromEach = (...addresses: string[]): string[] =>
    addresses.flatMap((address) => [`${address}:5060 198.51.100.10`, `${address}:5060 198.51.100.20`]);
  /** A gateway in place of the 1-to-1 addresses: what leaves has its own address, and a port as the rules say. */
  const gateway = (lab: Lab, leave: readonly string[], arrive: readonly string[] = []): Promise<unknown> =>
    lab.host('router').run('nft', ['-f', '-'], {
      input: `
        flush chain ip edge leave
        flush map ip edge inbound
        add table ip shared
        add chain ip shared leave { type nat hook postrouting priority srcnat + 10; }
        add chain ip shared arrive { type nat hook prerouting priority dstnat; }
        ${leave.map((rule) => `add rule ip shared leave oifname internet ${rule}`).join('\n')}
        ${arrive.map((rule) => `add rule ip shared arrive iifname internet ${rule}`).join('\n')}
      `,
    });

  test('from port 5060 of each address behind 1-to-1 NAT, which is advertised', async () => {
    await using lab = await buildLab(cloud);
    await lab.startMetadataOf(ociCloud);
    await startStunServers(lab);
    const taps = await cards(lab);
    await using cloudsip = await agent(lab);
    assert.deepEqual(listening(cloudsip), [
      '10.0.0.15:5060 203.0.113.5:5060',
      '10.0.0.16:5060 203.0.113.6:5060',
      '10.0.1.15:5060 203.0.113.7:5060',
    ]);
    assert.deepEqual(await asked(taps), fromEach('10.0.0.15', '10.0.0.16', '10.0.1.15'));
  });

  test('and hears that its port is rewritten, that it differs by destination, that others leave by it too', async () => {
    await using lab = await buildLab(cloud);
    await lab.startMetadataOf(ociCloud);
    await startStunServers(lab);
    await gateway(lab, [
      // Port 5060 alone is treated so: whoever asked from any other port would learn nothing of it.
      'ip saddr 10.0.0.15 udp sport 5060 snat to 198.51.100.1:15060',
      'ip saddr 10.0.0.16 udp sport 5060 ip daddr 198.51.100.10 snat to 198.51.100.1:20001',
      'ip saddr 10.0.0.16 udp sport 5060 ip daddr 198.51.100.20 snat to 198.51.100.1:20002',
      'masquerade',
    ]);
    const taps = await cards(lab);
    await using cloudsip = await agent(lab);
    assert.deepEqual(listening(cloudsip), ['10.0.0.15:5060 -', '10.0.0.16:5060 -', '10.0.1.15:5060 -']);
    assert.deepEqual(await asked(taps), fromEach('10.0.0.15', '10.0.0.16', '10.0.1.15'));
    for (const [address, why] of [
      ['10.0.0.15', 'port 5060 is seen as 198.51.100.1:15060'],
      ['10.0.0.16', '198.51.100.10:3478 sees 198.51.100.1:20001, 198.51.100.20:3478 sees 198.51.100.1:20002'],
      ['10.0.1.15', '10.0.0.15 and 10.0.0.16 and 10.0.1.15 are seen as one address, 198.51.100.1'],
    ] as const) {
      const told = `${address} leaves by a NAT gateway that is not its own (${why}), so the gateway's address is not advertised`;
      assert.ok(
        cloudsip.log.some(({ msg }) => msg.startsWith(told)),
        `${told}\n${cloudsip.program.output}`,
      );
    }
  });

  test('a static mapping of one port is advertised as it is written, and nobody doubts it', async () => {
    await using lab = await buildLab(cloud);
    await lab.startMetadataOf(ociCloud);
    await startStunServers(lab);
    await gateway(
      lab,
      ['ip saddr 10.0.0.15 udp sport 5060 snat to 198.51.100.1:15060', 'masquerade'],
      ['udp dport 15060 dnat to 10.0.0.15:5060'],
    );
    const answered = await lab.capture('vm', 'ens5', 'udp src port 3478 and dst host 10.0.0.15');
    await using cloudsip = await agent(lab, ['--listen', 'udp:10.0.0.15:5060 as 198.51.100.1:15060']);
    assert.deepEqual(listening(cloudsip), ['10.0.0.15:5060 198.51.100.1:15060']);
    const servers = ['198.51.100.10', '198.51.100.20'];
    for (const server of servers) await answered.packet(({ source }) => source.address === server);
    assert.ok(answered.packets.every(({ destination }) => destination.port === 5060));
    await using phone = await lab.host('alice-host').openUdp();
    const via = `${phone.address}:${phone.port}`;
    await phone.send(
      requestText({ method: 'OPTIONS', uri: 'sip:198.51.100.1:15060', via }),
      15_060,
      '198.51.100.1',
    );
    const { bytes, source } = await phone.receive();
    assert.match(bytes.toString('latin1'), /^SIP\/2\.0 200 /);
    assert.deepEqual(source, { address: '198.51.100.1', port: 15_060 });
    await cloudsip.stop();
    const doubts = cloudsip.log.filter(({ msg }) =>
      /^(What stands in front of )?10\.0\.0\.15\b.*(gateway|as you wrote|not known)/.test(msg),
    );
    assert.deepEqual(doubts, []);
  });

  test('a card that is plugged in later asks from its own port', async () => {
    await using lab = await buildLab(cloud);
    const vm = lab.host('vm');
    const ip = (...args: string[]) => vm.run('ip', args);
    const vnics = '/opc/v2/vnics/';
    const whole = ociCloud.describe(lab, 'vm');
    const [first] = JSON.parse(String(whole[vnics])) as unknown[];
    const metadata = await lab.startMetadataOf(ociCloud, { ...whole, [vnics]: JSON.stringify([first]) });
    await startStunServers(lab);
    await ip('address', 'flush', 'dev', 'ens6');
    await ip('link', 'set', 'ens6', 'down');
    await using cloudsip = await agent(lab);
    assert.equal(listening(cloudsip).length, 2);
    await ip('link', 'set', 'ens6', 'up');
    await ip('address', 'add', '10.0.1.15/24', 'broadcast', '+', 'dev', 'ens6');
    await ip('route', 'add', '10.0.1.0/24', 'dev', 'ens6', 'table', '106');
    await ip('route', 'add', 'default', 'via', '10.0.1.1', 'table', '106');
    const tap = await lab.capture('vm', 'ens6', 'udp port 3478');
    metadata.replace(whole);
    const { added } = await cloudsip.logged('the cloud changed: listeners follow');
    assert.deepEqual(added, ['udp:10.0.1.15:5060 as 203.0.113.7:5060']);
    assert.deepEqual(await asked([tap]), fromEach('10.0.1.15'));
  });
});
