import type { Endpoint } from '../../net/address.ts';
import type { Listener } from '../../net/listener.ts';

/**
 * A SIP message travels as a latin1 string: one character for each byte, so that what we do not own stays
 * exact whatever its encoding.
 */
export type MessageText = string;

/** Called once for each message that arrives. Must not throw. */
export type MessageHandler = (text: MessageText, source: Endpoint, transport: Transport) => void;

/** An open listener: takes messages up and sends them down. Knows nothing of clouds, NATs and transactions. */
export interface Transport {
  readonly listener: Listener;
  /** True where the transport delivers by itself, so that nothing is retransmitted over it (RFC 3261 17). */
  readonly reliable: boolean;
  /** Sends from the bound address. Never throws; what cannot be sent is counted and logged at most now and then. */
  send(text: MessageText, destination: Endpoint): void;
  close(): Promise<void>;
}
