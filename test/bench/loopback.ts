import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Endpoint } from '../../src/net/address.ts';

/** An address of 127.0.0.0/8 that nobody else is likely to use meanwhile. */
export function loopbackAddress(): string {
  return `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(1, 255)}`;
}

/** A UDP endpoint that is free now; it is for a program that has to be told its port. */
export async function freeEndpoint(address: string = loopbackAddress()): Promise<Endpoint> {
  const socket = await bindUdp({ address, port: 0 });
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return { address, port };
}

export async function bindUdp({ address, port }: Endpoint): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}

/** Resolves when a program has bound the endpoint: the kernel's table tells it without a datagram. */
export async function boundUdp({ address, port }: Endpoint, timeoutMs: number): Promise<void> {
  const bytes = Buffer.from(address.split('.').map(Number));
  const local = `${bytes.readUInt32LE().toString(16).padStart(8, '0')}:${port.toString(16).padStart(4, '0')}`;
  const deadline = performance.now() + timeoutMs;
  while (!readFileSync('/proc/net/udp', 'latin1').includes(` ${local.toUpperCase()} `)) {
    if (performance.now() > deadline) {
      throw new Error(
        `expected a program to bind udp:${address}:${port} within ${timeoutMs} ms, and none did`,
      );
    }
    await delay(10);
  }
}
