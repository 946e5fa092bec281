import { garbled } from './checked-values.ts';
import type { MetadataClient } from './metadata-client.ts';

export interface SessionOptions {
  /** Where a PUT fetches a token. */
  readonly tokenPath: string;
  readonly tokenHeaders: Readonly<Record<string, string>>;
  /** The token out of the answer; the whole body by default. */
  readonly tokenOf?: (body: string) => string | undefined;
  /** The headers that show the token. */
  readonly show: (token: string) => Readonly<Record<string, string>>;
}

/** Reads items of a metadata service that wants a session token with each question. */
export interface MetadataSession {
  /** The body, or undefined where there is no such item. */
  get(path: string): Promise<string | undefined>;
}

/** Fetches a token; a 401 later has one new token fetched and the question repeated. */
export async function openSession(client: MetadataClient, options: SessionOptions): Promise<MetadataSession> {
  let token = fetchToken(client, options);
  await token;
  return {
    async get(path) {
      const used = token;
      const request = { method: 'GET', path } as const;
      const answer = await client.request({ ...request, headers: options.show(await used) });
      if (answer.status === 401) {
        // One new token for all that were asking with the old one.
        if (token === used) token = fetchToken(client, options);
        return client.get(path, options.show(await token));
      }
      if (answer.status === 200) return answer.body;
      if (answer.status === 404) return undefined;
      throw client.unexpected(request, answer);
    },
  };
}

async function fetchToken(client: MetadataClient, options: SessionOptions): Promise<string> {
  const put = { method: 'PUT', path: options.tokenPath } as const;
  const answer = await client.request({ ...put, headers: options.tokenHeaders });
  if (answer.status !== 200) throw client.unexpected(put, answer);
  const token = (options.tokenOf ?? ((body: string) => body))(answer.body)?.trim() ?? '';
  // It goes into a header: nothing else may be in it. IBM's is a JWT of some kilobytes.
  if (/^[\x21-\x7e]{1,8192}$/.test(token)) return token;
  throw garbled(client.url(options.tokenPath), 'a session token', `${answer.body.length} other characters`);
}
