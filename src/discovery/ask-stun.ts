import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { type Endpoint, type Family, familyOf, normalizeHost } from '../net/address.ts';
import type { Clock } from '../net/clock.ts';
import { delay } from './delay.ts';
import { bindingRequest, mappedAddress, TRANSACTION_ID_BYTES } from './stun-message.ts';
import type { StunServer } from './stun-server.ts';

/** What came back for one private address. */
export interface StunSighting {
  readonly privateAddress: string;
  /** Of the socket that asked; 0 where there was none. */
  readonly localPort: number;
  /** What each server saw; those that did not answer are missing. */
  readonly seen: readonly { readonly server: string; readonly mapped: Endpoint }[];
  /** Why nobody could be asked at all. */
  readonly failure?: string;
}

export interface AskStunOptions {
  readonly servers: readonly StunServer[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** RFC 8489 6.2.1 doubles from 500 ms; three requests are enough for what must not hold up a start. */
const SEND_AT_MS = [0, 500, 1500] as const;
export const STUN_TIMEOUT_MS = 3000;

/** Asks every server from a socket that is bound to this address: another one may leave by another NAT. */
export async function askStun(privateAddress: string, options: AskStunOptions): Promise<StunSighting> {
  const { clock, signal } = options;
  const family = familyOf(privateAddress)!;
  const ended = new AbortController();
  const ending = AbortSignal.any([signal, ended.signal]);
  const timer = clock.schedule(() => ended.abort(), STUN_TIMEOUT_MS);
  // The clock's timers keep no process alive, and at the start nothing else may.
  const alive = setInterval(() => {}, STUN_TIMEOUT_MS);
  let socket: Socket | undefined;
  try {
    socket = createSocket({ type: family === 'ipv4' ? 'udp4' : 'udp6', ipv6Only: family === 'ipv6' });
    socket.bind({ address: privateAddress, port: 0, exclusive: true });
    await once(socket, 'listening');
    // An unreachable server is one that does not answer.
    socket.on('error', () => {});
    const open = socket;
    const answers = await Promise.all(
      options.servers.map((server) => askServer(open, server, family, clock, ending)),
    );
    const localPort = socket.address().port;
    return { privateAddress, localPort, seen: answers.filter((answer) => answer !== undefined) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { privateAddress, localPort: 0, seen: [], failure: code ?? message };
  } finally {
    clock.cancel(timer);
    clearInterval(alive);
    ended.abort();
    socket?.close();
  }
}

async function askServer(
  socket: Socket,
  server: StunServer,
  family: Family,
  clock: Clock,
  signal: AbortSignal,
): Promise<StunSighting['seen'][number] | undefined> {
  const address = await resolve(server.host, family, signal);
  if (address === undefined || signal.aborted) return undefined;
  const transactionId = randomBytes(TRANSACTION_ID_BYTES);
  const request = bindingRequest(transactionId);
  const done = new AbortController();
  const waiting = AbortSignal.any([signal, done.signal]);
  let mapped: Endpoint | undefined;
  const receive = (message: Buffer, from: { address: string; port: number }): void => {
    if (from.port !== server.port || normalizeHost(from.address) !== address) return;
    mapped ??= mappedAddress(message, transactionId);
    if (mapped) done.abort();
  };
  socket.on('message', receive);
  try {
    let sentAt = 0;
    for (const at of [...SEND_AT_MS, Number.POSITIVE_INFINITY]) {
      if (at === Number.POSITIVE_INFINITY) await untilAborted(waiting);
      else if (at > sentAt) await delay(clock, at - sentAt, waiting);
      if (waiting.aborted) break;
      socket.send(request, server.port, address, () => {});
      sentAt = at;
    }
  } finally {
    socket.off('message', receive);
  }
  return mapped && { server: server.text, mapped };
}

function untilAborted(signal: AbortSignal): Promise<unknown> {
  return signal.aborted ? Promise.resolve() : once(signal, 'abort');
}

/** The first address of that family; undefined where there is none, or none in time. */
async function resolve(host: string, family: Family, signal: AbortSignal): Promise<string | undefined> {
  const numeric = familyOf(host);
  if (numeric !== undefined) return numeric === family ? normalizeHost(host) : undefined;
  const resolver = new Resolver({ timeout: 1000, tries: 2 });
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const [first] = await (family === 'ipv4' ? resolver.resolve4(host) : resolver.resolve6(host));
    return first === undefined ? undefined : normalizeHost(first);
  } catch {
    return undefined;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
