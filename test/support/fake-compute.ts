import { createServer } from 'node:http';
import type { ComputeProject } from './fake-compute-project.ts';
import { gceInstance, gceProject, gceZone } from './fake-gce-document.ts';
import { type FakeServer, type Fault, listen, type Place, readJson, runFake, send } from './fake-server.ts';

/** Its address is for CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE. */
export interface FakeCompute extends FakeServer {
  /** `GET /compute/v1/…` */
  readonly requests: readonly string[];
  project: ComputeProject;
  /** Asked before each request; undefined lets it through. */
  fault: (path: string) => Fault | undefined;
}

const ACCEPTED_SCOPES = /^https:\/\/www\.googleapis\.com\/auth\/(cloud-platform|compute)(\.read-?only)?$/;

/** The Compute API over REST, for the vendor's own client: tokens, scopes, permissions and answers as it has them. */
export async function startFakeCompute(
  project: ComputeProject,
  options: Place & { readonly read?: () => ComputeProject } = {},
): Promise<FakeCompute> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://compute.googleapis.com');
    requests.push(`${request.method} ${request.url}`);
    const { authorization } = request.headers;
    const [status, body] = answer(options.read?.() ?? compute.project, url, authorization);
    const reply = compute.fault(url.pathname) ?? { status, body: JSON.stringify(body) };
    send(reply, response, '{', { 'Content-Type': 'application/json; charset=UTF-8' });
  });
  const compute: FakeCompute = {
    ...(await listen(server, options)),
    requests,
    project,
    fault: () => undefined,
  };
  return compute;
}

function answer(project: ComputeProject, url: URL, authorization: string | undefined): [number, unknown] {
  if (url.pathname === '/v1/token') return [200, exchangedToken()];
  const scopes = scopesOf(authorization);
  if (!scopes) {
    return [401, failure(401, 'Request had invalid authentication credentials.', 'UNAUTHENTICATED')];
  }
  if (!scopes.some((scope) => ACCEPTED_SCOPES.test(scope))) {
    const message = 'Request had insufficient authentication scopes.';
    return [403, failure(403, message, 'PERMISSION_DENIED', 'ACCESS_TOKEN_SCOPE_INSUFFICIENT')];
  }
  const at = `/compute/v1/projects/${gceProject}/`;
  if (!url.pathname.startsWith(at)) return notFound(url.pathname);
  const path = url.pathname.slice(at.length);
  const own = `zones/${gceZone}/instances/${gceInstance}`;
  const allowed = (permission: string, found: unknown): [number, unknown] => {
    if (project.denied?.includes(permission)) {
      const message = `Required '${permission}' permission for 'projects/${gceProject}/${path}'`;
      return [403, failure(403, message, 'PERMISSION_DENIED')];
    }
    return found === undefined ? notFound(path) : [200, found];
  };
  if (path === own) return allowed('compute.instances.get', project.instance);
  if (path === `${own}/getEffectiveFirewalls`) {
    const nic = url.searchParams.get('networkInterface') ?? '';
    return allowed('compute.instances.getEffectiveFirewalls', project.effectiveFirewalls?.[nic]);
  }
  if (path === 'aggregated/instances') {
    const matches = url.searchParams.get('filter')?.includes(JSON.stringify(project.instance['name']));
    const items = {
      [`zones/${gceZone}`]: { instances: matches ? [project.instance] : [] },
      'zones/us-central1-a': { warning: { code: 'NO_RESULTS_ON_PAGE' } },
    };
    return allowed('compute.instances.list', { items });
  }
  const network = /^global\/networks\/([^/]+)$/.exec(path)?.[1];
  return allowed('compute.networks.get', network === undefined ? undefined : project.networks?.[network]);
}

/** A token says what it may be used for, as those of the metadata server do. */
function scopesOf(authorization: string | undefined): string[] | undefined {
  const [, scopes] = /^Bearer ya29\.([\w-]+)$/.exec(authorization ?? '') ?? [];
  return scopes === undefined ? undefined : Buffer.from(scopes, 'base64url').toString().split(' ');
}

/** What the token service gives for a token of somebody else's (RFC 8693), to a workload outside Google's cloud. */
function exchangedToken(): unknown {
  const token = Buffer.from('https://www.googleapis.com/auth/cloud-platform').toString('base64url');
  return {
    access_token: `ya29.${token}`,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: 3600,
  };
}

function notFound(what: string): [number, unknown] {
  return [404, failure(404, `The resource '${what}' was not found`, 'NOT_FOUND')];
}

function failure(code: number, message: string, status: string, reason?: string): unknown {
  const details = reason && [
    { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'googleapis.com' },
  ];
  const errors = [{ message, domain: 'global', reason: reason ? 'insufficientPermissions' : 'forbidden' }];
  return { error: { code, message, errors, status, ...(details && { details }) } };
}

if (import.meta.main) {
  await runFake('fake-compute', (file, place) => {
    const read = () => readJson<ComputeProject>(file);
    return startFakeCompute(read(), { ...place, read });
  });
}
