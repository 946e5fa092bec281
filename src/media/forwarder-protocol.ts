import type { MessagePort } from 'node:worker_threads';
import type { KernelData } from './kernel/kernel-flows.ts';
import type { PacketKinds } from './rtp-statistics.ts';
import type { IceCredentials } from './stun.ts';

/** What the main thread tells the forwarder. All is by slot number; order counts. */
export type Command =
  /**
   * `fd` is an open socket of this process, or -1 where the forwarder binds `address:port` itself. Packets leave it with
   * `dscp`, or where that is 0 with what they came with. Undefined for a slot that has no socket yet.
   */
  | readonly ['open', slot: number, fd: number | undefined, address: string, port: number, dscp: number]
  /** The slot goes on with another socket, as in `open`, or with none; answered by `rebound`. */
  | readonly ['rebind', slot: number, fd: number | undefined, address: string, port: number, dscp: number]
  /** Packets that arrive at `slot` leave from `peer`; -1 for nowhere. */
  | readonly ['link', slot: number, peer: number]
  /** RTCP that arrives at `slot` beside RTP leaves from `peer`; -1 for where all else leaves (RFC 5761). */
  | readonly ['split', slot: number, peer: number]
  /** What the packets at `slot` are, for the numbers. */
  | readonly ['kinds', slot: number, kinds: PacketKinds]
  /** Connectivity checks at `slot` are answered; with `checked` nothing else teaches. Undefined ends it. */
  | readonly ['ice', slot: number, ice: IceCredentials | undefined, checked: boolean]
  /** The remote by SDP; '' where it is unknown and must be learned. Opens the learning window. */
  | readonly [
      'aim',
      slot: number,
      address: string,
      port: number,
      rtp: boolean,
      /** Where the side's SIP comes from. */
      signalling: string | undefined,
      /** The slot of the RTP that this is the RTCP of, or -1. */
      beside: number,
    ]
  /** The side's SIP comes from elsewhere now, and its SDP is as before. Opens the learning window. */
  | readonly ['expect', slot: number, signalling: string]
  /** An offer inside the call is open, or is not any more: another port of the remote's address is heard meanwhile. */
  | readonly ['moving', slot: number, moving: boolean]
  | readonly ['mute', slot: number, muted: boolean]
  /** Where packets are copied to that somebody wants to see; told before the first of these. */
  | readonly ['ring', memory: SharedArrayBuffer]
  /** Packets that arrive at `slot` are copied: those of these payload types, all where none is named. */
  | readonly ['tap', slot: number, types: readonly number[] | undefined]
  /** The learning window is over. */
  | readonly ['seal', slot: number]
  | readonly ['close', slot: number]
  /** Answered by `done` when everything before it is done. */
  | readonly ['sync', ticket: number]
  | readonly ['stop'];

/** What the forwarder tells the main thread. */
export type Report =
  | readonly ['ready']
  /** The forwarder does not touch the slot any more. */
  | readonly ['closed', slot: number]
  /** The forwarder does not touch the socket any more that the slot had before. */
  | readonly ['rebound', slot: number]
  /** The forwarder could not bind what it was asked to. */
  | readonly ['lost', slot: number, errorCode: string]
  /** Something about the kernel's part that people should know. */
  | readonly ['kernel', sentence: string]
  | readonly ['done', ticket: number];

export interface ForwarderData {
  readonly kind: 'koffi' | 'dgram';
  readonly port: MessagePort;
  readonly memory: SharedArrayBuffer;
  /** koffi only: the epoll set to wait on and the eventfd that says that commands wait. */
  readonly epollFd: number;
  readonly wakeFd: number;
  /** Where settled flows are forwarded by the kernel. */
  readonly kernel?: KernelData;
}

/** Moves packets between sockets; lives in the worker. */
export interface Pump {
  run(command: Command): void;
}
