import { type Endpoint, familyOf, isUnspecified } from '../net/address.ts';
import { parseCidr } from '../net/cidr.ts';

const loopback = [parseCidr('127.0.0.0/8')!, parseCidr('::1/128')!];
const linkLocal = [parseCidr('169.254.0.0/16')!, parseCidr('fe80::/10')!];
const many = [parseCidr('224.0.0.0/4')!, parseCidr('255.255.255.255/32')!, parseCidr('ff00::/8')!];

/**
 * True where an address from an SDP may be sent to. It was written by somebody else: the relay must not be made
 * to throw packets at a cloud's metadata service, at services of this host, at DNS or at a whole network. What
 * is refused here can still be learned from a packet that really comes from there.
 */
export function isMediaDestination(endpoint: Endpoint, boundAddress: string): boolean {
  const { address, port } = endpoint;
  if (port < 1024 || port > 65_535) return false;
  const family = familyOf(address);
  if (!family || family !== familyOf(boundAddress) || isUnspecified(address)) return false;
  const within = (networks: typeof many, host: string): boolean =>
    networks.some((network) => network.contains(host));
  if (within(many, address) || within(linkLocal, address)) return false;
  return !within(loopback, address) || within(loopback, boundAddress);
}
