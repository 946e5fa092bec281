import { type FakeEc2Account, healthyAccount } from '../support/fake-ec2-account.ts';
import { type FakeEc2Document, fakeAccessKey } from '../support/fake-ec2-api.ts';
import { imdsDocument } from '../support/fake-imds-document.ts';
import type { Lab } from './lab.ts';
import {
  describeMachine,
  type Ec2Document,
  ec2Cloud,
  type LabCloud,
  type LabMetadata,
} from './lab-metadata.ts';

/** Beside the metadata's own port at its address. */
const API_PORT = 8773;

/** What a person sets for the API of the laboratory. */
export const apiEnvironment: Readonly<Record<string, string>> = {
  AWS_ENDPOINT_URL_EC2: `http://169.254.169.254:${API_PORT}`,
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: fakeAccessKey.id,
  AWS_SECRET_ACCESS_KEY: fakeAccessKey.secret,
};

/** Metadata that tells of no public address. */
export const bareEc2Cloud: LabCloud<Ec2Document> = {
  ...ec2Cloud,
  describe: (lab, hostName) => {
    const nics = describeMachine(lab, hostName).nics.map((nic) => ({
      ...nic,
      addresses: nic.addresses.map((address) => ({ private: address.private })),
    }));
    return imdsDocument({ nics });
  },
};

/** Metadata that is switched off. */
export const silentEc2Cloud: LabCloud<Ec2Document> = {
  ...ec2Cloud,
  describe: () => ({ 'switched-off': '' }),
};

/** What the API knows of `vm`. */
export function ec2Truth(lab: Lab): FakeEc2Account {
  return healthyAccount(describeMachine(lab, 'vm'));
}

/** The EC2 API; it tells the truth unless it is given something else. */
export function startEc2Api(
  lab: Lab,
  document: FakeEc2Document = ec2Truth(lab),
): Promise<LabMetadata<FakeEc2Document>> {
  return lab.startService('fake-ec2-api.ts', document, API_PORT);
}
