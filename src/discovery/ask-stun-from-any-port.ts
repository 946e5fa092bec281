import { type AskStunOptions, askStun, type StunSighting } from './ask-stun.ts';
import { openStunSocket, type StunSocket } from './stun-socket.ts';

/** Asks from a socket of its own on this address, where nothing listens that could be asked from. */
export async function askStunFromAnyPort(
  privateAddress: string,
  options: AskStunOptions,
): Promise<StunSighting> {
  let socket: StunSocket;
  try {
    socket = await openStunSocket(privateAddress);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { privateAddress, localPort: 0, seen: [], declined: [], failure: code ?? message };
  }
  try {
    return await askStun(socket, options);
  } finally {
    socket.close();
  }
}
