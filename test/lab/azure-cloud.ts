import { join } from 'node:path';
import { type Certificate, makeCertificate } from '../support/certificate.ts';
import { type ArmDocument, armDocument } from '../support/fake-arm-document.ts';
import { type AzureDocuments, azureDocuments } from '../support/fake-azure-document.ts';
import type { Lab } from './lab.ts';
import { describeMachine, type LabCloud, type LabMetadata } from './lab-metadata.ts';
import type { OfficeOptions } from './office.ts';

/** What /sys/class/dmi/id says on Azure. */
const firmware: Readonly<Record<string, string>> = {
  bios_vendor: 'Microsoft Corporation',
  board_vendor: 'Microsoft Corporation',
  chassis_asset_tag: '7783-7084-3265-9085-8269-3286-77',
  chassis_vendor: 'Microsoft Corporation',
  product_name: 'Virtual Machine',
  sys_vendor: 'Microsoft Corporation',
};

/** Beside the metadata's own port at its address. */
const ARM_PORT = 8443;
export const ARM_HOST = '169.254.169.254';
const ARM_ENDPOINT = `https://${ARM_HOST}:${ARM_PORT}`;

/** Standard public addresses that the load balancer's metadata tells. */
export const azureCloud: LabCloud<AzureDocuments> = {
  firmware,
  program: 'fake-azure.ts',
  describe: (lab, hostName) => azureDocuments(describeMachine(lab, hostName), 'loadbalancer'),
};

/** Standard public addresses that no metadata tells. */
export const silentAzureCloud: LabCloud<AzureDocuments> = {
  ...azureCloud,
  describe: (lab, hostName) => azureDocuments(describeMachine(lab, hostName), 'nobody'),
};

/** The agent in an Azure whose Resource Manager alone tells the public addresses. */
export const armOffice: OfficeOptions = {
  cloud: silentAzureCloud,
  prepare: async (lab) => startArm(lab, await makeCertificate(lab.directory, [ARM_HOST])),
  env: (lab) => armEnvironment(lab.directory),
};

/** What a person sets for the Resource Manager of a laboratory whose certificate lies there. */
export function armEnvironment(directory: string): Readonly<Record<string, string>> {
  return {
    AZURE_RESOURCE_MANAGER_ENDPOINT: ARM_ENDPOINT,
    NODE_EXTRA_CA_CERTS: join(directory, 'certificate.pem'),
  };
}

/** What the Resource Manager knows of `vm`. */
export function armTruth(lab: Lab, certificate: Certificate): ArmDocument {
  return armDocument(describeMachine(lab, 'vm'), certificate);
}

/** The Resource Manager; it tells the truth unless it is given something else. */
export function startArm(
  lab: Lab,
  certificate: Certificate,
  document: ArmDocument = armTruth(lab, certificate),
): Promise<LabMetadata<ArmDocument>> {
  return lab.startService('fake-arm.ts', document, ARM_PORT);
}
