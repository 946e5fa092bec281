import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gcp } from '../../../providers/gcp.ts';
import type { Examination, Finding } from '../../../src/discovery/finding.ts';
import { startFakeCompute } from '../../support/fake-compute.ts';
import { type ComputeProject, computeProject } from '../../support/fake-compute-project.ts';
import { startFakeGce } from '../../support/fake-gce.ts';
import { defaultScopes, fullScopes, type GceNic, gceDocument } from '../../support/fake-gce-document.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { contextOf, NIC } from './gcp-machine.ts';

const SECOND: GceNic = {
  ...NIC,
  mac: '42:01:0a:00:01:0f',
  ip: '10.0.1.15',
  external: '203.0.113.7',
  ipv6s: ['2600:1901:0:1::'],
};
const INNER: GceNic = { ...NIC, mac: '42:01:0a:00:02:0f', ip: '10.0.2.15', external: null };

interface Examined {
  readonly nics?: readonly GceNic[];
  readonly account: ComputeProject;
  readonly scopes?: readonly string[] | null;
  readonly listeners?: Examination['listeners'];
}

async function examined(
  options: Examined,
): Promise<{ findings: readonly Finding[]; asked: readonly string[] }> {
  const { nics = [NIC], account, scopes = fullScopes, listeners } = options;
  await using gce = await startFakeGce(gceDocument({ nics, scopes }));
  await using compute = await startFakeCompute(account);
  const env = { CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: compute.url, HOME: '/nonexistent' };
  const context = contextOf(gce.url, { clock: new ManualClock(), env });
  const { signal } = new AbortController();
  const topology = await gcp.discover(context, signal);
  const given = topology.interfaces.flatMap((nic) =>
    nic.addresses.map(({ privateAddress, publicAddress }) => ({
      transport: 'udp',
      address: privateAddress,
      port: 5060,
      ...(publicAddress && { advertised: `${publicAddress}:5060` }),
    })),
  );
  const examination = { topology, listeners: listeners ?? given, rtpPorts: { from: 10_000, to: 20_000 } };
  return { findings: await gcp.examine!(context, examination, signal), asked: compute.requests };
}

/** In the API's own shape. */
const allow = (name: string, ports: string[], more: object = {}) => ({
  kind: 'compute#firewall',
  name,
  direction: 'INGRESS',
  disabled: false,
  priority: 1000,
  sourceRanges: ['0.0.0.0/0'],
  allowed: [{ IPProtocol: 'udp', ports }],
  ...more,
});
const OPEN = { firewalls: [allow('sip', ['5060', '10000-20000'])] };

const told = (findings: readonly Finding[]): string[] =>
  findings.map(({ check, subject, verdict }) => `${verdict} ${check} ${subject}`);
const of = (findings: readonly Finding[], subject: string): Finding =>
  findings.find((finding) => finding.subject === subject)!;

test('a healthy machine: rights, addresses, the firewall of each interface, IPv6 by itself', async () => {
  const account = computeProject(
    [
      { address: '10.0.0.15', external: '203.0.113.5' },
      { address: '10.0.1.15', external: '203.0.113.7', ipv6: '2600:1901:0:1::' },
      { address: '10.0.2.15' },
    ],
    {
      effectiveFirewalls: {
        nic0: OPEN,
        nic1: { firewalls: [...OPEN.firewalls, allow('six', ['5060'], { sourceRanges: ['::/0'] })] },
        nic2: { firewalls: [allow('inner', [], { sourceRanges: ['10.0.0.0/8'] })] },
      },
    },
  );
  const { findings, asked } = await examined({ nics: [NIC, SECOND, INNER], account });
  assert.deepEqual(told(findings), [
    'pass rights compute.instances.get',
    'pass rights compute.instances.getEffectiveFirewalls',
    'pass addresses 10.0.0.15',
    'pass addresses 10.0.1.15',
    'pass addresses 10.0.2.15',
    'pass firewall udp 10.0.0.15:5060',
    'pass firewall udp 10.0.1.15:5060',
    'pass firewall udp [2600:1901:0:1::]:5060',
    'pass firewall udp 10.0.2.15:5060',
    'pass firewall rtp 10.0.0.15:10000-20000',
    'pass firewall rtp 10.0.1.15:10000-20000',
    'fail firewall rtp [2600:1901:0:1::]:10000-20000',
    'pass firewall rtp 10.0.2.15:10000-20000',
  ]);
  const six = of(findings, 'rtp [2600:1901:0:1::]:10000-20000');
  assert.match(
    six.remedy!,
    /firewall-rules create cloudsip-udp-10000-ipv6 .*--allow=udp:10000-20000 --source-ranges=::\/0 --target-tags=sip/,
  );
  assert.ok(asked.every((request) => request.startsWith('GET ')));
  assert.ok(asked.some((request) => request.includes('getEffectiveFirewalls?networkInterface=nic2')));
});

