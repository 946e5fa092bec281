import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { ArmDocument, ArmResource } from './fake-arm-document.ts';
import {
  count,
  type FakeServer,
  listen,
  type Place,
  type Reply,
  readJson,
  runFake,
  type SeenRequest,
  send,
} from './fake-server.ts';

export interface ArmReply extends Omit<Reply, 'body'> {
  /** JSON, or a text as it is. */
  readonly body?: unknown;
}

export interface FakeArm extends FakeServer {
  /** Their paths are without the query. */
  readonly requests: readonly SeenRequest[];
  /** Replace it to change the cloud. */
  document: ArmDocument;
  /** Asked before each request; undefined lets it through. `count` is 1 for the first request to that path. */
  fault: (request: SeenRequest, count: number) => ArmReply | 'hang' | undefined;
}

export interface FakeArmOptions extends Place {
  readonly document: ArmDocument;
  /** Read for each request, in place of `document`. */
  readonly readDocument?: () => ArmDocument;
}

const PAGE = 2;
const NETWORK = '/providers/microsoft.network';

/** The Azure Resource Manager as far as networks go: bearer tokens, pages, refusals, long-running operations. */
export async function startFakeArm(options: FakeArmOptions): Promise<FakeArm> {
  const { keyFile, certificateFile } = options.document.tls;
  const requests: SeenRequest[] = [];
  /** How often each operation was looked at: it ends at the second time. */
  const looks = new Map<string, number>();
  const server = createServer(
    { key: readFileSync(keyFile), cert: readFileSync(certificateFile) },
    (request, response) => {
      request.resume();
      const url = new URL(request.url ?? '', 'https://fake');
      const seen = { method: request.method ?? '', path: url.pathname, headers: request.headers };
      const reply = arm.fault(seen, count(requests, seen)) ?? answer(seen, url);
      if (reply === 'hang') return;
      const { body: content = '' } = reply;
      const body = typeof content === 'string' ? content : JSON.stringify(content);
      send({ ...reply, body }, response, '', { 'Content-Type': 'application/json; charset=utf-8' });
    },
  );
  const arm: FakeArm = {
    ...(await listen(server, options)),
    requests,
    document: options.document,
    fault: () => undefined,
  };
  return arm;

  function answer({ method, path, headers }: SeenRequest, url: URL): ArmReply {
    const document = options.readDocument?.() ?? arm.document;
    const authority = asAuthority(document, path, method);
    if (authority) return authority;
    if (headers.authorization !== `Bearer ${document.token}`) {
      return failure(401, 'InvalidAuthenticationToken', 'The access token is invalid.');
    }
    if (!url.searchParams.has('api-version')) {
      return failure(400, 'MissingApiVersionParameter', 'The api-version query parameter is required.');
    }
    const [action, act] = operation(document, path.toLowerCase(), method, url) ?? [];
    if (!action || !act) return failure(404, 'ResourceNotFound', `The resource '${path}' was not found.`);
    if (!document.denied.includes(action)) return act();
    return failure(
      403,
      'AuthorizationFailed',
      `The client 'c' with object id 'o' does not have authorization to perform action '${action}' over scope '${path}'.`,
    );
  }

  /** The same server gives tokens to those who have credentials of their own (OAuth 2.0 client credentials). */
  function asAuthority(document: ArmDocument, path: string, method: string): ArmReply | undefined {
    const [, tenant, rest] = /^\/([\w-]+)\/(.+)$/.exec(path) ?? [];
    const base = `${arm.url}/${tenant}`;
    if (rest === 'v2.0/.well-known/openid-configuration') {
      return {
        status: 200,
        body: {
          issuer: `${base}/v2.0`,
          authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
          token_endpoint: `${base}/oauth2/v2.0/token`,
          jwks_uri: `${base}/discovery/v2.0/keys`,
        },
      };
    }
    if (rest !== 'oauth2/v2.0/token' || method !== 'POST') return undefined;
    return { status: 200, body: { token_type: 'Bearer', expires_in: 3599, access_token: document.token } };
  }

  function operation(
    document: ArmDocument,
    path: string,
    method: string,
    url: URL,
  ): [action: string, act: () => ArmReply] | undefined {
    const operationOf = /^\/operations(\/.*)$/.exec(path)?.[1];
    if (operationOf !== undefined) return ['operation', () => look(document, operationOf)];
    const effective = path.replace(/\/effectivenetworksecuritygroups$/, '');
    if (effective !== path && method === 'POST') {
      const action = 'Microsoft.Network/networkInterfaces/effectiveNetworkSecurityGroups/action';
      return [action, () => begin(effective)];
    }
    if (method !== 'GET') return undefined;
    const inScaleSet = path.includes('/virtualmachinescalesets/');
    if (path.endsWith('/networkinterfaces')) {
      const scope = path.replace(/(\/providers\/microsoft\.network)?\/networkinterfaces$/, '/');
      const listed = document.networkInterfaces.filter(({ id }) => id.toLowerCase().startsWith(scope));
      const action = inScaleSet
        ? 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/read'
        : 'Microsoft.Network/networkInterfaces/read';
      return [action, () => page(listed, url)];
    }
    const found = (list: readonly ArmResource[]) => () => {
      const resource = list.find(({ id }) => id.toLowerCase() === path);
      return resource ? { status: 200, body: resource } : failure(404, 'ResourceNotFound', 'not found');
    };
    if (path.includes('/publicipaddresses/')) {
      const action = inScaleSet
        ? 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/ipConfigurations/publicIPAddresses/read'
        : 'Microsoft.Network/publicIPAddresses/read';
      return [action, found(document.publicIPAddresses)];
    }
    if (path.includes(`${NETWORK}/virtualnetworks/`)) {
      return ['Microsoft.Network/virtualNetworks/read', found(document.virtualNetworks)];
    }
    return undefined;
  }

  function begin(id: string): ArmReply {
    looks.set(id, 0);
    const Location = `${arm.url}/operations${id}?api-version=2025-05-01`;
    return { status: 202, headers: { Location, 'Retry-After': '0' } };
  }

  function look(document: ArmDocument, id: string): ArmReply {
    const count = (looks.get(id) ?? 0) + 1;
    looks.set(id, count);
    if (count < 2)
      return {
        status: 202,
        headers: { 'Retry-After': '0', Location: `${arm.url}/operations${id}?api-version=2025-05-01` },
      };
    const key = Object.keys(document.effectiveGroups).find((entry) => entry.toLowerCase() === id);
    return { status: 200, body: { value: key === undefined ? [] : document.effectiveGroups[key] } };
  }

  function page(list: readonly ArmResource[], url: URL): ArmReply {
    const from = Number(url.searchParams.get('$skiptoken') ?? 0);
    const next = new URL(url.pathname + url.search, arm.url);
    next.searchParams.set('$skiptoken', String(from + PAGE));
    const value = list.slice(from, from + PAGE);
    return { status: 200, body: { value, ...(from + PAGE < list.length && { nextLink: next.href }) } };
  }
}

function failure(status: number, code: string, message: string): ArmReply {
  return { status, body: { error: { code, message } } };
}

if (import.meta.main) {
  await runFake('fake-arm', (file, place) => {
    const readDocument = () => readJson<ArmDocument>(file);
    return startFakeArm({ ...place, document: readDocument(), readDocument });
  });
}
