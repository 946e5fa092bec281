import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { runCloudsip, startCloudsip } from '../support/cloudsip.ts';
import { needsRoot } from '../support/privileged.ts';
import { buildLab } from './build-lab.ts';
import { cloud } from './cloud.ts';
import { type Diagnosis, diagnose as diagnoseHost, findingOf, verdicts } from './doctor-machine.ts';
import { apiEnvironment as env, startEc2Api } from './ec2-cloud.ts';
import type { Lab } from './lab.ts';
import type { LabHost } from './lab-host.ts';
import type { Topology } from './topology.ts';

/** The rules of the second card as the laboratory has them, whatever became of them. */
const rightRule = `
while ip rule del from 10.0.1.15 2>/dev/null; do :; done
ip rule add from 10.0.1.15 table 106
`;

describe('cloudsip doctor on a machine with two cards', needsRoot, () => {
  let lab: Lab;
  let vm: LabHost;
  before(async () => {
    lab = await buildLab(cloud);
    vm = lab.host('vm');
    mkdirSync(join(vm.directory, 'cloudsip-state'), { mode: 0o700 });
    await lab.startMetadata();
    await startEc2Api(lab);
  });
  after(() => lab.close());

  const diagnose = (args: readonly string[] = [], uid?: number): Promise<Diagnosis> =>
    diagnoseHost(vm, args, { env, ...(uid !== undefined && { uid }) });
  /** Plants a fault for the time of a test: `undo` puts things right, whatever the test did about it. */
  const plant = async (t: TestContext, fault: string, undo: string): Promise<void> => {
    t.after(() => vm.run('sh', ['-c', undo]));
    await vm.run('sh', ['-c', fault]);
  };

  test('finds nothing where nothing is wrong, before the agent runs and while it does', async () => {
    const without = await diagnose();
    assert.deepEqual(without.bad, []);
    assert.equal(without.exitCode, 0);
    assert.match(findingOf(without, 'detection').evidence, /ec2.*Amazon EC2/);
    assert.match(
      findingOf(without, 'metadata').evidence,
      /^http:\/\/169\.254\.169\.254 answered (\d+) of \1 /,
    );
    assert.deepEqual(verdicts(without, 'source-routing'), ['pass', 'pass', 'pass']);
    assert.deepEqual(verdicts(without, 'hairpin'), ['pass', 'pass', 'pass']);
    assert.equal(findingOf(without, 'clock').verdict, 'pass');
    assert.equal(findingOf(without, 'listener-port', 'udp:10.0.1.15:5060').evidence, 'Free.');

    await using agent = await startCloudsip(vm);
    const beside = await diagnose();
    assert.deepEqual(beside.bad, []);
    assert.equal(beside.exitCode, 0);
    assert.equal(
      findingOf(beside, 'listener-port', 'udp:10.0.1.15:5060').evidence,
      `cloudsip (pid ${agent.pid}) listens there.`,
    );
    assert.match(
      findingOf(beside, 'file-descriptors').evidence,
      new RegExp(`^cloudsip \\(pid ${agent.pid}\\)`),
    );

    const stranger = await diagnose([], 65_534);
    assert.deepEqual(stranger.bad, []);
    assert.equal(findingOf(stranger, 'state-directory').verdict, 'skip');
    assert.equal(stranger.exitCode, 0);
  });

  test('finds answers of the second card that leave by the first, and its remedy is one', async (t) => {
    await plant(t, 'ip rule del from 10.0.1.15 table 106', rightRule);
    const diagnosis = await diagnose();
    assert.deepEqual(diagnosis.bad, ['source-routing 10.0.1.15']);
    assert.equal(diagnosis.exitCode, 1);
    const { evidence, remedy = '' } = findingOf(diagnosis, 'source-routing', '10.0.1.15');
    assert.match(
      evidence,
      /^Answers from 10\.0\.1\.15 \(ens6\) to the internet leave by ens5 via 10\.0\.0\.1 \(table main\)/,
    );
    const commands = remedy.split('\n').filter((line) => /^ +ip /.test(line));
    assert.equal(commands.length, 3, remedy);
    for (const command of commands) await vm.run('sh', ['-c', command]);
    assert.deepEqual((await diagnose()).bad, []);
  });

  test('finds that the filter of the kernel drops what comes by the second card then', async (t) => {
    await plant(t, 'sysctl -qw net.ipv4.conf.ens6.rp_filter=1', 'sysctl -qw net.ipv4.conf.ens6.rp_filter=0');
    assert.deepEqual((await diagnose()).bad, []);
    await plant(t, 'ip rule del from 10.0.1.15', rightRule);
    const diagnosis = await diagnose();
    assert.deepEqual(diagnosis.bad, ['source-routing 10.0.1.15', 'reverse-path-filter ens6']);
  });

  test('finds a wrong advertised address, for one listener and for all, and knows the right one', async () => {
    const one = await diagnose(['--listen', 'udp:10.0.0.15:5060 as 203.0.113.50:5060']);
    assert.deepEqual(one.bad, ['advertised udp:10.0.0.15:5060']);
    assert.equal(one.exitCode, 1);
    const { evidence, remedy = '' } = findingOf(one, 'advertised');
    assert.match(
      evidence,
      /203\.0\.113\.50:5060, which leads to none.*203\.0\.113\.5 stands in front of 10\.0\.0\.15/,
    );
    assert.match(remedy, /^Advertise 203\.0\.113\.5,/);

    const swapped = await diagnose(['--listen=udp:10.0.0.15 as 203.0.113.6']);
    assert.match(findingOf(swapped, 'advertised').evidence, /stands in front of 10\.0\.0\.16;/);

    const all = await diagnose(['--advertise', '203.0.113.50']);
    assert.deepEqual(verdicts(all, 'advertised'), ['fail', 'fail', 'fail', 'warn']);
    const right = await diagnose(['--listen', 'udp:10.0.0.15:5060 as 203.0.113.5']);
    assert.deepEqual(right.bad, []);
  });

  test('finds an address that the operating system lacks, and its remedy is one', async (t) => {
    await plant(
      t,
      'ip address del 10.0.0.16/24 dev ens5',
      'ip address replace 10.0.0.16/24 broadcast + dev ens5',
    );
    const diagnosis = await diagnose();
    assert.deepEqual(diagnosis.bad, ['bound-address 10.0.0.16']);
    const { remedy = '' } = findingOf(diagnosis, 'bound-address');
    const command = remedy.split('\n').at(-1)!;
    assert.equal(command.trim(), 'ip address add 10.0.0.16/24 dev ens5');
    await vm.run('sh', ['-c', command]);
    assert.deepEqual((await diagnose()).bad, []);
  });

  test('finds who holds the port of a listener', async (t) => {
    const other = vm.spawn(process.execPath, [
      '-e',
      `require('node:dgram').createSocket('udp4').bind(5060, '0.0.0.0', () => console.log('bound'))`,
    ]);
    t.after(() => other.stop('SIGKILL'));
    await other.line(/^bound$/);
    const diagnosis = await diagnose();
    assert.deepEqual(verdicts(diagnosis, 'listener-port'), ['fail', 'fail', 'fail']);
    assert.match(
      findingOf(diagnosis, 'listener-port', 'udp:10.0.0.16:5060').evidence,
      new RegExp(`\\(pid ${other.pid}\\) listens there`),
    );
  });

  test('finds media ports that the kernel gives away, and an MTU that is too small', async (t) => {
    const range = "sysctl -qw net.ipv4.ip_local_port_range='15000 30000'";
    await plant(t, range, `${range.replace('15000 30000', '32768 60999')} net.ipv4.ip_local_reserved_ports=`);
    await plant(t, 'ip link set dev ens6 mtu 1000', 'ip link set dev ens6 mtu 1500');
    const diagnosis = await diagnose();
    assert.deepEqual(diagnosis.bad, ['mtu ens6', 'rtp-ports 10000-20000']);
    assert.equal(diagnosis.exitCode, 0);
    const { remedy = '' } = diagnosis.findings.find(
      ({ check, verdict }) => check === 'rtp-ports' && verdict === 'warn',
    )!;
    await vm.run('sh', ['-c', remedy.split('\n').at(-1)!]);
    await vm.run('ip', ['link', 'set', 'dev', 'ens6', 'mtu', '1500']);
    assert.deepEqual((await diagnose()).bad, []);
  });

  test('tells of a public address that leads back', async (t) => {
    await vm.run('nft', ['-f', '-'], {
      input: `table ip back {
        chain leave {
          type nat hook output priority -100; policy accept;
          ip daddr 203.0.113.5 dnat to 10.0.0.15
        }
      }
      `,
    });
    t.after(() => vm.run('nft', ['delete', 'table', 'ip', 'back']));
    const diagnosis = await diagnose();
    assert.match(findingOf(diagnosis, 'hairpin', '203.0.113.5').evidence, /came back to us/);
    assert.match(findingOf(diagnosis, 'hairpin', '203.0.113.7').evidence, /did not come back/);
    assert.deepEqual(diagnosis.bad, []);
  });

  test('tells a person the same in words, and the exit code is that of a failure', async () => {
    const { stdout, exitCode } = await runCloudsip(vm, ['doctor', '--advertise', '203.0.113.50'], { env });
    assert.equal(exitCode, 1);
    assert.match(stdout, /^FAIL {2}advertised udp:10\.0\.0\.15:5060\n {6}It advertises 203\.0\.113\.50/m);
    assert.match(stdout, /^3 failed, 1 to look at, \d+ passed, \d+ not checked: see advertised\n$/m);
    assert.ok(!stdout.includes('\x1b'));
  });
});

