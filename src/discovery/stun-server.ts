import { familyOf, isPort, unbracket } from '../net/address.ts';
import { DiscoveryError } from './discovery-error.ts';

export interface StunServer {
  /** As it was written, for messages. */
  readonly text: string;
  readonly host: string;
  readonly port: number;
}

/** Of two operators, so that no single one can tell us who we are. */
export const DEFAULT_STUN_SERVERS: readonly string[] = [
  'stun.cloudflare.com:3478',
  'stun.l.google.com:19302',
];

/** In the list of servers: ask nobody. */
export const STUN_OFF = 'off';

/** RFC 8489 18.6 */
const DEFAULT_PORT = 3478;

/** `host`, `host:port`, `[2001:db8::1]:3478`; undefined where it is none of these. */
export function parseStunServer(text: string): StunServer | undefined {
  if (familyOf(text)) return { text, host: unbracket(text), port: DEFAULT_PORT };
  const match = /^(\[[^\]]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1];
  const port = match?.[2];
  if (host === undefined || (port !== undefined && !isPort(port))) return undefined;
  const isName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i.test(
    host,
  );
  if (!isName && !familyOf(host)) return undefined;
  return { text, host: unbracket(host), port: port === undefined ? DEFAULT_PORT : Number(port) };
}

/** The servers that `--stun` names; none where it is off. Throws `discovery.stun`. */
export function stunServers(texts: readonly string[]): StunServer[] {
  if (texts.includes(STUN_OFF)) return [];
  const servers = texts.map(parseStunServer);
  const usable = servers.filter((server) => server !== undefined);
  if (new Set(usable.map(({ host, port }) => `${host}:${port}`)).size >= 2) return usable;
  throw new DiscoveryError(
    'discovery.stun',
    `--stun: expected two servers or more, came ${texts.join(', ')}. One alone cannot show whether a NAT gateway is shared, and would be believed whatever it says: name a second one of another operator, or write --stun off.`,
  );
}
