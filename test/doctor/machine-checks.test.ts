import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { checkFileDescriptors } from '../../src/doctor/file-descriptors.ts';
import { checkHairpin } from '../../src/doctor/hairpin.ts';
import { checkKernelForwarding } from '../../src/doctor/kernel-forwarding.ts';
import { checkListenerPorts } from '../../src/doctor/listener-ports.ts';
import { readOpenSockets } from '../../src/doctor/open-sockets.ts';
import { checkRtpPorts } from '../../src/doctor/rtp-ports.ts';
import { findRunningAgent } from '../../src/doctor/running-agent.ts';
import { checkStateDirectory } from '../../src/doctor/state-directory-check.ts';
import { checkSystemCalls } from '../../src/doctor/system-calls.ts';
import { fakePatient, judged, layOut, osInterface, pair, twoCards, udp } from './fake-patient.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cloudsip-doctor-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const head =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const line = (address: string, uid: number, inode: number, state = '07'): string =>
  ` 12: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 ${inode} 2 0 0\n`;
/** 10.0.0.15, and every address, as the kernel writes them on a little-endian machine; 13C4 is 5060. */
const ours = '0F00000A:13C4';
const everyIpv4 = '00000000:13C4';
const everyIpv6 = '00000000000000000000000000000000:13C4';

/** A process that holds a socket. */
function holder(pid: number, program: string, inode: number): void {
  layOut(root, { [`proc/${pid}/comm`]: `${program}\n`, [`proc/${pid}/fd/.made`]: '' });
  symlinkSync(`socket:[${inode}]`, join(root, `proc/${pid}/fd/7`));
}

describe('the tables of open sockets', () => {
  test('are read with addresses of both families; TCP counts where it listens', () => {
    layOut(root, {
      'proc/net/udp': head + line(ours, 997, 41),
      'proc/net/udp6': head + line('B80D0120000000000000000001000000:13C4', 0, 42),
      'proc/net/tcp': head + line(ours, 0, 43, '0A') + line(ours, 0, 44, '01'),
    });
    assert.deepEqual(readOpenSockets(root, 'udp'), [
      { address: '10.0.0.15', port: 5060, uid: 997, inode: '41' },
      { address: '2001:db8::1', port: 5060, uid: 0, inode: '42' },
    ]);
    assert.deepEqual(
      readOpenSockets(root, 'tcp').map(({ inode }) => inode),
      ['43'],
    );
    assert.deepEqual(readOpenSockets('/nonexistent', 'udp'), []);
  });
});

describe('listener-port', () => {
  const check = (more: Parameters<typeof fakePatient>[0] = {}): string => {
    const listeners = [udp('10.0.0.15')];
    const [finding] = checkListenerPorts(fakePatient({ listeners, machine: { root }, ...more }));
    return `${finding!.verdict}: ${finding!.evidence}`;
  };
  test('is free, ours, or named by who holds it', () => {
    assert.equal(check(), 'pass: Free.');
    layOut(root, { 'proc/net/udp': head + line(ours, 0, 41) });
    holder(77, 'kamailio', 41);
    assert.equal(check(), 'fail: kamailio (pid 77) listens there, so cloudsip cannot.');
    assert.equal(check({ agent: { pid: 77, uid: 0 } }), 'pass: cloudsip (pid 77) listens there.');
  });
  test('is held by a socket on every address, of IPv6 too', () => {
    layOut(root, { 'proc/net/udp': head + line(everyIpv4, 0, 41) });
    assert.match(check(), /^fail/);
    layOut(root, { 'proc/net/udp': head, 'proc/net/udp6': head + line(everyIpv6, 0, 41) });
    assert.match(check(), /^fail/);
    layOut(root, { 'proc/net/udp6': head, 'proc/net/tcp': head + line(everyIpv4, 0, 41, '0A') });
    assert.equal(check(), 'pass: Free.');
  });
  test('is judged by users where this one may not see programs', () => {
    layOut(root, { 'proc/net/udp': head + line(ours, 997, 41) });
    assert.match(check(), /^fail: A program of user 997 listens there; which one, only root can see/);
    assert.match(
      check({ agent: { pid: 5, uid: 997 } }),
      /^pass: User 997 listens there, as whom cloudsip runs/,
    );
    assert.match(check({ agent: { pid: 5, uid: 1000 } }), /^skip/);
  });
});

