import { type Endpoint, familyOf, normalizeHost } from '../net/address.ts';
import { parseCidr } from '../net/cidr.ts';
import type { SipUri } from '../sip/message/uri.ts';

const privateNetworks = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '127.0.0.0/8',
  'fc00::/7',
  'fe80::/10',
  '::1/128',
].map((text) => parseCidr(text)!);

/** True for addresses that mean something else on another network (RFC 1918, 6598, 3927, 4193). */
export function isPrivateAddress(address: string): boolean {
  return privateNetworks.some((network) => network.contains(address));
}

/**
 * The endpoint at which the writer of a Contact is really reached, where the Contact cannot say it because a NAT
 * stands in between; undefined where the Contact is to be believed.
 */
export function flowOf(
  contact: SipUri,
  source: Endpoint,
  isLocal: (address: string) => boolean,
): Endpoint | undefined {
  const host = normalizeHost(contact.host);
  if (familyOf(host) === undefined) {
    // Browsers write made-up names that nobody resolves (RFC 7118 5, RFC 2606).
    return host.endsWith('.invalid') || host.endsWith('.local') ? source : undefined;
  }
  if (host === source.address) return (contact.port ?? 5060) === source.port ? undefined : source;
  // A local address means ours only where its writer is local too: another network may use the same numbers, and
  // nobody outside has us send into this one.
  return isPrivateAddress(host) && !(isLocal(host) && isLocal(source.address)) ? source : undefined;
}
