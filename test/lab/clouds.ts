import { azureCloud } from './azure-cloud.ts';
import { gcpCloud } from './gcp-cloud.ts';
import { ec2Cloud, type LabCloud } from './lab-metadata.ts';

/** The clouds that what is the same everywhere is tried in, by their providers' names. */
export const clouds: Readonly<Record<string, LabCloud>> = { ec2: ec2Cloud, gcp: gcpCloud, azure: azureCloud };