describe('rtp-ports', () => {
  const check = (local: string, reserved: string, range = { from: 10_000, to: 20_000 }) => {
    layOut(root, {
      'proc/sys/net/ipv4/ip_local_port_range': `${local}\n`,
      'proc/sys/net/ipv4/ip_local_reserved_ports': `${reserved}\n`,
    });
    return checkRtpPorts(fakePatient({ machine: { root }, configuration: { rtpPorts: range } }));
  };
  test('overlap with what the kernel gives away, unless reserved, in one piece or several', () => {
    assert.deepEqual(judged(check('32768\t60999', '')), ['pass 10000-20000', 'pass 10000-20000']);
    const [overlap] = check('15000\t30000', '8080');
    assert.equal(overlap!.verdict, 'warn');
    assert.match(overlap!.remedy!, /ip_local_reserved_ports=8080,15000-20000$/);
    assert.equal(check('15000\t30000', '15000-20000')[0]!.verdict, 'pass');
    assert.equal(check('15000\t30000', '80,18001-21000,14000-18000')[0]!.verdict, 'pass');
    assert.equal(check('15000\t30000', '14000-18000,18002-21000')[0]!.verdict, 'warn');
    assert.equal(check('garbage', '')[0]!.verdict, 'skip');
  });
  test("tell that Azure's port is left out", () => {
    const [finding] = check('32768\t60999', '', { from: 61_000, to: 65_400 });
    assert.match(finding!.evidence, /65330, which Azure reserves, is left out/);
  });
  test('are warned of where others hold many', () => {
    const busy = (count: number, agent?: { pid: number; uid: number }): string => {
      const rows = Array.from({ length: count }, (_, index) =>
        line(`00000000:${(10_000 + index).toString(16)}`, 33, 90 + index),
      );
      layOut(root, { 'proc/net/udp': head + rows.join('') });
      const configuration = { rtpPorts: { from: 10_000, to: 10_100 } };
      const [, finding] = checkRtpPorts(
        fakePatient({ machine: { root }, configuration, ...(agent && { agent }) }),
      );
      return `${finding!.verdict}: ${finding!.evidence}`;
    };
    assert.match(busy(3), /^pass: 3 of them are held by others: user 33\./);
    assert.match(busy(20), /^warn: /);
    assert.match(busy(20, { pid: 5, uid: 33 }), /^pass: 20 are in use, all by cloudsip/);
  });
  test('are skipped where no RTP is relayed', () => {
    assert.deepEqual(judged(checkRtpPorts(fakePatient({ configuration: { media: 'off' } }))), [
      'skip 10000-20000',
    ]);
  });
});

describe('file-descriptors', () => {
  const check = (soft: string, agent?: { pid: number; uid: number }): string => {
    layOut(root, {
      [`proc/${agent?.pid ?? 'self'}/limits`]: `Limit      Soft Limit  Hard Limit  Units\nMax open files            ${soft}                 1048576              files\n`,
    });
    const [finding] = checkFileDescriptors(fakePatient({ machine: { root }, ...(agent && { agent }) }));
    return `${finding!.verdict}: ${finding!.evidence}`;
  };
  test("the agent's limit is held against the media ports", () => {
    assert.match(check('1048576'), /^pass/);
    assert.match(check('unlimited'), /^pass/);
    assert.match(
      check('1024', { pid: 9, uid: 0 }),
      /^warn: cloudsip \(pid 9\) may have 1024 .*231 calls at once.*carry 2500/,
    );
    assert.match(check('nonsense'), /^skip/);
  });
});