/** A container behind a bridge of the machine: one hop more to the metadata service. */
const container: Topology = {
  ...cloud,
  hosts: {
    ...cloud.hosts,
    vm: {
      interfaces: [
        ...cloud.hosts['vm']!.interfaces.slice(0, 1),
        { name: 'docker0', segment: 'bridge', addresses: ['172.17.0.1/16'] },
      ],
      routes: [{ to: 'default', via: '10.0.0.1' }],
      forwarding: { kind: 'home', outside: 'ens5' },
    },
    container: {
      interfaces: [{ name: 'eth0', segment: 'bridge', addresses: ['172.17.0.2/16'] }],
      routes: [{ to: 'default', via: '172.17.0.1' }],
    },
  },
};

describe('cloudsip doctor in a container', needsRoot, () => {
  test('finds that the hop limit of the metadata service is 1', async () => {
    await using lab = await buildLab(container);
    await lab.startMetadata({ nics: [] });
    // The connection stands; only what carries the answer leaves with a TTL of 1, and dies at the bridge.
    await lab.host('router').run('nft', ['-f', '-'], {
      input: `table ip hops {
        chain leave {
          type filter hook output priority mangle; policy accept;
          ip saddr 169.254.169.254 tcp sport 80 ip length > 100 ip ttl set 1
        }
      }
      `,
    });
    const inside = lab.host('container');
    mkdirSync(join(inside.directory, 'cloudsip-state'), { mode: 0o700 });
    const diagnosis = await diagnoseHost(inside);
    assert.deepEqual(diagnosis.bad, ['metadata']);
    assert.equal(diagnosis.exitCode, 1);
    const { evidence, remedy = '' } = findingOf(diagnosis, 'metadata');
    assert.match(evidence, /^PUT http:\/\/169\.254\.169\.254\/latest\/api\/token: /);
    assert.match(remedy, /hop limit is 1.*--http-put-response-hop-limit 2/s);
  });
});
