import { type DiscoveryErrorCode, quoted } from '../../src/discovery/discovery-error.ts';
import type { Refusal } from './api-answer.ts';

/** What the SDK threw, sorted by what a person can do about it. */
export function refusalOf(asked: string, error: unknown): Refusal {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const { status, code } = error as { status?: unknown; code?: unknown };
  const body = bodyOf(message);
  const said = body?.message ?? message;
  const refusal = (
    failed: DiscoveryErrorCode,
    reason: Refusal['reason'],
    came: string,
    permission = asked,
  ): Refusal => ({
    permission,
    code: failed,
    reason,
    message: `${permission}: expected an answer, came ${came}`,
  });
  if (/ACCESS_TOKEN_SCOPE_INSUFFICIENT|insufficient authentication scopes/i.test(message)) {
    return refusal(
      'discovery.api-forbidden',
      'scope',
      '403: the access scopes of this machine hold none for Compute',
    );
  }
  // Without a service account there is no token, and the SDK says so in either of two ways.
  if (
    /Could not load the default credentials|Could not refresh access token|retrieve an access ?token/i.test(
      message,
    )
  ) {
    return {
      ...refusal(
        'discovery.api-credentials',
        'credentials',
        'no credentials: this machine has no service account',
      ),
      anonymous: true,
    };
  }
  if (status === 401 || /invalid_grant|invalid authentication credentials/.test(message)) {
    return refusal('discovery.api-credentials', 'credentials', '401: the credentials are not accepted');
  }
  if (status === 403) {
    const missing = /Required '(compute\.[\w.]+)' permission/.exec(said)?.[1];
    if (missing)
      return refusal(
        'discovery.api-forbidden',
        'permission',
        "403: the machine's account lacks that right",
        missing,
      );
    return refusal('discovery.api-forbidden', 'permission', `403: ${quoted(said)}`);
  }
  if (code === 'ETIMEDOUT') {
    return refusal(
      'discovery.api-timeout',
      'other',
      'nothing in time: no way leads from here to the endpoint',
    );
  }
  if (typeof status === 'number')
    return refusal('discovery.api-failed', 'other', `${status}: ${quoted(said)}`);
  if (typeof code === 'string')
    return refusal('discovery.api-failed', 'other', `an error of the connection (${code})`);
  return refusal('discovery.api-failed', 'other', `${name}: ${quoted(message)}`);
}

/** The SDK's message is the body of the answer, whatever that is. */
function bodyOf(message: string): { message: string } | undefined {
  try {
    const { error } = JSON.parse(message) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? { message: error.message } : undefined;
  } catch {
    return undefined;
  }
}
