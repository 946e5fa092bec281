import { hash } from 'node:crypto';

const md5 = (text: string): string => hash('md5', text, 'hex');

export interface DigestClientOptions {
  readonly user: string;
  readonly password: string;
  readonly realm: string;
  readonly nonce: string;
  readonly method: string;
  readonly uri: string;
  readonly nonceCount?: number;
}

/** The value of an Authorization header as a phone makes it (RFC 2617 3.2.2, qop=auth), written from the RFC alone. */
export function calculateResponse(options: DigestClientOptions): string {
  const { user, password, realm, nonce, method, uri } = options;
  const nc = (options.nonceCount ?? 1).toString(16).padStart(8, '0');
  const cnonce = '0a4f113b';
  const response = md5(
    `${md5(`${user}:${realm}:${password}`)}:${nonce}:${nc}:${cnonce}:auth:${md5(`${method}:${uri}`)}`,
  );
  return `Digest username="${user}", realm="${realm}", nonce="${nonce}", uri="${uri}", response="${response}", algorithm=MD5, cnonce="${cnonce}", qop=auth, nc=${nc}`;
}
