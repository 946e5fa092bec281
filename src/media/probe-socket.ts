import { createSocket } from 'node:dgram';
import { familyOf } from '../net/address.ts';

type Answer = (error: Error | null, address: string, family: number) => void;

/** For node:dgram: the host is an IP address already, so nothing is looked up and bind and send act at once. */
export function lookupNothing(host: string, _options: unknown, answer: Answer): void {
  answer(null, host, familyOf(host) === 'ipv6' ? 6 : 4);
}

/** Tries whether a UDP port can be bound, then lets go of it. Undefined, or the name of the error. */
export function probe(address: string, port: number): string | undefined {
  let failure: string | undefined;
  const v6 = familyOf(address) === 'ipv6';
  const socket = createSocket({ type: v6 ? 'udp6' : 'udp4', ipv6Only: v6, lookup: lookupNothing });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    failure = error.code ?? error.message;
  });
  socket.bind({ address, port, exclusive: true });
  socket.close();
  return failure;
}
