import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { FakeEc2Account } from './fake-ec2-account.ts';
import { type Description, describeCalls, writeXml, type Xml } from './fake-ec2-xml.ts';
import { type FakeServer, listen, type Place, readJson, runFake, send, type Trouble } from './fake-server.ts';

/** One call: its parameters are those of the query protocol, `Filter.1.Name`. */
export interface SeenCall {
  readonly action: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** From the signature's scope. */
  readonly region: string;
  readonly accessKeyId: string;
}

/** What goes wrong with one call: an error by its code, no answer, a broken connection, or a body that is none. */
export type ApiFault =
  | { readonly status: number; readonly code: string; readonly message?: string }
  | Trouble
  | 'garbage';

/** Its address is for `AWS_ENDPOINT_URL_EC2`. */
export interface FakeEc2Api extends FakeServer {
  readonly calls: readonly SeenCall[];
  /** Asked at each call. */
  account: () => FakeEc2Account;
  /** At most as many items a page, whatever was asked for: the real API may give fewer, too. */
  pageSize: number;
  /** `count` is 1 for the first call of that action. */
  fault: (call: SeenCall, count: number) => ApiFault | undefined;
}

export interface FakeEc2ApiOptions extends Place {
  /** Read for each call. */
  readonly account: () => FakeEc2Account;
}

/** What the program serves: an account, and the actions to which the caller has no right. */
export interface FakeEc2Document extends FakeEc2Account {
  readonly forbidden?: readonly string[];
}

/** What the account's only user signs with; everybody else is refused. */
export const fakeAccessKey = { id: 'AKIDEXAMPLE', secret: 'wJalrXUtnFEMI' } as const;

/** The refusal of a call for which the caller has no right. */
export function unauthorizedOperation(action: string): ApiFault {
  const who = 'User: arn:aws:sts::123456789012:assumed-role/sip/i-0123456789abcdef0';
  const message = `You are not authorized to perform this operation. ${who} is not authorized to perform: ec2:${action} because no identity-based policy allows the ec2:${action} action`;
  return { status: 403, code: 'UnauthorizedOperation', message };
}

/** A stand-in of the EC2 API: the query protocol in, XML out, pages, rights and signatures as the real one. */
export async function startFakeEc2Api(options: FakeEc2ApiOptions): Promise<FakeEc2Api> {
  const calls: SeenCall[] = [];
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  const api: FakeEc2Api = {
    ...(await listen(server, options)),
    calls,
    account: options.account,
    pageSize: 1000,
    fault: () => undefined,
  };
  return api;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parameters = Object.fromEntries(new URLSearchParams(await text(request)));
    const action = parameters['Action'] ?? '';
    // Signature Version 4: `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/ec2/aws4_request, SignedHeaders=…, Signature=…`
    const signed =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\d{8}\/([a-z0-9-]+)\/ec2\/aws4_request, SignedHeaders=[^,]*host[^,]*, Signature=[0-9a-f]{64}$/.exec(
        request.headers.authorization ?? '',
      );
    const call = { action, parameters, region: signed?.[2] ?? '', accessKeyId: signed?.[1] ?? '' };
    calls.push(call);
    const count = calls.filter((other) => other.action === action).length;
    const fault = api.fault(call, count);
    if (fault) return fail(fault, response);
    if (request.method !== 'POST' || parameters['Version'] !== '2016-11-15')
      return fail(refusal('InvalidRequest', 400), response);
    if (call.accessKeyId !== fakeAccessKey.id) return fail(refusal('AuthFailure', 401), response);
    const describe = Object.hasOwn(describeCalls, action) ? describeCalls[action] : undefined;
    if (!describe) return fail(refusal('InvalidAction', 400), response);
    const page = select(describe(api.account()), parameters);
    if (typeof page === 'string') return fail(refusal(page, 400), response);
    response.writeHead(200, { 'Content-Type': 'text/xml;charset=UTF-8' });
    response.end(
      `<?xml version="1.0" encoding="UTF-8"?>\n<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">${writeXml({ requestId: `request-${calls.length}`, ...page })}</${action}Response>`,
    );
  }

  /** One page, or the code of the error. */
  function select(
    { list, items }: Description,
    parameters: SeenCall['parameters'],
  ): string | { readonly [name: string]: Xml } {
    let found = items;
    for (const [name, values] of filtersOf(parameters)) {
      if (items.length > 0 && !items.some((item) => Object.hasOwn(item.filters, name)))
        return 'InvalidParameterValue';
      found = found.filter((item) => item.filters[name]?.some((value) => values.includes(String(value))));
    }
    const wanted = parameters['MaxResults'];
    if (wanted !== undefined && !(Number(wanted) >= 5 && Number(wanted) <= 1000))
      return 'InvalidParameterValue';
    const token = /^page-(\d+)$/.exec(parameters['NextToken'] ?? 'page-0');
    if (!token) return 'InvalidNextToken';
    const start = Number(token[1]);
    const end = start + Math.min(api.pageSize, wanted === undefined ? found.length : Number(wanted));
    return {
      [list]: found.slice(start, end).map((item) => item.xml),
      nextToken: end < found.length ? `page-${end}` : undefined,
    };
  }
}

function refusal(code: string, status: number): ApiFault {
  return { status, code, message: `The stand-in says ${code}.` };
}

function filtersOf(parameters: SeenCall['parameters']): [name: string, values: string[]][] {
  const filters: [string, string[]][] = [];
  for (let index = 1; parameters[`Filter.${index}.Name`] !== undefined; index++) {
    const values = Object.entries(parameters).filter(([key]) => key.startsWith(`Filter.${index}.Value.`));
    filters.push([parameters[`Filter.${index}.Name`]!, values.map(([, value]) => value)]);
  }
  return filters;
}

function fail(fault: ApiFault, response: ServerResponse): void {
  if (fault === 'garbage') {
    const headers = { 'Content-Type': 'text/html' };
    send({ status: 200, headers, body: '<html><p>Log in to the hotel network' }, response, '');
  } else if (typeof fault === 'string') {
    send(fault, response, '<DescribeNetw');
  } else {
    const { status, code, message = '' } = fault;
    const headers = { 'Content-Type': 'text/xml;charset=UTF-8' };
    const errors = { Errors: { Error: { Code: code, Message: message } }, RequestID: 'request' };
    const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Response>${writeXml(errors)}</Response>`;
    send({ status, headers, body }, response, '');
  }
}

if (import.meta.main) {
  await runFake('fake-ec2-api', async (file, place) => {
    // Whoever changes it puts the new file in place whole.
    const account = () => readJson<FakeEc2Document>(file);
    const api = await startFakeEc2Api({ ...place, account });
    api.fault = ({ action }) =>
      account().forbidden?.includes(action) ? unauthorizedOperation(action) : undefined;
    return api;
  });
}
