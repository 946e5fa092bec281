import { networkInterfaces } from 'node:os';
import { CloudsipError } from '../../error.ts';
import { type Endpoint, familyOf, formatEndpoint } from '../../net/address.ts';

/** A listener cannot be opened; the message says what to write or do instead. */
export class TransportError extends CloudsipError {}

/** Why `bound` could not be bound over UDP; `code` is the system's word (`EADDRINUSE`…). */
export function bindError(bound: Endpoint, code: string, cause?: unknown): TransportError {
  const name = `udp:${formatEndpoint(bound)}`;
  const { port } = bound;
  const options = cause === undefined ? undefined : { cause };
  switch (code) {
    case 'EADDRINUSE':
      return new TransportError(
        'TRANSPORT_ADDRESS_IN_USE',
        `${name} is taken: another program listens there ("ss -lunp sport = :${port}" names it); stop it or choose another port.`,
        options,
      );
    case 'EADDRNOTAVAIL':
      return new TransportError(
        'TRANSPORT_ADDRESS_NOT_OURS',
        `${name} cannot be bound: no interface of this machine has ${bound.address}${ours(bound)}. Behind a 1-to-1 NAT bind the private address and advertise the public one: "udp:PRIVATE:${port} as ${formatEndpoint(bound)}".`,
        options,
      );
    case 'EACCES':
    case 'EPERM':
      return new TransportError(
        'TRANSPORT_PERMISSION',
        `${name} needs rights that this process does not have: ports below 1024 want CAP_NET_BIND_SERVICE ("AmbientCapabilities=CAP_NET_BIND_SERVICE" in the systemd unit) or a port of 1024 and above.`,
        options,
      );
    case 'EAFNOSUPPORT':
      return new TransportError(
        'TRANSPORT_FAMILY',
        `${name} cannot be bound: IPv6 is switched off on this machine; remove the listener or switch it on ("sysctl net.ipv6.conf.all.disable_ipv6").`,
        options,
      );
    default:
      return new TransportError(
        'TRANSPORT_BIND',
        `${name} cannot be bound: the system says ${code}.`,
        options,
      );
  }
}

/** The bound address is a name or none at all. */
export function notAnAddress(bound: Endpoint): TransportError {
  return new TransportError(
    'TRANSPORT_NOT_AN_ADDRESS',
    `Expected an IP address to bind over UDP, found "${bound.address}": write the address of one of this machine's interfaces${ours(bound)}.`,
  );
}

function ours(bound: Endpoint): string {
  const family = familyOf(bound.address);
  const own = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter((entry) => !entry.internal && (family === undefined || entry.family.toLowerCase() === family))
    .map((entry) => entry.address);
  return own.length === 0 ? '' : ` (it has ${own.slice(0, 8).join(', ')}${own.length > 8 ? ', …' : ''})`;
}