test('what is closed, by which rule, and the command that opens it; what API and metadata tell differently', async () => {
  const account = computeProject([{ address: '10.0.0.15', external: '203.0.113.66' }], {
    effectiveFirewalls: {
      nic0: {
        firewalls: [
          allow('carrier', ['5060'], { sourceRanges: ['198.51.100.0/24'] }),
          {
            ...allow('no-media', []),
            allowed: [],
            denied: [{ IPProtocol: 'udp', ports: ['10000-20000'] }],
            priority: 500,
          },
          allow('off', [], { disabled: true }),
          allow('outward', [], { direction: 'EGRESS' }),
        ],
        firewallPolicys: [
          {
            name: '1234',
            displayName: 'org-policy',
            type: 'HIERARCHY',
            rules: [
              {
                action: 'goto_next',
                direction: 'INGRESS',
                priority: 10,
                match: { srcIpRanges: ['0.0.0.0/0'], layer4Configs: [{ ipProtocol: 'all' }] },
              },
            ],
          },
          { name: 'net', type: 'NETWORK', rules: [] },
        ],
      },
    },
    denied: ['compute.networks.get'],
  });
  const { findings } = await examined({ account });
  assert.deepEqual(told(findings), [
    'pass rights compute.instances.get',
    'pass rights compute.instances.getEffectiveFirewalls',
    'fail addresses 10.0.0.15',
    'warn firewall udp 10.0.0.15:5060',
    'fail firewall rtp 10.0.0.15:10000-20000',
  ]);
  const address = of(findings, '10.0.0.15');
  assert.match(address.evidence, /metadata server says 203\.0\.113\.5, the API says 203\.0\.113\.66/);
  const sip = of(findings, 'udp 10.0.0.15:5060');
  assert.match(
    sip.evidence,
    /let in by rule carrier \(priority 1000\) \(198\.51\.100\.0\/24\) alone; everybody else is dropped by the deny that ends every list/,
  );
  assert.match(sip.evidence, /order of policies and VPC rules could not be asked \(compute\.networks\.get\)/);
  const rtp = of(findings, 'rtp 10.0.0.15:10000-20000');
  assert.match(
    rtp.evidence,
    /udp 10000-20000 from 0\.0\.0\.0\/0 at nic0 is dropped by rule no-media \(priority 500\)/,
  );
  assert.match(
    rtp.remedy!,
    /\n {2}gcloud compute firewall-rules create cloudsip-udp-10000 --project=lab-project --network=default .*--priority=499$/,
  );
});

test('a missing right for firewalls alone: the addresses are judged, the firewall is not', async () => {
  const account = computeProject([{ address: '10.0.0.15', external: '203.0.113.5' }], {
    effectiveFirewalls: { nic0: OPEN },
    denied: ['compute.instances.getEffectiveFirewalls'],
  });
  const { findings } = await examined({ account });
  assert.deepEqual(told(findings), [
    'pass rights compute.instances.get',
    'warn rights compute.instances.getEffectiveFirewalls',
    'pass addresses 10.0.0.15',
    'skip firewall udp 10.0.0.15:5060',
    'skip firewall rtp 10.0.0.15:10000-20000',
  ]);
  const right = of(findings, 'compute.instances.getEffectiveFirewalls');
  assert.match(
    right.remedy!,
    /\n {2}gcloud iam roles create cloudsip --project=lab-project --permissions=compute\.instances\.get,compute\.instances\.getEffectiveFirewalls,compute\.networks\.get\n/,
  );
  assert.match(right.remedy!, /--member=serviceAccount:123456789012-compute@developer\.gserviceaccount\.com/);
});

test('a machine that nobody gave access to Compute is well, and told what it could have', async () => {
  for (const scopes of [null, defaultScopes]) {
    const { findings } = await examined({ account: computeProject([]), scopes });
    assert.deepEqual(told(findings), ['skip rights compute.instances.get']);
    assert.match(findings[0]!.evidence, /was not asked whether the firewall lets packets through to each/);
    assert.match(findings[0]!.remedy!, /^To have that checked:\n/);
  }
});

test('the default scopes are recognised and explained', async () => {
  const scopes = ['https://www.googleapis.com/auth/logging.write'];
  const { findings } = await examined({ account: computeProject([]), scopes });
  assert.match(findings[0]!.evidence, /access scopes of this machine hold none for Compute/);
  assert.match(findings[0]!.remedy!, /whatever IAM allows.*\n {2}gcloud compute instances stop sip-edge/s);
});
