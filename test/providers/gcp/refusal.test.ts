import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusalOf } from '../../../providers/gcp/refusal.ts';

const body = (message: string, details: object[] = []): string =>
  JSON.stringify({ error: { code: 403, message, status: 'PERMISSION_DENIED', details } });
const thrown = (message: string, more: object = {}): Error => Object.assign(new Error(message), more);

/** What the SDK throws: the body of the answer is its message. */
const REFUSALS: [what: string, error: unknown, code: string, reason: string, message: RegExp][] = [
  [
    'a token without a scope for Compute',
    thrown(
      body('Request had insufficient authentication scopes.', [
        { reason: 'ACCESS_TOKEN_SCOPE_INSUFFICIENT' },
      ]),
      { status: 403 },
    ),
    'discovery.api-forbidden',
    'scope',
    /access scopes of this machine hold none for Compute/,
  ],
  [
    'an account without the right',
    thrown(body("Required 'compute.networks.get' permission for 'projects/p/global/networks/n'"), {
      status: 403,
    }),
    'discovery.api-forbidden',
    'permission',
    /^compute\.networks\.get: .* lacks that right/,
  ],
  [
    'an API that is switched off',
    thrown(body('Compute Engine API has not been used in project 1 before or it is disabled.'), {
      status: 403,
    }),
    'discovery.api-forbidden',
    'permission',
    /403: "Compute Engine API has not been used/,
  ],
  [
    'a token that is not accepted',
    thrown(body('Request had invalid authentication credentials.'), { status: 401 }),
    'discovery.api-credentials',
    'credentials',
    /401/,
  ],
  [
    'a machine without an account',
    thrown(
      'Could not refresh access token: Unsuccessful response status code. Request failed with status code 404',
    ),
    'discovery.api-credentials',
    'credentials',
    /no service account/,
  ],
  [
    'no way to the endpoint',
    thrown('no answer within 8000 ms', { code: 'ETIMEDOUT' }),
    'discovery.api-timeout',
    'other',
    /no way leads/,
  ],
  [
    'a refused connection',
    thrown('x', { code: 'ECONNREFUSED' }),
    'discovery.api-failed',
    'other',
    /ECONNREFUSED/,
  ],
  ['an overloaded API', thrown('<html>', { status: 503 }), 'discovery.api-failed', 'other', /503: "<html>"/],
  [
    'no such instance',
    thrown(body("The resource 'x' was not found"), { status: 404 }),
    'discovery.api-failed',
    'other',
    /404: "The resource/,
  ],
  ['garbage', new SyntaxError("Unexpected token '<'"), 'discovery.api-failed', 'other', /SyntaxError/],
  [
    'a page of text',
    thrown('x'.repeat(100_000), { status: 500 }),
    'discovery.api-failed',
    'other',
    /^.{1,160}$/,
  ],
  ['something that is no error', 'no', 'discovery.api-failed', 'other', /"no"/],
];

for (const [what, error, code, reason, message] of REFUSALS) {
  test(`${what} is told by ${code}`, () => {
    const refusal = refusalOf('compute.instances.get', error);
    assert.deepEqual([refusal.code, refusal.reason], [code, reason]);
    assert.match(refusal.message, message);
  });
}
