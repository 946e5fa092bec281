import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { type Endpoint, type Family, familyOf, formatEndpoint, unbracket } from '../../net/address.ts';
import type { Listener } from '../../net/listener.ts';
import { LogLimit } from '../../net/log-limit.ts';
import { isAudibleStun, isNotSip } from './not-sip.ts';
import { PeerCache } from './peer-cache.ts';
import type { MessageHandler, MessageText, StunHandler, Transport, TransportCounters } from './transport.ts';
import { bindError, notAnAddress } from './transport-error.ts';
import {
  boundListener,
  limitedWarn,
  MAX_PAYLOAD,
  MAX_WAITING_BYTES,
  MAX_WAITING_MESSAGES,
  type UdpOptions,
  type Warn,
  zeroCounters,
} from './udp-options.ts';
import { RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES } from './udp-socket.ts';

/**
 * UDP by Node's own sockets: everywhere, at twice the cost and more. Where the path's MTU is not learnt by
 * ICMP, long datagrams can vanish, for Node does not let DF be switched off.
 */
export class UdpDgram implements Transport {
  readonly listener: Listener;
  readonly reliable: boolean = false;
  readonly counters: TransportCounters = zeroCounters();
  onStun: StunHandler | undefined;
  readonly #socket: Socket;
  readonly #family: Family;
  readonly #handler: MessageHandler;
  readonly #peers: PeerCache;
  readonly #limit: LogLimit;
  readonly #warn: Warn;
  #closing: Promise<void> | undefined;

  /** Rejects with TransportError where the address cannot be bound. */
  static async open(listener: Listener, handler: MessageHandler, options: UdpOptions): Promise<UdpDgram> {
    const family = familyOf(listener.bound.address);
    if (!family) throw notAnAddress(listener.bound);
    const socket = createSocket({
      type: family === 'ipv4' ? 'udp4' : 'udp6',
      ipv6Only: family === 'ipv6',
      // Destinations are addresses: no look-up, and no turn of the loop for it.
      lookup: (address, _options, callback) => callback(null, address, family === 'ipv4' ? 4 : 6),
    });
    await new Promise<void>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        socket.close();
        reject(bindError(listener.bound, error.code ?? error.message, error));
      };
      socket.once('error', failed);
      socket.bind(
        { address: unbracket(listener.bound.address), port: listener.bound.port, exclusive: true },
        () => {
          socket.off('error', failed);
          resolve();
        },
      );
    });
    return new UdpDgram(socket, family, listener, handler, options);
  }

  private constructor(
    socket: Socket,
    family: Family,
    listener: Listener,
    handler: MessageHandler,
    options: UdpOptions,
  ) {
    this.listener = boundListener(listener, socket.address().port);
    this.#socket = socket;
    this.#family = family;
    this.#handler = handler;
    this.#peers = new PeerCache(family);
    this.#limit = new LogLimit(options.clock);
    this.#warn = limitedWarn(options.log, this.#limit);
    // The system cuts these to its own limits.
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
    socket.setSendBufferSize(SEND_BUFFER_BYTES);
    socket.on('message', (bytes, from) => this.#deliver(bytes, from));
    socket.on('error', (error) => {
      this.counters.receiveErrors++;
      this.#warn(
        'receive',
        { listener: formatEndpoint(this.listener.bound), reason: error.message },
        'UDP receive failed',
      );
    });
  }

  send(text: MessageText, destination: Endpoint): void {
    if (this.#closing !== undefined) return;
    const { address, port } = destination;
    if (!this.#peers.destination(address) || !(port > 0 && port < 65536)) {
      this.#refuse(destination, `no ${this.#family} address and port`);
    } else if (text.length > MAX_PAYLOAD[this.#family]) {
      this.#refuse(destination, `${text.length} bytes are more than a datagram holds`);
    } else if (
      this.#socket.getSendQueueCount() >= MAX_WAITING_MESSAGES ||
      this.#socket.getSendQueueSize() + text.length > MAX_WAITING_BYTES
    ) {
      this.counters.sendOverflows++;
      this.#warn('overflow', {}, 'UDP messages dropped: the system takes none');
    } else {
      this.#socket.send(Buffer.from(text, 'latin1'), port, address, (error: NodeJS.ErrnoException | null) => {
        if (error) this.#refuse(destination, error.code ?? error.message);
        else this.counters.sent++;
      });
    }
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#socket.removeAllListeners('message');
      this.#limit.close();
      this.#socket.close(() => resolve());
    });
    return this.#closing;
  }

  #deliver(bytes: Buffer, from: RemoteInfo): void {
    if (isNotSip(bytes, 0, bytes.length)) {
      this.counters.ignored++;
      if (this.onStun && isAudibleStun(bytes, 0, bytes.length)) {
        this.onStun(bytes, { address: from.address, port: from.port });
      }
      return;
    }
    this.counters.received++;
    try {
      this.#handler(bytes.toString('latin1'), { address: from.address, port: from.port }, this);
    } catch (error) {
      this.counters.handlerErrors++;
      this.#warn('handler', { err: error, source: formatEndpoint(from) }, 'A message from UDP met an error');
    }
  }

  #refuse(destination: Endpoint, reason: string): void {
    this.counters.sendErrors++;
    this.#warn('send', { destination: formatEndpoint(destination), reason }, 'UDP message not sent');
  }
}
