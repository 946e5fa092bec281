import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { crc32 } from 'node:zlib';
import type { Endpoint } from '../../src/net/address.ts';

const MAGIC = 0x2112a442;

export interface FakeStun extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly text: string;
  /** How many requests came. */
  readonly requests: number;
  /** What to answer; undefined for nothing. */
  answer: (request: Buffer, from: Endpoint) => readonly Buffer[] | undefined;
  /** Says something that nobody asked for. */
  say(message: Buffer, to: Endpoint): void;
}

/** A STUN server whose answers are given by the test; by default it tells the truth. */
export async function startFakeStun(
  answer: FakeStun['answer'] = (request, from) => [stunAnswer(request, from)],
  { host = '127.0.0.1', port = 0 }: { readonly host?: string; readonly port?: number } = {},
): Promise<FakeStun> {
  const socket = createSocket('udp4');
  let requests = 0;
  socket.on('message', (request, from) => {
    requests++;
    for (const message of server.answer(request, from) ?? []) socket.send(message, from.port, from.address);
  });
  socket.bind(port, host);
  await once(socket, 'listening');
  const server: FakeStun = {
    text: `${host}:${socket.address().port}`,
    get requests() {
      return requests;
    },
    answer,
    say: (message, to) => socket.send(message, to.port, to.address),
    [Symbol.asyncDispose]: async () => {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
  return server;
}

/** A success answer to this request with the mapped address, and what else is to stand in it. */
export function stunAnswer(
  request: Buffer,
  mapped: Endpoint,
  { type = 0x0101, before = [], after = [] }: { type?: number; before?: Buffer[]; after?: Buffer[] } = {},
): Buffer {
  const attributes = Buffer.concat([...before, xorMapped(request, mapped), ...after]);
  const header = Buffer.from(request.subarray(0, 20));
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(attributes.length, 2);
  return Buffer.concat([header, attributes]);
}

export function attribute(type: number, value: Buffer): Buffer {
  const padded = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
  padded.writeUInt16BE(type, 0);
  padded.writeUInt16BE(value.length, 2);
  value.copy(padded, 4);
  return padded;
}

/** An error answer to this request. */
export function stunError(request: Buffer, code: number, ...more: Buffer[]): Buffer {
  const attributes = Buffer.concat([errorCode(code, 'reason'), ...more]);
  const header = Buffer.from(request.subarray(0, 20));
  header.writeUInt16BE(0x0111, 0);
  header.writeUInt16BE(attributes.length, 2);
  return Buffer.concat([header, attributes]);
}

/** RFC 8489 14.8 */
export function errorCode(code: number, reason: string): Buffer {
  const head = Buffer.from([0, 0, Math.floor(code / 100), code % 100]);
  return attribute(0x0009, Buffer.concat([head, Buffer.from(reason)]));
}

/** The message with a FINGERPRINT (RFC 8489 14.7), where so many bytes are to follow it. */
export function fingerprinted(message: Buffer, toFollow = 0): Buffer {
  const signed = Buffer.from(message);
  signed.writeUInt16BE(message.length - 20 + 8 + toFollow, 2);
  const value = Buffer.alloc(4);
  value.writeUInt32BE((crc32(signed) ^ 0x5354554e) >>> 0);
  return Buffer.concat([signed, attribute(0x8028, value)]);
}

function xorMapped(request: Buffer, { address, port }: Endpoint): Buffer {
  const bytes = address.includes(':')
    ? Buffer.from(expanded(address), 'hex')
    : Buffer.from(address.split('.').map(Number));
  const value = Buffer.alloc(4 + bytes.length);
  value[1] = bytes.length === 4 ? 1 : 2;
  value.writeUInt16BE(port ^ (MAGIC >>> 16), 2);
  for (const [index, byte] of bytes.entries()) value[4 + index] = byte ^ request[4 + index]!;
  return attribute(0x0020, value);
}

function expanded(address: string): string {
  const [head = '', tail] = address.split('::');
  const left = head.split(':').filter((group) => group !== '');
  const right = (tail ?? '').split(':').filter((group) => group !== '');
  const zeros = Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...right].map((group) => group.padStart(4, '0')).join('');
}

/** As a command it tells the truth at `HOST PORT`. */
if (import.meta.main) {
  const [host = '127.0.0.1', port = '3478'] = process.argv.slice(2);
  const { text } = await startFakeStun(undefined, { host, port: Number(port) });
  process.stdout.write(`fake-stun ${text}\n`);
}
