import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { receiveMessageOnPort } from 'node:worker_threads';
import { type Endpoint, familyOf, normalizeHost } from '../net/address.ts';
import type { Command, ForwarderData, Pump, Report } from './forwarder-protocol.ts';
import { isRtcp, latchBit, mayComeAside, mayLearn, reaimed } from './latch.ts';
import { lookupNothing } from './probe-socket.ts';
import { RtpStatistics } from './rtp-statistics.ts';
import { counter, remoteOffset, SlotTable, slotBytes } from './slot-table.ts';
import { eraseSockaddr, sockaddrBytes, writeSockaddr } from './sockaddr.ts';
import { type ExpectedSource, rankAfterMove, rankOf, takesOver } from './source-rank.ts';
import { answerStun, type IceCredentials, isStun } from './stun.ts';
import { PacketTap } from './tap/packet-tap.ts';

/** What may wait in one socket's queue while the kernel takes nothing. */
const maxQueuedBytes = 262_144;

interface Channel {
  readonly slot: number;
  socket: Socket | undefined;
  peer: Channel | undefined;
  /** How often it was told where packets leave. */
  links: number;
  /** Where RTCP leaves that comes beside RTP. */
  rtcpPeer: Channel | undefined;
  ice: IceCredentials | undefined;
  remote: Endpoint | undefined;
  expected: ExpectedSource | undefined;
  /** How well the best source of this window fitted; 0 before the first. */
  rank: number;
  flags: number;
}

/** Forwards packets with node:dgram: where system calls cannot be made directly. Twice the CPU, same rules. */
export class DgramPump implements Pump {
  readonly #data: ForwarderData;
  readonly #table: SlotTable;
  readonly #channels = new Map<number, Channel>();
  readonly #statistics: RtpStatistics;
  readonly #tap: PacketTap;
  /** For the source of a packet that is copied. */
  readonly #source = new DataView(new ArrayBuffer(sockaddrBytes));

  constructor(data: ForwarderData) {
    this.#data = data;
    this.#table = new SlotTable(data.memory);
    this.#statistics = new RtpStatistics(this.#table);
    this.#tap = new PacketTap(this.#table);
  }

  /** Listens for commands from now on. */
  start(): void {
    this.#data.port.on('message', (commands: readonly Command[]) => this.#runAll(commands));
  }

