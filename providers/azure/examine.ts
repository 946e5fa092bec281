import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { Examination, Finding } from '../../src/discovery/finding.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import type { ArmAnswer } from './arm-answer.ts';
import { askArm } from './ask-arm.ts';
import { readMetadata } from './discover.ts';
import { examineGroups } from './examine-groups.ts';
import type { AzureMachine } from './instance.ts';
import { discoveryActions, EFFECTIVE_GROUPS, grantCommands, READ_NETWORKS } from './rights.ts';

/** The effective rules of one interface alone may take ten seconds. */
const ANSWER_MS = 40_000;
/** "UDP source port 65330 is reserved": packets from it do not leave the host. */
const RESERVED_PORT = 65_330;

/** What the Resource Manager knows about why packets do not arrive. */
export async function examine(
  context: DiscoveryContext,
  examination: Examination,
  signal: AbortSignal,
): Promise<Finding[]> {
  const reserved = reservedPort(examination.rtpPorts);
  let machine: AzureMachine | undefined;
  try {
    ({ machine } = await readMetadata(context, signal));
    const arm = await askArm(context, machine, { signal, timeoutMs: ANSWER_MS, diagnosis: true });
    return [
      ...rights(machine, arm),
      ...addresses(examination.topology, arm),
      ...examineGroups(examination, machine, arm),
      reserved,
    ];
  } catch (error) {
    if (!(error instanceof DiscoveryError)) throw error;
    return [unasked(machine, error), reserved];
  }
}

/** A matter of information: whatever range is given, cloudsip puts no media on that port. */
function reservedPort({ from, to }: Examination['rtpPorts']): Finding {
  const holds = RESERVED_PORT >= from && RESERVED_PORT <= to;
  const evidence = holds
    ? `The RTP ports ${from}-${to} hold UDP ${RESERVED_PORT}, which Azure keeps for itself: cloudsip puts no media there.`
    : `The RTP ports ${from}-${to} leave out UDP ${RESERVED_PORT}, which Azure keeps for itself.`;
  return { check: 'reserved-port', verdict: 'pass', evidence };
}

/** Not one question could be asked. */
function unasked(machine: AzureMachine | undefined, error: DiscoveryError): Finding {
  const check = 'rights';
  const evidence = error.message;
  if (!machine)
    return { check, verdict: 'skip', evidence: `The Resource Manager was not asked: ${evidence}` };
  // A VM without an identity is well: that is how Azure makes them. One whose identity fails is another matter.
  if (error.code === 'discovery.api-anonymous') {
    return {
      check,
      verdict: 'skip',
      evidence: `The Resource Manager was not asked whether network security groups let packets through to each listener and the RTP ports, and whether it tells the same addresses as metadata. ${evidence}`,
      remedy: `To have that checked:\n${grant(machine)}`,
    };
  }
  if (error.code === 'discovery.api-credentials') {
    return { check, verdict: 'warn', evidence, remedy: grant(machine) };
  }
  const remedy =
    'Give the VM a way out to the Resource Manager (HTTPS), or set AZURE_RESOURCE_MANAGER_ENDPOINT to a private endpoint of it.';
  return { check, verdict: 'warn', evidence, remedy };
}

/** Each right that was put to the test. */
function rights(machine: AzureMachine, arm: ArmAnswer): Finding[] {
  const check = 'rights';
  const [readNics, readPublic] = discoveryActions(machine.resource);
  const found = arm.nics.length > 0;
  const tested = [
    readNics,
    ...(arm.nics.some((nic) => nic.addresses.some(({ publicId }) => publicId !== undefined))
      ? [readPublic]
      : []),
    ...(found ? [READ_NETWORKS] : []),
    ...(found && machine.resource?.scaleSet === undefined ? [EFFECTIVE_GROUPS] : []),
  ];
  return tested.map((action): Finding => {
    const refusal = arm.refusals.find((entry) => entry.action === action);
    if (!refusal)
      return { check, subject: action, verdict: 'pass', evidence: `The Resource Manager answers ${action}.` };
    const evidence = `${refusal.message} (${refusal.scope}).`;
    if (refusal.code !== 'discovery.api-forbidden')
      return { check, subject: action, verdict: 'skip', evidence };
    // Without these two only the examination is less sharp.
    const needed = action === readNics || action === readPublic;
    return { check, subject: action, verdict: needed ? 'fail' : 'warn', evidence, remedy: grant(machine) };
  });
}

function grant(machine: AzureMachine): string {
  return grantCommands(machine, [...discoveryActions(machine.resource), READ_NETWORKS, EFFECTIVE_GROUPS]);
}

/** What runs, against what the Resource Manager says. */
function addresses(topology: Topology, arm: ArmAnswer): Finding[] {
  if (arm.nics.length === 0) return [];
  const check = 'api-address';
  const known = new Map(
    arm.nics.flatMap((nic) => nic.addresses.map((address) => [address.privateAddress, address])),
  );
  return topology.interfaces.flatMap((nic) =>
    nic.addresses.map(({ privateAddress, publicAddress }): Finding => {
      const subject = privateAddress;
      const told = known.get(privateAddress);
      const ours = publicAddress ?? 'no public address';
      if (!told) {
        return {
          check,
          subject,
          verdict: 'warn',
          evidence: `The Resource Manager shows no interface of this VM with ${privateAddress}.`,
          remedy: `Add the address to an IP configuration of the interface: az network nic ip-config create --resource-group GROUP --nic-name NIC --name NAME --private-ip-address ${privateAddress}`,
        };
      }
      if (told.unread) {
        const evidence = `${privateAddress} has a public address (${told.publicId}) that could not be read.`;
        return { check, subject, verdict: 'skip', evidence };
      }
      const theirs = told.publicAddress ?? 'no public address';
      if (ours === theirs) {
        return {
          check,
          subject,
          verdict: 'pass',
          evidence: `The Resource Manager too sees ${ours} in front of it.`,
        };
      }
      return {
        check,
        subject,
        verdict: 'warn',
        evidence: `cloudsip goes by ${ours}, the Resource Manager says ${theirs}.`,
        remedy: `If the address has just been changed, look again in some minutes; else name the right one: --listen 'udp:${privateAddress} as ${told.publicAddress ?? 'PUBLIC-ADDRESS'}'`,
      };
    }),
  );
}
