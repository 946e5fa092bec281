/** The parts of the npm package `sip` 0.0.6 that are used; it brings no types of its own. */

declare module 'sip/sip' {
  /** `Digest realm="x",nonce="y"`: the scheme and its parameters, quotes kept. */
  export interface AuthHeader {
    scheme: string;
    [parameter: string]: string | undefined;
  }

  export interface AddressHeader {
    name?: string | undefined;
    uri: string;
    params?: Record<string, string | null>;
  }

  export interface ViaHeader {
    version?: string;
    protocol: string;
    host: string;
    port?: number | undefined;
    params?: Record<string, string | null>;
  }

  export interface Headers {
    via?: ViaHeader[];
    to?: AddressHeader;
    from?: AddressHeader;
    contact?: AddressHeader[] | '*';
    route?: AddressHeader[];
    'record-route'?: AddressHeader[];
    path?: AddressHeader[];
    'call-id'?: string;
    cseq?: { seq: number; method: string };
    authorization?: AuthHeader[];
    'proxy-authorization'?: AuthHeader[];
    'www-authenticate'?: AuthHeader[];
    'proxy-authenticate'?: AuthHeader[];
    [name: string]: unknown;
  }

  export interface SipMessage {
    method?: string;
    uri?: string;
    status?: number;
    reason?: string;
    version?: string;
    headers: Headers;
    content?: string;
  }

  export function parse(text: string): SipMessage | undefined;
  export function stringify(message: SipMessage): string;
  export function stringifyAuthHeader(header: AuthHeader): string;
}

declare module 'sip/digest' {
  export interface DigestContext {
    ha1: string;
    method: string;
    uri: string;
    nonce: string;
    nc?: string | undefined;
    cnonce?: string | undefined;
    qop?: string | undefined;
    entity?: string | undefined;
  }

  /** The response in lower-case hex, MD5 (RFC 2617 3.2.2). */
  export function calculateDigest(context: DigestContext): string;
  /** `MD5(user:realm:password)` in lower-case hex. */
  export function calculateUserRealmPasswordHash(user: string, realm: string, password: string): string;
}
