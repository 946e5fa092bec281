import type { Endpoint } from '../../net/address.ts';
import type { Listener } from '../../net/listener.ts';

/**
 * A SIP message travels as a latin1 string: one character for each byte, so that what we do not own stays
 * exact whatever its encoding.
 */
export type MessageText = string;

/** Called once for each message that arrives. Must not throw. */
export type MessageHandler = (text: MessageText, source: Endpoint, transport: Transport) => void;

/** Called once for each datagram, with bytes of its own. Must not throw. */
export type StunHandler = (bytes: Buffer, source: Endpoint) => void;

/** An open listener: takes messages up and sends them down. Knows nothing of clouds, NATs and transactions. */
export interface Transport {
  readonly listener: Listener;
  /** True where the transport delivers by itself, so that nothing is retransmitted over it (RFC 3261 17). */
  readonly reliable: boolean;
  /** What passed and what did not since the listener was opened. Read it, do not keep it up. */
  readonly counters: Readonly<TransportCounters>;
  /**
   * Hears the STUN datagrams (RFC 8489) that come to this socket, as long as it is set; without it they are dropped
   * as keep-alives are. Absent where there is no such thing.
   */
  onStun?: StunHandler | undefined;
  /** Sends from the bound address. Never throws; what cannot be sent is counted and logged at most now and then. */
  send(text: MessageText, destination: Endpoint): void;
  /** Nothing is handed up after the call, and the socket is gone when the promise resolves. */
  close(): Promise<void>;
}

/** Messages, since the listener was opened. */
export interface TransportCounters {
  /** Handed to the handler. */
  received: number;
  /** Keep-alives, STUN and empty datagrams: never handed to the handler. */
  ignored: number;
  receiveErrors: number;
  /** Taken by the system. */
  sent: number;
  /** Refused by the system, too long, or to a destination that this socket cannot reach. */
  sendErrors: number;
  /** Given up because the queue of messages that wait for the system was full. */
  sendOverflows: number;
  /** Exceptions that left the handler. */
  handlerErrors: number;
}

/** What a transport needs of a log; pino's loggers are one. */
export interface TransportLog {
  info(details: object, text: string): void;
  warn(details: object, text: string): void;
}
