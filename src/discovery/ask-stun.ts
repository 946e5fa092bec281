import { randomBytes } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { type Endpoint, type Family, familyOf, formatEndpoint, normalizeHost } from '../net/address.ts';
import type { Clock } from '../net/clock.ts';
import { delay } from './delay.ts';
import { bindingRequest, readStunAnswer, TRANSACTION_ID_BYTES } from './stun-message.ts';
import type { StunServer } from './stun-server.ts';
import type { StunSocket } from './stun-socket.ts';

/** What came back to one socket. */
export interface StunSighting {
  readonly privateAddress: string;
  /** Of the socket that asked; 0 where there was none. */
  readonly localPort: number;
  /** What each server saw; those that did not say it are missing. */
  readonly seen: readonly { readonly server: string; readonly mapped: Endpoint }[];
  /** Why one of them did not, where that is known: anything but silence. */
  readonly declined: readonly { readonly server: string; readonly why: string }[];
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

type Told = { readonly mapped: Endpoint } | { readonly why: string } | undefined;

/** Asks every server from this socket, each at an address of its own: another one may be told another mapping. */
export async function askStun(socket: StunSocket, options: AskStunOptions): Promise<StunSighting> {
  const { servers, clock, signal } = options;
  const { address: privateAddress, port: localPort } = socket.local;
  const ended = new AbortController();
  const ending = AbortSignal.any([signal, ended.signal]);
  const timer = clock.schedule(() => ended.abort(), STUN_TIMEOUT_MS);
  // The clock's timers keep no process alive, and at the start nothing else may.
  const alive = setInterval(() => {}, STUN_TIMEOUT_MS);
  const open = new Set<Question>();
  const stopHearing = socket.hear((message, from) => {
    for (const question of open) take(question, message, from);
  });
  const taken = new Map<string, StunServer>();
  try {
    const told = await Promise.all(
      servers.map(async (server): Promise<Told> => {
        const at = await place(server, familyOf(privateAddress)!, taken, ending);
        if (at === undefined || 'why' in at) return at;
        return askServer(socket, at, open, clock, ending);
      }),
    );
    return {
      privateAddress,
      localPort,
      seen: servers.flatMap(({ text }, index) => {
        const each = told[index];
        return each && 'mapped' in each ? [{ server: text, mapped: each.mapped }] : [];
      }),
      declined: servers.flatMap(({ text }, index) => {
        const each = told[index];
        return each && 'why' in each ? [{ server: text, why: each.why }] : [];
      }),
    };
  } finally {
    clock.cancel(timer);
    clearInterval(alive);
    ended.abort();
    stopHearing();
  }
}

interface Question {
  readonly server: Endpoint;
  readonly transactionId: Buffer;
  readonly answered: (told: Told) => void;
}

async function askServer(
  socket: StunSocket,
  server: Endpoint,
  open: Set<Question>,
  clock: Clock,
  signal: AbortSignal,
): Promise<Told> {
  const transactionId = randomBytes(TRANSACTION_ID_BYTES);
  const request = bindingRequest(transactionId);
  const done = new AbortController();
  const waiting = AbortSignal.any([signal, done.signal]);
  let told: Told;
  const question: Question = {
    server,
    transactionId,
    answered: (answer) => {
      told = answer;
      open.delete(question);
      done.abort();
    },
  };
  open.add(question);
  try {
    let sentAt = 0;
    for (const at of SEND_AT_MS) {
      if (at > sentAt) await delay(clock, at - sentAt, waiting);
      if (waiting.aborted) break;
      socket.send(request, server);
      sentAt = at;
    }
    if (!waiting.aborted) await once(waiting, 'abort');
  } finally {
    open.delete(question);
  }
  return told;
}

/** Takes the datagram where it answers this question: from where that was asked, and with its number. */
function take({ server, transactionId, answered }: Question, message: Buffer, from: Endpoint): void {
  if (from.port !== server.port || normalizeHost(from.address) !== server.address) return;
  const answer = readStunAnswer(message, transactionId);
  if (answer?.kind === 'mapped') answered({ mapped: answer.mapped });
  // RFC 8489 10: 300 names another server, which nobody vouches for. Those that were configured are asked.
  else if (answer) answered({ why: `answered with error ${answer.code}` });
}

/**
 * Where to ask the server: the first of its addresses that no other one was asked at. Undefined where the time is up.
 */
async function place(
  server: StunServer,
  family: Family,
  taken: Map<string, StunServer>,
  signal: AbortSignal,
): Promise<Endpoint | { readonly why: string } | undefined> {
  const addresses = await resolve(server.host, family, signal);
  if (signal.aborted) return undefined;
  const endpoints = addresses.map((address) => ({ address, port: server.port }));
  const free = endpoints.find((endpoint) => !taken.has(formatEndpoint(endpoint)));
  if (free) {
    taken.set(formatEndpoint(free), server);
    return free;
  }
  const [first] = endpoints;
  if (!first) return { why: `has no ${family === 'ipv4' ? 'IPv4' : 'IPv6'} address that could be found` };
  return { why: `is the same server as ${taken.get(formatEndpoint(first))!.text}` };
}

/** The addresses of that family; none where there is none, or none in time. */
async function resolve(host: string, family: Family, signal: AbortSignal): Promise<string[]> {
  const numeric = familyOf(host);
  if (numeric !== undefined) return numeric === family ? [normalizeHost(host)] : [];
  const resolver = new Resolver({ timeout: 1000, tries: 2 });
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const found = await (family === 'ipv4' ? resolver.resolve4(host) : resolver.resolve6(host));
    return found.map(normalizeHost);
  } catch {
    return [];
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
