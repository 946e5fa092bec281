import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Imds } from './imds.ts';

const SIGNS: readonly string[] = [
  'AWS_ACCESS_KEY_ID',
  'AWS_PROFILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
];

/** Whether there is any sign of credentials, as AWS tools look for them: without metadata by the environment alone. */
export async function hasCredentials(env: DiscoveryContext['env'], imds?: Imds): Promise<boolean> {
  if (SIGNS.some((name) => env[name])) return true;
  const roles = await imds?.get('iam/security-credentials/');
  return roles !== undefined && roles.trim() !== '';
}
