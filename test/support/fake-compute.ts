import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import type { ComputeProject } from './fake-compute-project.ts';
import { gceInstance, gceProject, gceZone } from './fake-gce-document.ts';

export interface ComputeFault {
  readonly status: number;
  readonly body: string;
}

export interface FakeCompute extends AsyncDisposable {
  /** For CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE. */
  readonly url: string;
  /** `GET /compute/v1/…` */
  readonly requests: readonly string[];
  project: ComputeProject;
  /** Asked before each request; undefined lets it through. */
  fault: (path: string) => ComputeFault | 'hang' | 'reset' | undefined;
  close(): Promise<void>;
}

const ACCEPTED_SCOPES = /^https:\/\/www\.googleapis\.com\/auth\/(cloud-platform|compute)(\.read-?only)?$/;

/** The Compute API over REST, for the vendor's own client: tokens, scopes, permissions and answers as it has them. */
export async function startFakeCompute(
  project: ComputeProject,
  options: { host?: string; port?: number; read?: () => ComputeProject } = {},
): Promise<FakeCompute> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://compute.googleapis.com');
    requests.push(`${request.method} ${request.url}`);
    const fault = compute.fault(url.pathname);
    if (fault === 'hang') return;
    if (fault === 'reset') return void response.socket?.destroy();
    if (fault) return send(response, fault.status, fault.body);
    const [status, body] = answer(options.read?.() ?? compute.project, url, request.headers.authorization);
    send(response, status, JSON.stringify(body));
  });
  const compute: FakeCompute = {
    url: '',
    requests,
    project,
    fault: () => undefined,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
    [Symbol.asyncDispose]: () => compute.close(),
  };
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address() as AddressInfo;
  return Object.assign(compute, { url: `http://${bound.address}:${bound.port}` });
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

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=UTF-8' });
  response.end(body);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      host: { type: 'string', default: '169.254.169.254' },
      port: { type: 'string', default: '8080' },
      document: { type: 'string' },
    },
  });
  const file = values.document;
  if (file === undefined) throw new Error('--document FILE.json is missing');
  const read = (): ComputeProject => JSON.parse(readFileSync(file, 'utf8')) as ComputeProject;
  const compute = await startFakeCompute(read(), { host: values.host, port: Number(values.port), read });
  process.stdout.write(`fake-compute ${compute.url}\n`);
}
