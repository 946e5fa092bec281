import type { DiscoveryContext, DiscoveryLog } from '../../src/discovery/provider.ts';
import type { Clock } from '../../src/net/clock.ts';
import type { OsInterface } from '../../src/net/os-interfaces.ts';
import { fakeAccessKey } from './fake-ec2-api.ts';
import { ImpatientClock } from './impatient-clock.ts';
import { quietLog } from './quiet-log.ts';

export interface Ec2Surroundings {
  /** The metadata service. */
  readonly imds?: { readonly url: string };
  /** The API, with the credentials that it knows in the environment. */
  readonly api?: { readonly url: string };
  readonly interfaces?: readonly OsInterface[];
  readonly dmi?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  /** Over what `imds` and `api` put there; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly log?: DiscoveryLog;
}

/** What the EC2 provider is handed on a machine between these two services; nothing of this machine's own. */
export function ec2Context(surroundings: Ec2Surroundings = {}): DiscoveryContext {
  const { imds, api, interfaces = [], dmi = {}, clock, env = {}, log = quietLog() } = surroundings;
  return {
    facts: { dmi, interfaces },
    // The waits of retries, but neither the connect time-out (1 s) nor a call's (5 s and more).
    clock: clock ?? new ImpatientClock(900),
    log,
    env: {
      PATH: process.env['PATH'],
      // Whatever this machine's user has configured.
      HOME: '/nonexistent',
      ...(imds
        ? { AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.url }
        : { AWS_EC2_METADATA_DISABLED: 'true', AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:9' }),
      ...(api && {
        AWS_ENDPOINT_URL_EC2: api.url,
        AWS_REGION: 'eu-central-1',
        AWS_ACCESS_KEY_ID: fakeAccessKey.id,
        AWS_SECRET_ACCESS_KEY: fakeAccessKey.secret,
      }),
      ...env,
    },
    configuration: undefined,
  };
}

/** An interface as the operating system shows it. */
export function osInterface(name: string, mac: string, ...addresses: readonly string[]): OsInterface {
  return {
    name,
    mac,
    internal: false,
    addresses: addresses.map((address) => ({ address, prefixLength: 24, family: 'ipv4' })),
  };
}
