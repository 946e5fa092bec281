import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { LabError } from './lab-error.ts';
import { insideNamespace } from './network-namespace.ts';

export interface Datagram {
  readonly bytes: Buffer;
  readonly source: { readonly address: string; readonly port: number };
}

/** A UDP socket that lives in a host's network and is read by the test, one datagram after the other. */
export class LabSocket implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly #socket: Socket;
  readonly #arrived: Datagram[] = [];
  readonly #waiting: ((datagram: Datagram) => void)[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    ({ address: this.address, port: this.port } = socket.address());
    socket.on('message', (bytes, { address, port }) => {
      const datagram = { bytes, source: { address, port } };
      const next = this.#waiting.shift();
      if (next) next(datagram);
      else this.#arrived.push(datagram);
    });
    socket.on('error', () => {}); // an ICMP error about an earlier datagram is not this test's subject
  }

  /** Datagrams that nobody has received yet. */
  get pending(): readonly Datagram[] {
    return this.#arrived;
  }

  send(bytes: Uint8Array | string, port: number, address: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(bytes, port, address, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** The next datagram; rejects after `timeoutMs`. */
  receive(timeoutMs = 5_000): Promise<Datagram> {
    const next = this.#arrived.shift();
    if (next) return Promise.resolve(next);
    return new Promise((resolve, reject) => {
      const take = (datagram: Datagram) => {
        clearTimeout(timer);
        resolve(datagram);
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        reject(new LabError(`no datagram reached ${this.address}:${this.port} in ${timeoutMs} ms`));
      }, timeoutMs);
      this.#waiting.push(take);
    });
  }

  /** Hands over every datagram from now on, until it is closed. */
  each(take: (datagram: Datagram) => void): void {
    this.#waiting.push((datagram) => {
      this.each(take);
      take(datagram);
    });
  }

  /** Sends every datagram back to where it came from, until it is closed. */
  echo(): void {
    this.each(({ bytes, source }) => this.#socket.send(bytes, source.port, source.address, () => {}));
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Binds a socket in a namespace. The bind is made synchronous by a lookup that only passes addresses on. */
export async function openLabSocket(
  namespace: string,
  address: string,
  port: number,
  options: { broadcast?: boolean } = {},
): Promise<LabSocket> {
  const family = address.includes(':') ? 6 : 4;
  const socket = createSocket({
    type: `udp${family}`,
    lookup: (hostname, _options, callback) => callback(null, hostname, family),
  });
  const listening = once(socket, 'listening');
  insideNamespace(namespace, () => socket.bind({ port, address, exclusive: true }));
  await listening;
  if (options.broadcast) socket.setBroadcast(true);
  return new LabSocket(socket);
}
