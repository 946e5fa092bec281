import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { monotonicMs } from '../../net/monotonic.ts';
import { readSockaddr } from '../sockaddr.ts';
import { PacketRing, type TappedPacket } from './packet-ring.ts';
import type { TapCommand, TapData, TapMessage, TappedStream, TapReport } from './tap-protocol.ts';
import { TappedCall } from './tapped-call.ts';

/**
 * The thread that looks at copies of packets: recordings and digits. It is slow when the disk is, and nobody waits
 * for it. It exists once a call asks for it.
 */
const tickMs = 100;
/** How often it says that it is too slow. */
const complainEveryMs = 10_000;

const data = workerData as TapData;
const ring = new PacketRing(data.ring);
const calls = new Map<number, TappedCall>();
/** By slot. */
const streams: ({ readonly stream: TappedStream; readonly call: TappedCall } | undefined)[] = [];
let dropped = ring.dropped;
let complainedAt = 0;
let messageBytes = 0;
const timer = setInterval(turn, tickMs);

data.port.on('message', obey);

function turn(): void {
  const { head } = ring;
  // What was told before a packet was copied holds for it.
  for (let next = receiveMessageOnPort(data.port); next; next = receiveMessageOnPort(data.port))
    obey(next.message as TapMessage);
  take(head);
  const now = monotonicMs();
  for (const call of calls.values()) call.tick(now);
  if (messageBytes > 0) report(['took', messageBytes]);
  messageBytes = 0;
  if (ring.dropped === dropped || now - complainedAt < complainEveryMs) return;
  report(['dropped', ring.dropped - dropped]);
  dropped = ring.dropped;
  complainedAt = now;
}

/** Packets that were copied before a command was given belong to the time before it. */
function obey([head, command]: TapMessage): void {
  take(head);
  run(command);
}

function take(head: number): void {
  ring.read(head, see);
}

function see(packet: TappedPacket): void {
  const known = streams[packet.slot];
  if (!known || known.stream.generation !== packet.generation) return;
  const source = readSockaddr(packet.view, packet.sourceAt);
  if (source) known.call.packet(known.stream, packet.timeMs, source, packet.bytes);
}

function run(command: TapCommand): void {
  const id = command[1] as number;
  const call = calls.get(id);
  switch (command[0]) {
    case 'begin':
      calls.set(id, new TappedCall((digit) => report(['digit', id, digit])));
      break;
    case 'streams':
      if (call) follow(call, command[2]);
      break;
    case 'record':
      call?.record(command[2], command[3], {
        begun: (path) => report(['recording', id, path]),
        said: (sentence, ended) => report(['said', id, sentence, ended]),
      });
      break;
    case 'stop-recording':
      call?.stopRecording(monotonicMs());
      break;
    case 'dtmf':
      call?.watchDigits(command[2]);
      break;
    case 'message':
      messageBytes += command[5].length;
      call?.message(command[2], command[3], command[4], command[5]);
      break;
    case 'end':
      call?.end(monotonicMs());
      if (call) forget(call);
      calls.delete(id);
      break;
    case 'sync':
      report(['done', command[1]]);
      break;
    case 'stop':
      for (const each of calls.values()) each.end(monotonicMs());
      clearInterval(timer);
      data.port.close();
      break;
  }
}

/** Streams that are gone keep their places until the call ends: packets of theirs may be under way. */
function follow(call: TappedCall, now: readonly TappedStream[]): void {
  for (const stream of now) {
    streams[stream.slot] = { stream, call };
    call.slots.add(stream.slot);
  }
}

function forget(call: TappedCall): void {
  for (const slot of call.slots) if (streams[slot]?.call === call) streams[slot] = undefined;
}

function report(what: TapReport): void {
  data.port.postMessage(what);
}