  #runAll(commands: readonly Command[]): void {
    for (const command of commands) this.run(command);
  }

  /** A packet that answers an SDP must not overtake what that SDP told the relay, whichever the loop looks at first. */
  #takeCommands(): void {
    const { port } = this.#data;
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port))
      this.#runAll(next.message);
  }

  run(command: Command): void {
    switch (command[0]) {
      case 'open':
        this.#open(command[1], command[2], command[3], command[4]);
        break;
      case 'rebind': {
        const [, slot, fd, address, port] = command;
        // What came to the socket of before is still read, in this turn of the loop.
        setImmediate(() => this.#rebind(slot, fd, address, port));
        break;
      }
      case 'link': {
        const channel = this.#channels.get(command[1]);
        if (!channel) break;
        const turn = ++channel.links;
        if (command[2] >= 0) channel.peer = this.#channels.get(command[2]);
        // What came before the end is still read, in this turn of the loop, and forwarded. It may lead there again by then.
        else setImmediate(() => channel.links === turn && (channel.peer = undefined));
        break;
      }
      case 'aim': {
        const [, slot, address, port, rtp, signalling, beside] = command;
        const channel = this.#channels.get(slot);
        if (!channel) break;
        channel.flags = reaimed(channel.flags, address !== '', rtp);
        const described = address === '' ? undefined : { address: normalizeHost(address), port };
        channel.rank = 0;
        channel.expected = {
          described,
          signalling,
          beside: beside < 0 ? undefined : () => this.#table.remote(beside)?.address,
        };
        this.#point(channel, described);
        break;
      }
      case 'expect': {
        const channel = this.#channels.get(command[1]);
        if (!channel?.expected) break;
        channel.expected = { ...channel.expected, signalling: command[2] };
        channel.flags |= latchBit.learning;
        if (channel.rank > 0) channel.rank = rankAfterMove(channel.remote, channel.expected);
        break;
      }
      case 'split': {
        const channel = this.#channels.get(command[1]);
        if (channel) channel.rtcpPeer = this.#channels.get(command[2]);
        break;
      }
      case 'kinds':
        if (this.#channels.has(command[1])) this.#statistics.set(command[1], command[2]);
        break;
      case 'ice': {
        const channel = this.#channels.get(command[1]);
        if (!channel) break;
        channel.ice = command[2];
        channel.flags = command[3] ? channel.flags | latchBit.checked : channel.flags & ~latchBit.checked;
        break;
      }
      case 'moving': {
        const channel = this.#channels.get(command[1]);
        if (!channel) break;
        channel.flags = command[2] ? channel.flags | latchBit.moving : channel.flags & ~latchBit.moving;
        break;
      }
      case 'mute': {
        const channel = this.#channels.get(command[1]);
        if (!channel) break;
        channel.flags = command[2] ? channel.flags | latchBit.muted : channel.flags & ~latchBit.muted;
        break;
      }
      case 'tap': {
        const channel = this.#channels.get(command[1]);
        if (!channel) break;
        this.#tap.set(command[1], command[2]);
        channel.flags = command[2] ? channel.flags | latchBit.tapped : channel.flags & ~latchBit.tapped;
        break;
      }
      case 'ring':
        this.#tap.useRing(command[1]);
        break;
      case 'seal': {
        const channel = this.#channels.get(command[1]);
        if (channel) channel.flags &= ~latchBit.learning;
        break;
      }
      case 'close': {
        const slot = command[1];
        setImmediate(() => this.#close(slot));
        break;
      }
      case 'sync': {
        // A socket that closes in this turn of the loop reports before the next turn's immediates.
        const ticket = command[1];
        setImmediate(() => setImmediate(() => this.#report(['done', ticket])));
        break;
      }
      case 'stop':
        for (const channel of this.#channels.values()) channel.socket?.close();
        this.#channels.clear();
        this.#data.port.close();
        break;
    }
  }

  #open(slot: number, fd: number | undefined, address: string, port: number): void {
    const channel: Channel = {
      slot,
      socket: undefined,
      peer: undefined,
      links: 0,
      rtcpPeer: undefined,
      ice: undefined,
      remote: undefined,
      expected: undefined,
      rank: 0,
      flags: latchBit.rtp,
    };
    this.#channels.set(slot, channel);
    this.#statistics.set(slot, undefined);
    if (fd !== undefined) this.#bind(channel, address, port);
  }

  #bind(channel: Channel, address: string, port: number): void {
    const { slot } = channel;
    const socket = socketFor(address);
    channel.socket = socket;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#channels.get(slot) !== channel || channel.socket !== socket) return;
      this.#report(['lost', slot, error.code ?? error.message]);
    });
    socket.on('message', (packet, source) => this.#forward(channel, packet, source));
    socket.bind({ address, port, exclusive: true });
  }

  #rebind(slot: number, fd: number | undefined, address: string, port: number): void {
    const channel = this.#channels.get(slot);
    const before = channel?.socket;
    if (channel && fd === undefined) channel.socket = undefined;
    else if (channel) this.#bind(channel, address, port);
    if (before) before.close(() => this.#report(['rebound', slot]));
    else this.#report(['rebound', slot]);
  }

  #close(slot: number): void {
    const channel = this.#channels.get(slot);
    this.#channels.delete(slot);
    this.#tap.set(slot, undefined);
    this.#statistics.set(slot, undefined);
    if (channel?.socket) channel.socket.close(() => this.#report(['closed', slot]));
    else this.#report(['closed', slot]);
  }

  #forward(channel: Channel, packet: Buffer, source: RemoteInfo): void {
    this.#takeCommands();
    const { values } = this.#table;
    const at = this.#table.base(channel.slot);
    if (packet.length === 0) {
      values[at + counter.undeliverable]!++;
      return;
    }
    if (channel.ice && isStun(packet[0]!)) {
      this.#check(channel, channel.ice, packet, source);
      return;
    }
    const { remote } = channel;
    if (remote?.port !== source.port || remote.address !== source.address) {
      if (mayLearn(channel.flags, packet[0]!) && betters(channel, source)) {
        this.#point(channel, { address: source.address, port: source.port });
      } else if (!mayComeAside(channel.flags, packet[0]!) || remote?.address !== source.address) {
        values[at + counter.strangers]!++;
        return;
      }
    } else if (channel.rank === 0) betters(channel, source);
    channel.flags |= latchBit.latched;
    values[at + counter.packets]!++;
    values[at + counter.bytes]! += packet.length;
    const now = performance.timeOrigin + performance.now();
    values[at + counter.lastPacketAt] = now;
    if ((channel.flags & latchBit.tapped) !== 0) {
      writeSockaddr(this.#source, 0, source);
      this.#tap.copy(channel.slot, now, new Uint8Array(this.#source.buffer), 0, packet, packet.length);
    }
    let { peer } = channel;
    if (packet.length < 2 || (channel.flags & latchBit.rtp) === 0 || !isRtcp(packet[1]!)) {
      values[at + counter.rtp]!++;
      this.#statistics.rtp(channel.slot, packet, packet.length, now);
    } else {
      peer = channel.rtcpPeer ?? peer;
      this.#statistics.rtcp(channel.slot, peer?.slot ?? -1, packet, packet.length, now);
    }
    if (!peer?.remote || (peer.flags & latchBit.muted) !== 0 || !this.#canSend(peer)) {
      values[at + counter.undeliverable]!++;
      return;
    }
    peer.socket?.send(packet, peer.remote.port, peer.remote.address, (error) => {
      if (error) values[at + counter.undeliverable]!++;
    });
  }

  /** A connectivity check of ICE: answered where it proves itself, and obeyed where it chooses this way. */
  #check(channel: Channel, ice: IceCredentials, request: Buffer, source: RemoteInfo): void {
    const answer = answerStun(request, { address: source.address, port: source.port }, ice);
    if (!answer) {
      this.#table.values[this.#table.base(channel.slot) + counter.strangers]!++;
      return;
    }
    if (this.#canSend(channel)) channel.socket?.send(answer.response, source.port, source.address, () => {});
    if (answer.nominated) this.#point(channel, { address: source.address, port: source.port });
  }

  #canSend(peer: Channel): boolean {
    const { slot, socket } = peer;
    return (
      this.#channels.get(slot) === peer && socket !== undefined && socket.getSendQueueSize() < maxQueuedBytes
    );
  }

  #point(channel: Channel, remote: Endpoint | undefined): void {
    channel.remote = remote;
    const at = channel.slot * slotBytes + remoteOffset;
    if (!remote) {
      eraseSockaddr(this.#table.view, at);
      return;
    }
    channel.flags |= latchBit.aimed;
    writeSockaddr(this.#table.view, at, remote);
  }

  #report(report: Report): void {
    this.#data.port.postMessage(report);
  }
}

function socketFor(address: string): Socket {
  const v6 = familyOf(address) === 'ipv6';
  return createSocket({ type: v6 ? 'udp6' : 'udp4', ipv6Only: v6, lookup: lookupNothing });
}

/** Whether a source is better than the remote so far; it is remembered then. */
function betters(channel: Channel, source: Endpoint): boolean {
  const rank = rankOf(source, channel.expected);
  const learning = (channel.flags & latchBit.learning) !== 0;
  if (!takesOver(learning, rank, channel.rank, channel.expected)) return false;
  channel.rank = rank;
  return true;
}
