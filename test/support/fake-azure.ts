import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { AzureDocuments, ScheduledEventsDocument } from './fake-azure-document.ts';
import {
  count,
  type FakeServer,
  type Fault,
  listen,
  type Place,
  type Reply,
  readJson,
  runFake,
  type SeenRequest,
  send,
} from './fake-server.ts';

/** The path is without the query. */
export interface AzureRequest extends SeenRequest {
  readonly query: URLSearchParams;
  readonly body: string;
}

export interface FakeAzure extends FakeServer {
  /** Every request since the start, oldest first. */
  readonly requests: readonly AzureRequest[];
  /** Replace it to change the machine. */
  documents: AzureDocuments;
  /** The versions that it understands. */
  versions: readonly string[];
  /** Asked before each request; undefined lets it through. `count` is 1 for the first request to that path. */
  fault: (request: AzureRequest, count: number) => Fault | undefined;
}

export interface FakeAzureOptions extends Place {
  readonly documents: AzureDocuments;
  /** Read for each request, in place of `documents`. */
  readonly readDocuments?: () => AzureDocuments;
}

const VERSIONS = [
  '2018-02-01',
  '2019-06-01',
  '2020-07-01',
  '2020-10-01',
  '2021-08-01',
  '2024-07-17',
  '2025-04-07',
];

/** Azure's metadata service: instance, load balancer, scheduled events and the tokens of the managed identity. */
export async function startFakeAzure(options: FakeAzureOptions): Promise<FakeAzure> {
  const requests: AzureRequest[] = [];
  /** Events that were acknowledged: they start at once. */
  const started = new Set<string>();
  const server = createServer((request, response) => {
    void respond(request, response);
  });
  const azure: FakeAzure = {
    ...(await listen(server, options)),
    requests,
    documents: options.documents,
    versions: VERSIONS,
    fault: () => undefined,
  };
  return azure;

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://fake');
    const { method = '', headers } = request;
    const body = await text(request);
    // The SDK ends the path of the token with a slash, and the service does not mind.
    const path = url.pathname.replace(/\/$/, '');
    const seen = { method, path, query: url.searchParams, headers, body };
    send(azure.fault(seen, count(requests, seen)) ?? answer(seen), response, '{"compute":');
  }

  function answer(request: AzureRequest): Reply {
    const { method, path, query, headers } = request;
    const documents = options.readDocuments?.() ?? azure.documents;
    if (headers['x-forwarded-for'] !== undefined)
      return refused('Bad request. X-Forwarded-For is not allowed');
    if (headers['metadata'] !== 'true') {
      return refused('Bad request. Required metadata header not specified or not correct');
    }
    if (!azure.versions.includes(query.get('api-version') ?? '')) {
      const error =
        'Bad request. api-version is invalid or was not specified in the request. For more information refer to aka.ms/azureimds';
      return json(400, { error, 'newest-versions': azure.versions.toReversed() });
    }
    if (path === '/metadata/scheduledevents' && method === 'POST') return acknowledge(request);
    if (method !== 'GET') return { status: 405 };
    if (path === '/metadata/instance') return json(200, documents.instance);
    if (path === '/metadata/loadbalancer') {
      const error =
        'No load balancer metadata is found. Check if your VM is using any non-basic SKU load balancer and retry later.';
      return documents.loadbalancer === undefined ? json(404, { error }) : json(200, documents.loadbalancer);
    }
    if (path === '/metadata/scheduledevents') return json(200, eventsNow(documents.scheduledevents));
    if (path === '/metadata/identity/oauth2/token') return token(documents, query.get('resource'));
    return json(404, { error: 'Not found' });
  }

  function acknowledge({ body }: AzureRequest): Reply {
    const { StartRequests: asked } = JSON.parse(body) as { StartRequests?: { EventId: string }[] };
    if (!Array.isArray(asked) || asked.length === 0) return refused('StartRequests is missing');
    for (const { EventId: id } of asked) started.add(id);
    return { status: 200, body: '' };
  }

  function eventsNow(document?: ScheduledEventsDocument): ScheduledEventsDocument {
    const { DocumentIncarnation: number, Events: events } = document ?? {
      DocumentIncarnation: 1,
      Events: [],
    };
    return {
      DocumentIncarnation: number + started.size,
      Events: events.map((event) =>
        started.has(String(event['EventId'])) ? { ...event, EventStatus: 'Started', NotBefore: '' } : event,
      ),
    };
  }
}

function token({ token: access }: AzureDocuments, resource: string | null): Reply {
  if (!resource) return json(400, { error: 'invalid_request', error_description: 'resource is missing' });
  if (access === undefined) {
    return json(400, { error: 'invalid_request', error_description: 'Identity not found' });
  }
  const expires = Math.floor(Date.now() / 1000) + 86_400;
  return json(200, {
    access_token: access,
    client_id: 'f0b7e4ba-0b3a-4b0d-8b6e-9d1a3c7a4e11',
    expires_in: '86400',
    expires_on: String(expires),
    not_before: String(expires - 86_700),
    resource,
    token_type: 'Bearer',
  });
}

function refused(error: string): Reply {
  return json(400, { error });
}

function json(status: number, body: unknown): Reply {
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8' },
    body: JSON.stringify(body),
  };
}

if (import.meta.main) {
  await runFake('fake-azure', (file, place) => {
    const readDocuments = () => readJson<AzureDocuments>(file);
    return startFakeAzure({ ...place, documents: readDocuments(), readDocuments });
  });
}
