import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Topology } from '../../src/discovery/topology.ts';
import { checkAdvertisedAddresses } from '../../src/doctor/advertised-address.ts';
import { checkBoundAddresses } from '../../src/doctor/bound-addresses.ts';
import { checkMtu } from '../../src/doctor/mtu.ts';
import type { Patient } from '../../src/doctor/patient.ts';
import { checkReversePathFilter } from '../../src/doctor/reverse-path-filter.ts';
import { checkSourceRouting } from '../../src/doctor/source-routing.ts';
import { LibcError } from '../../src/net/libc.ts';
import type { Route } from '../../src/net/routes.ts';
import { fakePatient, judged, layOut, osInterface, pair, twoCards, udp } from './fake-patient.ts';

const main = (device: string): Route => ({ device, gateway: '10.0.0.1', table: 254 });

describe('advertised', () => {
  const check = async (patient: Patient): Promise<string> => {
    const [finding] = await checkAdvertisedAddresses(patient);
    return `${finding!.verdict}: ${finding!.evidence}`;
  };
  test('the public address that the cloud maps passes', async () => {
    assert.match(
      await check(fakePatient({ listeners: [udp('10.0.0.15', '203.0.113.5')] })),
      /^pass: .*, as the cloud says/,
    );
  });
  test("another address's fails with whose it is", async () => {
    assert.match(
      await check(fakePatient({ listeners: [udp('10.0.0.15', '203.0.113.7')] })),
      /^fail: It advertises 203\.0\.113\.7:5060, which stands in front of 10\.0\.1\.15; .*203\.0\.113\.5 stands/,
    );
  });
  test('another port is warned of, since 1-to-1 NAT keeps ports', async () => {
    assert.match(
      await check(fakePatient({ listeners: [udp('10.0.0.15', '203.0.113.5', 5070)] })),
      /^warn: .*port 5070/,
    );
  });
  test('a load balancer passes where it is declared', async () => {
    const listeners = [udp('10.0.0.15', '203.0.113.99')];
    assert.match(await check(fakePatient({ listeners })), /^fail: /);
    assert.match(
      await check(fakePatient({ listeners, configuration: { aliases: ['203.0.113.99:5060'] } })),
      /^pass: /,
    );
  });
  test('a name is judged by where it leads', async () => {
    const listeners = [udp('10.0.0.15', 'sip.example.com')];
    const leads = (addresses: string[]): Promise<string> =>
      check(fakePatient({ listeners, machine: { resolve: async () => addresses } }));
    assert.match(
      await leads(['2001:db8::1', '203.0.113.5']),
      /^pass: .*sip\.example\.com:5060 \(2001:db8::1, 203/,
    );
    assert.match(await leads(['203.0.113.99']), /^fail: /);
    assert.match(await check(fakePatient({ listeners })), /^fail: .*no address here: no such name/);
  });
  test('what the cloud does not tell is not judged; what it denies is', async () => {
    const listeners = [udp('10.0.0.15', '203.0.113.5')];
    const { privateAddress, provenance } = pair[0]!;
    const unknown = twoCards([{ privateAddress, provenance, publicUnknown: true }]);
    assert.match(await check(fakePatient({ listeners, topology: unknown })), /^skip: /);
    assert.match(
      await check(fakePatient({ listeners, topology: twoCards([{ privateAddress, provenance }]) })),
      /^fail: .*no public address stands in front of 10\.0\.0\.15/,
    );
  });
  test('listeners that cannot be planned fail', async () => {
    const [finding] = await checkAdvertisedAddresses(
      fakePatient({ listenerError: new Error('Write this.') }),
    );
    assert.equal(finding!.verdict, 'fail');
    assert.equal(finding!.remedy, 'Write this.');
  });
});

describe('bound-address', () => {
  test('an interface that is not up is named by its MAC', () => {
    const topology: Topology = {
      ...twoCards(),
      interfaces: twoCards().interfaces.map(({ osName, ...nic }) =>
        osName === 'ens6' ? nic : { osName: 'ens5', ...nic },
      ),
    };
    const interfaces = [osInterface('ens5', '10.0.0.15')];
    const [finding] = checkBoundAddresses(fakePatient({ topology, interfaces }));
    assert.deepEqual(judged([finding!]), ['fail 10.0.1.15']);
    assert.match(finding!.evidence, /02:00:00:00:00:01.*nobody answers at 203\.0\.113\.7/);
  });
  test('an address without a public one is a warning', () => {
    const topology = twoCards([{ privateAddress: '10.0.0.99', provenance: 'imds' }]);
    assert.deepEqual(judged(checkBoundAddresses(fakePatient({ topology }))), ['warn 10.0.0.99']);
  });
});

describe('source-routing', () => {
  test('passes where each address leaves by its interface', () => {
    assert.deepEqual(judged(checkSourceRouting(fakePatient())), ['pass 10.0.0.15', 'pass 10.0.1.15']);
  });

  test('an address that a route alone gives leaves by the interface that the cloud says', () => {
    const [first, second] = twoCards().interfaces;
    const forwarded = { privateAddress: '203.0.113.9', provenance: 'imds' } as const;
    const topology: Topology = {
      ...twoCards(),
      interfaces: [first!, { ...second!, addresses: [...second!.addresses, forwarded] }],
    };
    const loopback = { ...osInterface('lo', '203.0.113.9', 32), internal: true };
    const interfaces = [osInterface('ens5', '10.0.0.15'), osInterface('ens6', '10.0.1.15'), loopback];
    const leaving = (device: string) =>
      checkSourceRouting(
        fakePatient({
          topology,
          interfaces,
          machine: {
            routeFrom: (source) =>
              main(source === '203.0.113.9' ? device : source === '10.0.0.15' ? 'ens5' : 'ens6'),
          },
        }),
      );
    assert.deepEqual(judged(leaving('ens6')), ['pass 10.0.0.15', 'pass 10.0.1.15', 'pass 203.0.113.9']);
    assert.equal(judged(leaving('ens5'))[2], 'fail 203.0.113.9');
  });

  test('warns where only neighbours get no answer', () => {
    const routeFrom = (source: string, destination: string): Route =>
      source === '10.0.0.15' && destination.startsWith('10.0.1.')
        ? main('ens6')
        : main(source === '10.0.0.15' ? 'ens5' : 'ens6');
    const findings = checkSourceRouting(fakePatient({ machine: { routeFrom } }));
    assert.deepEqual(judged(findings), ['warn 10.0.0.15', 'pass 10.0.1.15']);
    assert.match(
      findings[0]!.evidence,
      /to neighbours leave by another interface: to 10\.0\.1\.0\/24 by ens6/,
    );
  });

  test('fails where there is no route, and passes an address that has no business outside', () => {
    const nowhere = fakePatient({ machine: { routeFrom: () => undefined } });
    assert.deepEqual(judged(checkSourceRouting(nowhere)), ['fail 10.0.0.15', 'fail 10.0.1.15']);
    const topology = twoCards([{ privateAddress: '10.0.1.15', provenance: 'imds' }]);
    const routeFrom = (_source: string, destination: string): Route | undefined =>
      destination.startsWith('10.') ? { device: 'ens6', table: 254 } : undefined;
    const [finding] = checkSourceRouting(fakePatient({ topology, machine: { routeFrom } }));
    assert.equal(finding!.verdict, 'pass');
    assert.match(finding!.evidence, /no route and no public address/);
  });

  test('takes the table that serves the interface already, and a free one else', () => {
    const remedyWith = (
      rules: { priority: number; table: number; from?: string }[],
      more: Partial<Topology> = {},
    ) => {
      const topology = { ...twoCards([...pair, { ...pair[1]!, privateAddress: '10.0.1.16' }]), ...more };
      const interfaces = [
        osInterface('ens5', '10.0.0.15'),
        osInterface('ens6', '10.0.1.15'),
        osInterface('ens6', '10.0.1.16'),
      ];
      const machine = { routeFrom: () => main('ens5'), routingRules: () => rules };
      const findings = checkSourceRouting(fakePatient({ topology, interfaces, machine }));
      return findings.find(({ subject }) => subject === '10.0.1.16')!.remedy!;
    };
    assert.match(
      remedyWith([{ priority: 1, table: 106, from: '10.0.1.15/32' }]),
      /rule add from 10\.0\.1\.16 lookup 106$/m,
    );
    const fresh = remedyWith([{ priority: 1, table: 101, from: '172.16.0.0/12' }]);
    assert.match(fresh, /rule add from 10\.0\.1\.16 lookup 102$/m);
    assert.match(fresh, /^ +- \{from: 10\.0\.1\.15, table: 102\}\n +- \{from: 10\.0\.1\.16, table: 102\}$/m);
    assert.match(fresh, /^ +- \{to: 0\.0\.0\.0\/0, via: 10\.0\.1\.1, table: 102\}$/m);
  });

  test('knows interfaces with a /32, and IPv6', () => {
    const six = (address: string, index: number) => ({
      osName: `ens${5 + index}`,
      mac: `02:00:00:00:00:0${index}`,
      subnets: [`2001:db8:${index}::/64`],
      addresses: [{ privateAddress: address, provenance: 'imds' as const }],
    });
    const topology: Topology = {
      provider: 'gcp',
      localNetworks: [],
      interfaces: [six('2001:db8:0::15', 0), six('2001:db8:1::15', 1)],
    };
    const interfaces = [
      osInterface('ens5', '2001:db8:0::15', 64),
      osInterface('ens6', '2001:db8:1::15', 128),
    ];
    const machine = { routeFrom: (): Route => ({ device: 'ens5', table: 254 }) };
    const [, second] = checkSourceRouting(fakePatient({ topology, interfaces, machine }));
    assert.equal(second!.verdict, 'fail');
    assert.match(
      second!.remedy!,
      /ip -6 route replace default via 2001:db8:1::1 dev ens6 table 101 onlink$/m,
    );
    assert.match(second!.remedy!, /\{to: "::\/0", via: "2001:db8:1::1", table: 101, on-link: true\}$/m);
  });

  test('is skipped where the kernel cannot be asked', () => {
    const routeFrom = (): never => {
      throw new LibcError('LIBC_KOFFI', 'No koffi here.');
    };
    const [finding] = checkSourceRouting(fakePatient({ machine: { routeFrom } }));
    assert.equal(finding!.verdict, 'skip');
    assert.match(finding!.evidence, /No koffi here/);
  });
});

describe('settings of the kernel', () => {
  const root = mkdtempSync(join(tmpdir(), 'cloudsip-doctor-'));
  after(() => rmSync(root, { recursive: true }));
  const conf = (all: string, ens6: string): Record<string, string> => ({
    'proc/sys/net/ipv4/conf/all/rp_filter': `${all}\n`,
    'proc/sys/net/ipv4/conf/ens5/rp_filter': '0\n',
    'proc/sys/net/ipv4/conf/ens6/rp_filter': `${ens6}\n`,
  });

  test('reverse-path-filter: the greater of all and its own counts, and strict is bad only where answers go astray', () => {
    const verdict = (all: string, own: string, routeFrom?: () => Route): string => {
      layOut(root, conf(all, own));
      const machine = { root, ...(routeFrom && { routeFrom }) };
      return checkReversePathFilter(fakePatient({ machine })).find(({ subject }) => subject === 'ens6')!
        .verdict;
    };
    const astray = (): Route => main('ens5');
    assert.equal(verdict('0', '1'), 'pass');
    assert.equal(verdict('0', '1', astray), 'fail');
    assert.equal(verdict('1', '0', astray), 'fail');
    assert.equal(verdict('2', '1', astray), 'pass');
    assert.equal(verdict('0', '0', astray), 'pass');
    assert.deepEqual(judged(checkReversePathFilter(fakePatient())), ['skip ens5', 'skip ens6']);
  });

  test("mtu: above the cloud's fails, very small warns, unknown is skipped", () => {
    layOut(root, { 'sys/class/net/ens5/mtu': '1500\n', 'sys/class/net/ens6/mtu': '1000\n' });
    const interfaces = twoCards().interfaces.map((nic) => ({ ...nic, mtu: 1460 }));
    const topology = { ...twoCards(), interfaces };
    const findings = checkMtu(fakePatient({ topology, machine: { root } }));
    assert.deepEqual(judged(findings), ['fail ens5', 'warn ens6']);
    assert.match(findings[0]!.remedy!, /ip link set dev ens5 mtu 1460$/);
    assert.match(
      checkMtu(fakePatient({ machine: { root } }))[0]!.evidence,
      /^ens5 sends up to 1500 bytes\.$/,
    );
    layOut(root, { 'sys/class/net/ens5/mtu': '9001\n' });
    assert.match(
      checkMtu(fakePatient({ machine: { root } }))[0]!.evidence,
      /9001 bytes\. The internet gateway/,
    );
    assert.deepEqual(judged(checkMtu(fakePatient())), ['skip ens5', 'skip ens6']);
  });
});
