import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Program } from '../support/process.ts';
import { calleeAddress, callerAddress, firstPhonePort, relayAddress } from './media-network.ts';
import type { BenchRelay } from './media-relay.ts';

const ngPort = 2223;

/** Starts Debian's rtpengine without its kernel module, as it runs on a machine of somebody else's kernel. */
export async function startRtpengine(): Promise<BenchRelay> {
  const program = new Program('rtpengine', [
    ...['--foreground', '--log-stderr', '--log-level=4', '--table=-1', '--num-threads=2'],
    ...[`--interface=${relayAddress}`, `--listen-ng=127.0.0.1:${ngPort}`],
    ...['--port-min=40000', '--port-max=65000', '--no-redis-required', '--delete-delay=0'],
  ]);
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  let cookies = 0;
  const ask = async (command: Bencodable): Promise<Map<string, string>> => {
    const cookie = `c${++cookies}`;
    for (let tries = 0; tries < 100; tries++) {
      const answered = once(socket, 'message', { signal: AbortSignal.timeout(500) }).catch(() => undefined);
      socket.send(`${cookie} ${bencode(command)}`, ngPort, '127.0.0.1');
      const [message] = ((await answered) as [Buffer] | undefined) ?? [];
      const text = message?.toString('latin1') ?? '';
      if (!text.startsWith(`${cookie} `)) continue;
      const answer = readStrings(text.slice(cookie.length + 1));
      if (answer.get('result') === 'error') throw new Error(`rtpengine: ${answer.get('error-reason')}`);
      return answer;
    }
    throw new Error(`expected rtpengine to answer, and it did not:\n${program.output}`);
  };
  await ask({ command: 'ping' });
  let made = 0;
  return {
    name: 'rtpengine (user space)',
    pid: program.pid,
    async add(calls) {
      const ports: [number, number][] = [];
      const began = performance.now();
      for (let i = 0; i < calls; i++) {
        const port = firstPhonePort + 2 * i;
        const common = { 'call-id': `call-${i}`, 'from-tag': `f${i}`, ICE: 'remove' };
        const offer = await ask({ ...common, command: 'offer', sdp: sdpOf(callerAddress, port) });
        const answer = await ask({
          ...common,
          command: 'answer',
          'to-tag': `t${i}`,
          sdp: sdpOf(calleeAddress, port),
        });
        ports.push([portOf(answer), portOf(offer)]);
      }
      made = calls;
      return { ports, microsecondsPerCall: ((performance.now() - began) * 1000) / calls };
    },
    async remove() {
      const began = performance.now();
      for (let i = 0; i < made; i++) {
        await ask({ command: 'delete', 'call-id': `call-${i}`, 'from-tag': `f${i}`, 'delete-delay': 0 });
      }
      return ((performance.now() - began) * 1000) / made;
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      await program.stop();
    },
  };
}

type Bencodable = string | number | { readonly [key: string]: Bencodable };

/** The encoding of the ng protocol. */
function bencode(value: Bencodable): string {
  if (typeof value === 'number') return `i${value}e`;
  if (typeof value === 'string') return `${Buffer.byteLength(value)}:${value}`;
  return `d${Object.entries(value)
    .map(([key, entry]) => bencode(key) + bencode(entry))
    .join('')}e`;
}

/** The strings of the outermost dictionary. */
function readStrings(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let at = 0;
  const read = (): string | undefined => {
    const kind = text[at]!;
    if (kind === 'i') {
      at = text.indexOf('e', at) + 1;
      return undefined;
    }
    if (kind === 'd' || kind === 'l') {
      at++;
      while (text[at] !== 'e') read();
      at++;
      return undefined;
    }
    const colon = text.indexOf(':', at);
    const length = Number(text.slice(at, colon));
    at = colon + 1 + length;
    return text.slice(colon + 1, at);
  };
  at = 1;
  while (at < text.length && text[at] !== 'e') {
    const key = read();
    const value = read();
    if (key !== undefined && value !== undefined) found.set(key, value);
  }
  return found;
}

function sdpOf(address: string, port: number): string {
  return `v=0\r\no=- 1 1 IN IP4 ${address}\r\ns=-\r\nc=IN IP4 ${address}\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\n`;
}

function portOf(answer: ReadonlyMap<string, string>): number {
  const port = Number(/^m=audio (\d+)/m.exec(answer.get('sdp') ?? '')?.[1]);
  if (!port) throw new Error(`expected an SDP of rtpengine with a port and got: ${answer.get('sdp')}`);
  return port;
}
