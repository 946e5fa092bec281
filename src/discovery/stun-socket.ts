import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Endpoint, familyOf } from '../net/address.ts';

/** What STUN is asked from: the socket of a listener, or one that is opened for the question alone. */
export interface StunSocket {
  /** What it is bound to. */
  readonly local: Endpoint;
  /** Never throws: an unreachable server is one that does not answer. */
  send(message: Buffer, to: Endpoint): void;
  /** Hands up what may be STUN until the function is called that it returns. */
  hear(take: (message: Buffer, from: Endpoint) => void): () => void;
  close(): void;
}

/** A socket of its own, where nothing listens. Rejects with the system's error. */
export async function openStunSocket(privateAddress: string): Promise<StunSocket> {
  const family = familyOf(privateAddress)!;
  const socket = createSocket({ type: family === 'ipv4' ? 'udp4' : 'udp6', ipv6Only: family === 'ipv6' });
  try {
    socket.bind({ address: privateAddress, port: 0, exclusive: true });
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.on('error', () => {});
  return {
    local: { address: privateAddress, port: socket.address().port },
    send: (message, { address, port }) => socket.send(message, port, address, () => {}),
    hear(take) {
      socket.on('message', take);
      return () => void socket.off('message', take);
    },
    close: () => void socket.close(),
  };
}