describe('state-directory', () => {
  const check = (directory = join(root, 'state'), more: Parameters<typeof fakePatient>[0] = {}): string => {
    const { configuration, machine, ...rest } = more;
    const uid = process.getuid!();
    const patient = fakePatient({
      configuration: { ...configuration, stateDirectory: directory },
      machine: { uid, ...machine },
      ...rest,
    });
    return checkStateDirectory(patient)[0]!.verdict;
  };
  const make = (mode: number, fileMode: number): void => {
    mkdirSync(join(root, 'state'));
    writeFileSync(join(root, 'state/accounts.sqlite'), '');
    chmodSync(join(root, 'state/accounts.sqlite'), fileMode);
    chmodSync(join(root, 'state'), mode);
  };
  test('passes when missing and can be made, and when it is private', () => {
    assert.equal(check(), 'pass');
    make(0o700, 0o600);
    assert.equal(check(), 'pass');
  });
  test('passes where others may enter and read nothing', () => {
    make(0o755, 0o600);
    assert.equal(check(), 'pass');
  });
  test('fails where others may write, or read what is inside', () => {
    make(0o777, 0o600);
    assert.equal(check(), 'fail');
    chmodSync(join(root, 'state'), 0o755);
    chmodSync(join(root, 'state/accounts.sqlite'), 0o640);
    assert.equal(check(), 'fail');
  });
  test("fails where it is a file, or another user's than the agent's", () => {
    writeFileSync(join(root, 'file'), '');
    assert.equal(check(join(root, 'file')), 'fail');
    make(0o700, 0o600);
    assert.equal(check(undefined, { agent: { pid: 1, uid: 4711 } }), 'fail');
    assert.equal(check(undefined, { machine: { uid: 4711 } }), 'skip');
  });
});

describe('the running agent', () => {
  const run = (pid: number, words: readonly string[], network = 'net:[1]'): void => {
    layOut(root, { [`proc/${pid}/cmdline`]: `${words.join('\0')}\0`, [`proc/${pid}/ns/.made`]: '' });
    symlinkSync(network, join(root, `proc/${pid}/ns/net`));
  };
  beforeEach(() => {
    run(1, ['/sbin/init']);
    mkdirSync(join(root, 'proc/self/ns'), { recursive: true });
    symlinkSync('net:[1]', join(root, 'proc/self/ns/net'));
    layOut(root, {
      'opt/cloudsip/package.json': '{"name": "cloudsip"}',
      'opt/other/package.json': '{"name": "other"}',
    });
  });
  const found = (): number | undefined => findRunningAgent(root)?.pid;

  test('is found from the sources and from what was built', () => {
    run(50, [
      'node',
      '--no-maglev',
      '/opt/cloudsip/dist/src/main.js',
      '--log-level',
      'debug',
      '--realm=user',
    ]);
    assert.equal(found(), 50);
  });
  test('is not a command, another program or another network', () => {
    run(50, ['node', '/opt/cloudsip/src/main.ts', 'user', 'list']);
    run(54, [
      'node',
      '/opt/cloudsip/src/main.ts',
      '--realm',
      'user',
      '--config=c.yaml',
      'whatever-comes-later',
    ]);
    run(51, ['node', '/opt/other/src/main.ts']);
    run(52, ['node', '/opt/cloudsip/src/main.ts'], 'net:[2]');
    assert.equal(found(), undefined);
    run(53, ['node', '/opt/cloudsip/src/main.ts']);
    assert.equal(found(), 53);
  });
});

describe('hairpin', () => {
  test('is skipped where its socket cannot be bound', async () => {
    // Nobody has this address here.
    const findings = await checkHairpin(
      fakePatient({ topology: twoCards([pair[0]!]), interfaces: [osInterface('ens5', '10.0.0.15')] }),
    );
    assert.deepEqual(judged(findings), ['skip 203.0.113.5']);
    assert.match(findings[0]!.evidence, /^10\.0\.0\.15:20000 could not be used for a try: /);
  });
});

describe('kernel-forwarding', () => {
  const check = (media: string, uid = process.getuid!()): string => {
    const [finding] = checkKernelForwarding(fakePatient({ configuration: { media }, machine: { uid } }));
    return `${finding!.verdict}: ${finding!.evidence}`;
  };
  const open = (): number => readdirSync('/proc/self/fd').length;

  test('tries the program where it is wanted, keeps nothing open, and never spoils what works in another way', () => {
    const before = open();
    assert.match(
      check('auto'),
      /^pass: (User \d+ may have settled media forwarded in the kernel \((TCX|XDP)\)\.|.* Media is forwarded in user space\.)$/,
    );
    assert.match(check('kernel'), process.getuid!() === 0 ? /^(pass|fail)/ : /^(pass|skip)/);
    assert.equal(open(), before);
    assert.equal(check('off'), 'skip: Not wanted: the configuration says off.');
  });
});

test('system-calls are not asked for where the configuration wants none', () => {
  assert.deepEqual(judged(checkSystemCalls(fakePatient())), ['pass']);
  assert.deepEqual(judged(checkSystemCalls(fakePatient({ configuration: { udp: 'dgram', media: 'off' } }))), [
    'skip',
  ]);
});
