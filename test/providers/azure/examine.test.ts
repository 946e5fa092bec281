import assert from 'node:assert/strict';
import { test } from 'node:test';
import { azure } from '../../../providers/azure.ts';
import type { Examination, Finding } from '../../../src/discovery/finding.ts';
import type { Topology } from '../../../src/discovery/topology.ts';
import { type ArmDocument, effectiveGroup } from '../../support/fake-arm-document.ts';
import { type AzureVmDescription, GROUP, SUBSCRIPTION } from '../../support/fake-azure-document.ts';
import { type FakeCloud, startFakeCloud } from './surroundings.ts';

const VM: AzureVmDescription = {
  nics: [
    {
      mac: '000d3af806ec',
      subnetCidr: '10.0.0.0/24',
      addresses: [{ private: '10.0.0.4', public: '203.0.113.5' }],
    },
  ],
};
const NIC_ID = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}/providers/Microsoft.Network/networkInterfaces/nic-0`;
const TOPOLOGY: Topology = {
  provider: 'azure',
  interfaces: [
    {
      mac: '00:0d:3a:f8:06:ec',
      addresses: [{ privateAddress: '10.0.0.4', publicAddress: '203.0.113.5', provenance: 'api' }],
      subnets: [],
    },
  ],
  localNetworks: [],
};
const EXAMINATION: Examination = {
  topology: TOPOLOGY,
  listeners: [
    { transport: 'udp', address: '10.0.0.4', port: 5060 },
    { transport: 'tls', address: '10.0.0.4', port: 5061 },
  ],
  rtpPorts: { from: 10_000, to: 20_000 },
};
const open = (priority: number, protocol: string, ports: string, more = {}): Record<string, unknown> => ({
  name: `securityRules/open-${ports}`,
  priority,
  protocol,
  sourceAddressPrefix: 'Internet',
  expandedSourceAddressPrefix: ['1.0.0.0/8', '2.0.0.0/7'],
  destinationAddressPrefix: '10.0.0.4/32',
  destinationPortRange: ports,
  destinationPortRanges: [ports],
  ...more,
});
const SIP = open(300, 'Udp', '5060-5060');
const TLS = open(310, 'Tcp', '5061-5061');
const RTP = open(320, 'Udp', '10000-20000');

function cloudWith(rules: readonly object[][], more: Partial<ArmDocument> = {}): Promise<FakeCloud> {
  const groups = rules.map((list, index) =>
    effectiveGroup(`nsg-${index}`, list as Record<string, unknown>[]),
  );
  return startFakeCloud(VM, { effectiveGroups: { [NIC_ID]: groups }, ...more });
}

async function examine(cloud: FakeCloud, more: Partial<Examination> = {}): Promise<readonly Finding[]> {
  return azure.examine!(cloud.context(), { ...EXAMINATION, ...more }, new AbortController().signal);
}

const bad = (findings: readonly Finding[]): (string | undefined)[][] =>
  findings
    .filter(({ verdict }) => verdict === 'fail' || verdict === 'warn')
    .map(({ check, subject, verdict }) => [verdict, check, subject]);

test('a healthy machine passes everywhere, with evidence', async () => {
  await using cloud = await cloudWith([[SIP, TLS, RTP], [open(100, '*', '0-65535')]]);
  const findings = await examine(cloud);
  assert.deepEqual(
    findings.filter(({ verdict }) => verdict !== 'pass'),
    [],
  );
  assert.deepEqual(
    findings.map(({ check, subject }) => `${check} ${subject ?? ''}`.trim()),
    [
      'rights Microsoft.Network/networkInterfaces/read',
      'rights Microsoft.Network/publicIPAddresses/read',
      'rights Microsoft.Network/virtualNetworks/read',
      'rights Microsoft.Network/networkInterfaces/effectiveNetworkSecurityGroups/action',
      'api-address 10.0.0.4',
      'security-group udp:10.0.0.4:5060',
      'security-group tls:10.0.0.4:5061',
      'security-group RTP udp:10.0.0.4:10000-20000',
      'security-group-outbound udp:10.0.0.4',
      'reserved-port',
    ],
  );
});

test('a closed SIP port and half a media range, in whichever group, are found with the command to open them', async () => {
  await using cloud = await cloudWith([
    [SIP, TLS, RTP],
    [
      { ...SIP, access: 'Deny', name: 'securityRules/no-sip', priority: 1000 },
      TLS,
      open(320, 'Udp', '10000-15000'),
    ],
  ]);
  const findings = await examine(cloud);
  assert.deepEqual(bad(findings), [
    ['fail', 'security-group', 'udp:10.0.0.4:5060'],
    ['fail', 'security-group', 'RTP udp:10.0.0.4:10000-20000'],
  ]);
  const [sip, rtp] = findings.filter(({ verdict }) => verdict === 'fail');
  assert.equal(sip?.evidence, 'nsg-1 closes UDP 5060 by securityRules/no-sip to the internet.');
  assert.equal(
    sip?.remedy,
    `az network nsg rule create --resource-group '${GROUP}' --nsg-name 'nsg-1' --name 'cloudsip-sip-udp-5060' --priority 999 --direction Inbound --access Allow --protocol Udp --source-address-prefixes Internet --destination-port-ranges 5060`,
  );
  assert.equal(
    rtp?.evidence,
    'nsg-1 closes UDP 15001-20000 by defaultSecurityRules/DenyAllInBound to the internet.',
  );
});

test('open to a provider alone is a warning that names it', async () => {
  const trunk = open(300, 'Udp', '5060-5060', {
    name: 'securityRules/trunk',
    sourceAddressPrefix: '198.51.100.0/24',
    expandedSourceAddressPrefix: [],
  });
  await using cloud = await cloudWith([[trunk, TLS, RTP]]);
  const findings = await examine(cloud);
  assert.deepEqual(bad(findings), [['warn', 'security-group', 'udp:10.0.0.4:5060']]);
  const sip = findings.find(({ verdict }) => verdict === 'warn');
  assert.match(sip?.evidence ?? '', /though securityRules\/trunk lets through 198\.51\.100\.0\/24\.$/);
});

test('what is closed towards the internet is a warning of its own', async () => {
  const shut = open(200, 'All', '0-20000', {
    name: 'securityRules/no-way-out',
    access: 'Deny',
    direction: 'Outbound',
    sourceAddressPrefix: '10.0.0.0/24',
    destinationAddressPrefix: 'Internet',
  });
  await using cloud = await cloudWith([[SIP, TLS, RTP, shut]]);
  const findings = await examine(cloud);
  assert.deepEqual(bad(findings), [['warn', 'security-group-outbound', 'udp:10.0.0.4']]);
  const { evidence, remedy } = findings.find(({ verdict }) => verdict === 'warn') ?? {};
  assert.equal(evidence, 'nsg-0 closes UDP 1024-20000 by securityRules/no-way-out towards the internet.');
  assert.match(
    remedy ?? '',
    /--priority 199 --direction Outbound .* --destination-address-prefixes Internet /,
  );
});

test('of an instance of a uniform scale set the groups cannot be told, and that is said', async () => {
  await using cloud = await startFakeCloud({ ...VM, scaleSet: 'edges', name: '7' });
  const findings = await examine(cloud);
  assert.deepEqual(bad(findings), []);
  assert.equal(
    findings[0]?.subject,
    'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/read',
  );
  assert.match(
    findings.find(({ check }) => check === 'security-group')?.evidence ?? '',
    /uniform scale sets/,
  );
});

test('a Standard public address without any group is closed', async () => {
  await using cloud = await cloudWith([]);
  const findings = await examine(cloud);
  assert.deepEqual(
    bad(findings).map(([verdict]) => verdict),
    ['fail', 'fail', 'fail'],
  );
  assert.match(
    findings.find(({ verdict }) => verdict === 'fail')?.evidence ?? '',
    /No network security group stands on nic-0/,
  );
  const { document } = cloud.arm;
  const basic = document.publicIPAddresses.map((address) => ({ ...address, sku: { name: 'Basic' } }));
  cloud.arm.document = { ...document, publicIPAddresses: basic };
  assert.deepEqual(bad(await examine(cloud)), []);
});

test('each missing right is named, with a role definition that has them all', async () => {
  const action = 'Microsoft.Network/networkInterfaces/effectiveNetworkSecurityGroups/action';
  await using cloud = await cloudWith([[SIP, TLS, RTP]], {
    denied: [action, 'Microsoft.Network/publicIPAddresses/read'],
  });
  const findings = await examine(cloud);
  assert.deepEqual(bad(findings), [
    ['fail', 'rights', 'Microsoft.Network/publicIPAddresses/read'],
    ['warn', 'rights', action],
  ]);
  const { remedy = '' } = findings.find(({ subject }) => subject === action) ?? {};
  const [, definition = ''] = /--role-definition '([^']+)'/.exec(remedy) ?? [];
  assert.deepEqual(JSON.parse(definition), {
    Name: `cloudsip discovery ${GROUP}`,
    Description: 'Lets cloudsip find its public addresses',
    Actions: [
      'Microsoft.Network/networkInterfaces/read',
      'Microsoft.Network/publicIPAddresses/read',
      'Microsoft.Network/virtualNetworks/read',
      action,
    ],
    AssignableScopes: [`/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}`],
  });
  assert.ok(findings.some(({ check, verdict }) => check === 'security-group' && verdict === 'skip'));
});

test('a machine without identity is well, and told how to get one and what for', async () => {
  await using cloud = await cloudWith([[SIP, TLS, RTP]]);
  const { token: _gone, ...documents } = cloud.imds.documents;
  cloud.imds.documents = documents;
  const findings = await examine(cloud);
  assert.deepEqual(bad(findings), []);
  assert.equal(findings[0]?.verdict, 'skip');
  assert.match(findings[0]?.evidence ?? '', /not asked whether network security groups let packets through/);
  assert.match(
    findings[0]?.remedy ?? '',
    /^To have that checked:\naz vm identity assign --resource-group 'voice' --name 'edge'\n/,
  );
});

test('an identity that is named and not there, and one whose token does not come, are told of', async () => {
  await using cloud = await cloudWith([[SIP, TLS, RTP]]);
  const { token: _gone, ...documents } = cloud.imds.documents;
  cloud.imds.documents = documents;
  const env = { AZURE_CLIENT_ID: 'f0b7e4ba-0b3a-4b0d-8b6e-9d1a3c7a4e11' };
  const { signal } = new AbortController();
  const named = await azure.examine!(cloud.context({ env }), EXAMINATION, signal);
  assert.deepEqual(bad(named), [['warn', 'rights', undefined]]);
  assert.match(named[0]?.remedy ?? '', /^az vm identity assign /);
  cloud.imds.fault = ({ path }) => (path.includes('/identity/') ? { status: 500, body: '' } : undefined);
  assert.deepEqual(bad(await examine(cloud)), [['warn', 'rights', undefined]]);
});

test('an address that the Resource Manager tells differently is shown, and the reserved port is told', async () => {
  await using cloud = await cloudWith([[SIP, TLS, open(320, 'Udp', '1-65535')]]);
  const nic = TOPOLOGY.interfaces[0]!;
  const stale = { privateAddress: '10.0.0.4', publicAddress: '203.0.113.99', provenance: 'imds' } as const;
  const topology = { ...TOPOLOGY, interfaces: [{ ...nic, addresses: [stale] }] };
  const findings = await examine(cloud, { topology, rtpPorts: { from: 60_000, to: 65_330 } });
  assert.deepEqual(bad(findings), [['warn', 'api-address', '10.0.0.4']]);
  const reserved = findings.find(({ check }) => check === 'reserved-port');
  assert.match(reserved?.evidence ?? '', /60000-65330 hold UDP 65330, .* cloudsip puts no media there\.$/);
  const differs = findings.find(({ check }) => check === 'api-address');
  assert.equal(differs?.evidence, 'cloudsip goes by 203.0.113.99, the Resource Manager says 203.0.113.5.');
});

test('a metadata service that is silent leaves what can be told without it', async () => {
  await using cloud = await cloudWith([]);
  cloud.imds.fault = () => ({ status: 403 });
  const findings = await examine(cloud);
  assert.deepEqual(
    findings.map(({ check, verdict }) => [check, verdict]),
    [
      ['rights', 'skip'],
      ['reserved-port', 'pass'],
    ],
  );
});
