import { armOffice, azureCloud } from './azure-cloud.ts';
import { apiEnvironment, bareEc2Cloud, startEc2Api } from './ec2-cloud.ts';
import { computeEnvironment, gcpCloud, silentGcpCloud, startCompute } from './gcp-cloud.ts';
import { ec2Cloud } from './lab-metadata.ts';
import type { OfficeOptions } from './office.ts';

/** On a machine that is too busy an SDK alone takes many seconds, and some starts wait for its answer. */
const patient = { readyTimeoutMs: 60_000 } as const;

/**
 * The agent in each of the three clouds, by each way to learn its addresses: from metadata alone, and from the API
 * where metadata tells of no public address. What is the same everywhere is tried in all of them.
 */
export const clouds: Readonly<Record<string, OfficeOptions>> = {
  'EC2 by metadata': { cloud: ec2Cloud },
  'EC2 by its API': { cloud: bareEc2Cloud, prepare: startEc2Api, env: apiEnvironment, ...patient },
  'Compute Engine by metadata': { cloud: gcpCloud },
  'Compute Engine by its API': {
    cloud: silentGcpCloud,
    prepare: startCompute,
    env: computeEnvironment,
    ...patient,
  },
  'Azure by metadata': { cloud: azureCloud },
  'Azure by its API': { ...armOffice, ...patient },
};
