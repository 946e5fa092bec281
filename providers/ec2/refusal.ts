import { type DiscoveryErrorCode, quoted } from '../../src/discovery/discovery-error.ts';
import type { Refusal } from './api-answer.ts';

/** What the SDK threw, sorted by what a person can do about it. */
export function refusalOf(action: string, error: unknown): Refusal {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const system = (error as NodeJS.ErrnoException).code;
  const refusal = (code: DiscoveryErrorCode, came: string): Refusal => ({
    action,
    code,
    message: `${action}: expected an answer, came ${came}`,
  });
  if (/^(UnauthorizedOperation|AccessDenied.*|Client\.Unauthorized.*)$/.test(name))
    return refusal('discovery.api-forbidden', `${name}: the credentials of this machine lack that right`);
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError')
    return {
      ...refusal('discovery.api-credentials', `no credentials (${quoted(message)})`),
      anonymous: true,
    };
  if (CREDENTIALS.test(name))
    return refusal('discovery.api-credentials', `${name}: the credentials of this machine are not accepted`);
  if (/^Region is missing/.test(message))
    return refusal('discovery.api-failed', 'no question: the region is not known; set AWS_REGION');
  // The SDK calls a connection that was reset a time-out, too.
  if (system !== undefined && system !== 'ETIMEDOUT')
    return refusal('discovery.api-failed', `an error of the connection (${system})`);
  if (name === 'TimeoutError' || system === 'ETIMEDOUT')
    return refusal('discovery.api-timeout', 'nothing in time: no way leads from here to the endpoint');
  if (/^(RequestLimitExceeded|Throttling.*)$/.test(name))
    return refusal('discovery.api-failed', `${name}, again and again: the account asks too often`);
  return refusal('discovery.api-failed', `${quoted(name)}: ${quoted(message)}`);
}

const CREDENTIALS =
  /^(AuthFailure|InvalidClientTokenId|UnrecognizedClientException|ExpiredToken.*|RequestExpired|SignatureDoesNotMatch|InvalidSignature.*|OptInRequired|Blocked)$/;
