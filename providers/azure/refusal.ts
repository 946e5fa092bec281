import { DiscoveryError, type DiscoveryErrorCode, quoted } from '../../src/discovery/discovery-error.ts';
import type { ArmRefusal } from './arm-answer.ts';

/** What the SDK threw for one call, sorted by what a person can do about it. */
export function refusalOf(action: string, scope: string, error: unknown): ArmRefusal {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const { statusCode, code } = error as { readonly statusCode?: unknown; readonly code?: unknown };
  const refusal = (errorCode: DiscoveryErrorCode, came: string): ArmRefusal => ({
    action,
    scope: scope.slice(0, 512),
    code: errorCode,
    message: `${action}: expected an answer, came ${came}`,
  });
  if (isCredentialError(name))
    return refusal('discovery.api-credentials', `no credentials (${shortened(message)})`);
  if (statusCode === 401)
    return refusal('discovery.api-credentials', "401: the identity's token is not accepted there");
  if (statusCode === 403) return refusal('discovery.api-forbidden', '403: the identity lacks that right');
  if (statusCode === 404)
    return refusal('discovery.api-failed', `404: nothing of that name at ${quoted(scope)}`);
  if (statusCode === 429)
    return refusal('discovery.api-failed', '429, again and again: the subscription asks too often');
  if (typeof statusCode === 'number')
    return refusal('discovery.api-failed', `${statusCode} (${quoted(String(code))})`);
  if (typeof code === 'string')
    return refusal('discovery.api-failed', `an error of the connection (${quoted(code)})`);
  return refusal('discovery.api-failed', `${quoted(name)}: ${shortened(message)}`);
}

/** Nobody vouches for this machine: no question can be asked at all. */
export function refusedCredentials(error: unknown): DiscoveryError {
  const { name, message } = lastOf(error);
  const known = isCredentialError(name);
  // The metadata service of a VM without an identity: 400, `invalid_request`, "Identity not found".
  if (/\binvalid_request\b/.test(message) && known && !namesCredentials()) {
    return new DiscoveryError(
      'discovery.api-anonymous',
      `The Resource Manager: expected a token for it, came no credentials (${shortened(message)}): this VM has no identity.`,
      { cause: error },
    );
  }
  const came = known ? 'no credentials' : quoted(name);
  return new DiscoveryError(
    known ? 'discovery.api-credentials' : 'discovery.api-failed',
    `The Resource Manager: expected a token for it, came ${came} (${shortened(message)}).`,
    { cause: error },
  );
}

/** Whether somebody says in the environment whose token to ask for: then that there is none is a fault. */
function namesCredentials(): boolean {
  const names = ['AZURE_CLIENT_ID', 'AZURE_TENANT_ID', 'AZURE_FEDERATED_TOKEN_FILE', 'AZURE_USERNAME'];
  return names.some((name) => process.env[name]);
}

/** A chain tells of every source that was tried; the last, the VM's own identity, is what a VM should have. */
function lastOf(error: unknown): Error {
  const errors = (error as { readonly errors?: unknown }).errors;
  const last: unknown = Array.isArray(errors) ? errors.at(-1) : error;
  return last instanceof Error ? last : new Error(String(last));
}

/** Foreign text on one line: what it says first says most. */
function shortened(text: string): string {
  const line = text.replace(/[\x00-\x20\x7f]+/g, ' ');
  const [head = ''] = line.split(/ - Timestamp:| Trace ID:/);
  return head.slice(0, 200);
}

function isCredentialError(name: string): boolean {
  return /^(CredentialUnavailableError|AggregateAuthenticationError|AuthenticationError|AuthenticationRequiredError)$/.test(
    name,
  );
}
