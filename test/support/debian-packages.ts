import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';

/** What the tests call, by the Debian package that has it. Names hold for Debian 12 and 13. */
export const debianPackages: readonly string[] = [
  'baresip-core', // a real telephone in the lab
  'ca-certificates',
  'chromium', // WebRTC in the lab
  'clang-19', // compiles what is loaded into the kernel, to compare
  'cloud-init', // checks deploy/cloud-init.yaml
  'conntrack', // the lab's NAT
  'ethtool', // offloads of the lab's links
  'iproute2', // network namespaces: ip
  'iputils-ping',
  'kamailio', // the other side of the signalling benchmark
  'libnss-systemd', // the name of a unit's own user
  'nftables', // the lab's NAT and firewalls
  'openssl', // certificates of the TLS tests
  'procps',
  'sip-tester', // sipp
  'sox', // tones for the telephone, and hearing them again
  'systemd', // checks deploy/cloudsip.service: systemd-analyze
  'tcpdump',
  'tshark', // reads captures independently of our own code
];

/** Those of `names` that are not installed; undefined where the machine is no Debian. */
export function missingPackages(names: readonly string[] = debianPackages): string[] | undefined {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const format = '${Package} ${db:Status-Status}\\n';
  const query = spawnSync('dpkg-query', ['--show', '--showformat', format, ...names], { encoding: 'utf8' });
  if (query.error) return undefined;
  const installed = new Set(query.stdout.split('\n').filter((line) => line.endsWith(' installed')));
  return names.filter((name) => !installed.has(`${name} installed`));
}

/**
 * Installs packages with apt-get, as root. Prints nothing unless apt-get fails: then the error carries what it
 * said.
 */
export async function installPackages(names: readonly string[]): Promise<void> {
  const removeHold = holdServices();
  try {
    aptGet(['update']);
    aptGet(['install', '--yes', '--no-install-recommends', ...names]);
  } finally {
    await removeHold();
  }
}

function aptGet(args: readonly string[]): void {
  const apt = spawnSync(
    'apt-get',
    ['-qq', '-o', 'Dpkg::Use-Pty=0', '-o', 'DPkg::Lock::Timeout=120', ...args],
    {
      encoding: 'utf8',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_MODE: 'l' },
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 * 1024 * 1024,
      timeout: 15 * 60_000,
    },
  );
  if (apt.status === 0) return;
  const said = apt.error?.message ?? `${apt.stdout}${apt.stderr}`.trim().split('\n').slice(-20).join('\n');
  throw new Error(`expected "apt-get ${args.join(' ')}" to succeed; it said:\n${said}`);
}

/**
 * Debian starts a service when it installs one: a kamailio on port 5060 is not what a test may leave behind.
 * The policy file is Debian's own way to say no (policy-rc.d(8)).
 */
function holdServices(): () => Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return async () => {};
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  return () => rm(policy, { force: true });
}
