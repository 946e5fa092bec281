import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import type { Endpoint } from '../../../src/net/address.ts';
import type { Listener } from '../../../src/net/listener.ts';
import type { MessageHandler, Transport } from '../../../src/sip/transport/transport.ts';
import { TransportError } from '../../../src/sip/transport/transport-error.ts';
import { openUdp, type UdpImplementation } from '../../../src/sip/transport/udp.ts';
import { CollectedLog } from '../../support/collected-log.ts';
import { ManualClock } from '../../support/manual-clock.ts';

type Family = 'ipv4' | 'ipv6';
const loopback = { ipv4: '127.0.0.1', ipv6: '::1' } as const;
const everyByte = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));

function listenerOn(address: string, port = 0): Listener {
  return { transport: 'udp', bound: { address, port }, advertised: undefined };
}

/** A peer that knows nothing of our transports. */
async function openPeer(
  t: TestContext,
  family: Family = 'ipv4',
): Promise<{ socket: Socket; endpoint: Endpoint }> {
  const socket = createSocket({ type: family === 'ipv4' ? 'udp4' : 'udp6', recvBufferSize: 4 << 20 });
  t.after(() => new Promise<void>((resolve) => socket.close(resolve)));
  socket.bind(0, loopback[family]);
  await once(socket, 'listening');
  return { socket, endpoint: { address: loopback[family], port: socket.address().port } };
}

/** Resolves when `condition` holds, looking again in each turn of the loop. The test's own timeout ends it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

const socketsOpen = (): number => {
  return readdirSync('/proc/self/fd').length;
};

for (const implementation of ['batched', 'dgram'] as const) {
  describe(`UDP ${implementation}`, { timeout: 60_000 }, () => {
    const openOn = async (
      t: TestContext,
      address: string,
      onMessage: MessageHandler,
      log = new CollectedLog(),
      clock = new ManualClock(),
    ): Promise<Transport> => {
      const transport = await openUdp(listenerOn(address), onMessage, { log, clock, implementation });
      t.after(() => transport.close());
      return transport;
    };

    for (const family of ['ipv4', 'ipv6'] as const) {
      test(`carries every byte both ways over ${family} and knows the source`, async (t) => {
        const received: { text: string; source: Endpoint; transport: Transport }[] = [];
        const transport = await openOn(t, loopback[family], (text, source, from) => {
          received.push({ text, source, transport: from });
          from.send(`re${text}`, source);
        });
        const { socket, endpoint } = await openPeer(t, family);
        const answer = once(socket, 'message');
        socket.send(
          Buffer.from(`INVITE${everyByte}`, 'latin1'),
          transport.listener.bound.port,
          loopback[family],
        );
        const [bytes, from] = await answer;
        assert.equal(bytes.toString('latin1'), `reINVITE${everyByte}`);
        assert.deepEqual({ address: from.address, port: from.port }, transport.listener.bound);
        assert.equal(received.length, 1);
        assert.equal(received[0]!.text, `INVITE${everyByte}`);
        assert.deepEqual({ ...received[0]!.source }, endpoint);
        assert.equal(received[0]!.transport, transport);
        await until(() => transport.counters.sent === 1);
      });

      test(`carries the longest datagram over ${family}`, async (t) => {
        const text = 'A'.repeat(65507);
        const transport = await openOn(t, loopback[family], (message, source, from) =>
          from.send(message, source),
        );
        const { socket } = await openPeer(t, family);
        const answer = once(socket, 'message');
        socket.send(text, transport.listener.bound.port, loopback[family]);
        const [bytes] = await answer;
        assert.equal(bytes.length, 65507);
        assert.equal(bytes.toString('latin1'), text);
      });
    }

    test('tells many sources apart and answers each', async (t) => {
      const transport = await openOn(t, '127.0.0.1', (text, source, from) =>
        from.send(`${text}@${source.port}`, source),
      );
      const peers = await Promise.all(Array.from({ length: 50 }, () => openPeer(t)));
      const answers = peers.map(({ socket }) => once(socket, 'message'));
      peers.forEach(({ socket }, i) => {
        socket.send(`m${i}`, transport.listener.bound.port, '127.0.0.1');
      });
      const texts = (await Promise.all(answers)).map(([bytes]) => String(bytes));
      assert.deepEqual(
        texts,
        peers.map(({ endpoint }, i) => `m${i}@${endpoint.port}`),
      );
    });

    test('passes a burst of 10,000 on without loss, in order, both ways', async (t) => {
      const total = 10_000;
      const window = 200;
      let next = 0;
      const a = await openOn(t, '127.0.0.1', (text, source, from) => from.send(text, source));
      const answered: string[] = [];
      const b = await openOn(t, '127.0.0.1', (text) => {
        answered.push(text);
        more();
      });
      const body = 'x'.repeat(800);
      const more = (): void => {
        while (next < total && next - answered.length < window) b.send(`${next++} ${body}`, a.listener.bound);
      };
      more();
      await until(() => answered.length === total);
      assert.deepEqual(
        answered.map((text) => Number.parseInt(text, 10)),
        Array.from({ length: total }, (_, i) => i),
      );
      assert.equal(answered.at(-1), `${total - 1} ${body}`);
      assert.equal(a.counters.received, total);
      await until(() => a.counters.sent === total);
      assert.deepEqual({ ...a.counters }, { ...zero, received: total, sent: total });
    });

    test('still answers each single message after a burst', async (t) => {
      let received = 0;
      const transport = await openOn(t, '127.0.0.1', (text, source, from) => {
        received++;
        if (text.startsWith('single')) from.send(text, source);
      });
      const { socket } = await openPeer(t);
      const { port } = transport.listener.bound;
      for (let sent = 0; sent < 4000; sent += 100) {
        for (let i = 0; i < 100; i++) socket.send(`burst ${i}`, port, '127.0.0.1');
        await until(() => received === sent + 100);
      }
      for (let i = 0; i < 20; i++) {
        const answer = once(socket, 'message');
        socket.send(`single ${i}`, port, '127.0.0.1');
        assert.equal(String((await answer)[0]), `single ${i}`);
      }
    });

    test('drops keep-alives, empty datagrams and STUN, and nothing else', async (t) => {
      const received: string[] = [];
      const transport = await openOn(t, '127.0.0.1', (text) => received.push(text));
      const { socket } = await openPeer(t);
      const stun = Buffer.alloc(28);
      stun.set([0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42]);
      const noise = ['', '\r\n', '\r\n\r\n', '\0', '\0\0\0\0', '\n', stun];
      const messages = ['\r\nOPTIONS', ' ', 'a', '\r'.repeat(17), '\0\u0001\0\u0008STUNLIKEBUTNOCOOKIE'];
      for (const datagram of [...noise, ...messages]) {
        socket.send(
          typeof datagram === 'string' ? Buffer.from(datagram, 'latin1') : datagram,
          transport.listener.bound.port,
          '127.0.0.1',
        );
      }
      await until(() => received.length === messages.length);
      assert.deepEqual(received, messages);
      assert.equal(transport.counters.ignored, noise.length);
    });

    test('STUN goes to who hears it, and what is no STUN to nobody but the handler', async (t) => {
      const received: string[] = [];
      const transport = await openOn(t, '127.0.0.1', (text) => received.push(text));
      const { socket, endpoint } = await openPeer(t);
      const heard: { bytes: Buffer; source: Endpoint }[] = [];
      const { port } = transport.listener.bound;
      const stun = (fill: number, length = 28): Buffer => {
        const datagram = Buffer.alloc(length, fill);
        datagram.set([1, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42]);
        return datagram;
      };
      const say = async (...datagrams: (Buffer | string)[]): Promise<void> => {
        for (const each of [...datagrams, 'end']) {
          socket.send(typeof each === 'string' ? Buffer.from(each, 'latin1') : each, port, '127.0.0.1');
        }
        const before = received.filter((text) => text === 'end').length;
        await until(() => received.filter((text) => text === 'end').length > before);
      };
      await say(stun(1));
      transport.onStun = (bytes, source) => heard.push({ bytes, source });
      const sip = 'OPTI!\u0012\u00a4B with the cookie where STUN has it';
      const halfStun = '\u0001\u0001\0\u0008!\u0012\u00a4A another cookie';
      await say(stun(2), '\r\n\r\n', '', stun(3).subarray(0, 19), sip, stun(4), halfStun, stun(5, 1501));
      transport.onStun = undefined;
      await say(stun(6));
      // Of each its own bytes: none was overwritten by the next.
      assert.deepEqual(heard, [
        { bytes: stun(2), source: endpoint },
        { bytes: stun(4), source: endpoint },
      ]);
      const unheard = stun(3).subarray(0, 19).toString('latin1');
      assert.deepEqual(received, ['end', unheard, sip, halfStun, 'end', 'end']);
      assert.equal(transport.counters.received, received.length);
      assert.equal(transport.counters.ignored, 7);
    });

    test('sends from outside of a message at once, in order', async (t) => {
      const transport = await openOn(t, '127.0.0.1', () => undefined);
      const { socket, endpoint } = await openPeer(t);
      const received: string[] = [];
      socket.on('message', (bytes) => received.push(String(bytes)));
      for (let i = 0; i < 100; i++) transport.send(`m${i}`, endpoint);
      await until(() => received.length === 100);
      assert.deepEqual(
        received,
        Array.from({ length: 100 }, (_, i) => `m${i}`),
      );
    });

    test('lets promises of the handler go on without another event', async (t) => {
      const transport = await openOn(t, '127.0.0.1', (text, source, from) => {
        void Promise.resolve().then(() => from.send(text, source));
      });
      const { socket } = await openPeer(t);
      const answer = once(socket, 'message');
      socket.send('later', transport.listener.bound.port, '127.0.0.1');
      assert.equal(String((await answer)[0]), 'later');
    });

    test('survives ports that are closed', async (t) => {
      const gone = await openOn(t, '127.0.0.1', () => undefined);
      const closedPort = gone.listener.bound;
      await gone.close();
      const log = new CollectedLog();
      const transport = await openOn(t, '127.0.0.1', (text, source, from) => from.send(text, source), log);
      const { socket } = await openPeer(t);
      for (let round = 0; round < 5; round++) {
        transport.send('nobody', closedPort);
        const answer = once(socket, 'message');
        socket.send(`round ${round}`, transport.listener.bound.port, '127.0.0.1');
        assert.equal(String((await answer)[0]), `round ${round}`);
      }
      await until(() => transport.counters.sent === 10);
      assert.equal(transport.counters.receiveErrors, 0);
      assert.deepEqual(log.lines, []);
    });

    test('counts what cannot be sent, tells it once, and sends the rest', async (t) => {
      const log = new CollectedLog();
      const clock = new ManualClock();
      const transport = await openOn(t, '127.0.0.1', () => undefined, log, clock);
      const { socket, endpoint } = await openPeer(t);
      const received: string[] = [];
      socket.on('message', (bytes) => received.push(String(bytes)));
      const bad: [string, Endpoint][] = [
        // Bound to loopback, the system refuses to send elsewhere (EINVAL).
        ['unroutable', { address: '192.0.2.1', port: 5060 }],
        ['broadcast', { address: '255.255.255.255', port: 5060 }],
        ['other family', { address: '::1', port: 5060 }],
        ['a name', { address: 'localhost', port: 5060 }],
        ['no port', { address: '127.0.0.1', port: 0 }],
        ['too high a port', { address: '127.0.0.1', port: 65536 }],
        ['A'.repeat(65508), endpoint],
      ];
      transport.send('first', endpoint);
      for (const [text, destination] of bad) {
        transport.send(text, destination);
        transport.send(`after ${text.slice(0, 20)}`, endpoint);
      }
      await until(() => received.length === 1 + bad.length && transport.counters.sendErrors === bad.length);
      assert.equal(received[0], 'first');
      assert.equal(transport.counters.sent, 1 + bad.length);
      assert.equal(log.lines.length, 1);
      assert.equal(log.lines[0]!.level, 'warn');
      clock.advance(1000);
      assert.equal(log.lines.length, 2);
      assert.equal(log.lines[1]!.details['suppressed'], bad.length - 2);
    });

    test('is served alone, in company, and alone again', async (t) => {
      const heard: string[] = [];
      const hear: MessageHandler = (text, source, from) => {
        heard.push(text);
        from.send(`re${text}`, source);
      };
      const first = await openOn(t, loopback.ipv4, hear);
      const { socket } = await openPeer(t);
      const ask = async (transport: Transport, text: string): Promise<void> => {
        const answer = once(socket, 'message');
        socket.send(text, transport.listener.bound.port, loopback.ipv4);
        assert.equal(String((await answer)[0]), `re${text}`);
      };
      await ask(first, 'ALONE');
      const second = await openOn(t, loopback.ipv4, hear);
      await ask(second, 'COMPANY 2');
      await ask(first, 'COMPANY 1');
      await first.close();
      await ask(second, 'ALONE 2');
      assert.deepEqual(heard, ['ALONE', 'COMPANY 2', 'COMPANY 1', 'ALONE 2']);
    });

    test('goes on after an exception of the handler', async (t) => {
      const log = new CollectedLog();
      const transport = await openOn(
        t,
        '127.0.0.1',
        (text, source, from) => {
          if (text === 'bad') throw new Error('cannot read this');
          from.send(text, source);
        },
        log,
      );
      const { socket } = await openPeer(t);
      const answer = once(socket, 'message');
      socket.send('bad', transport.listener.bound.port, '127.0.0.1');
      socket.send('good', transport.listener.bound.port, '127.0.0.1');
      assert.equal(String((await answer)[0]), 'good');
      assert.equal(transport.counters.handlerErrors, 1);
      assert.equal(log.lines.length, 1);
    });

    test('closes in the middle of a batch and hands nothing up afterwards', async (t) => {
      const { socket } = await openPeer(t);
      let received = 0;
      let closed: Promise<void> | undefined;
      const transport = await openOn(t, '127.0.0.1', (text, source, from) => {
        received++;
        from.send(text, source);
        if (received === 5) closed = from.close();
      });
      const { port } = transport.listener.bound;
      const flood = setInterval(() => {
        for (let i = 0; i < 50; i++) socket.send(`m${i}`, port, '127.0.0.1');
      }, 1);
      t.after(() => clearInterval(flood));
      await until(() => closed !== undefined);
      await closed;
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      clearInterval(flood);
      assert.equal(received, 5);
      transport.send('too late', { address: '127.0.0.1', port });
    });

    test('gives its descriptor and its port back', async (t) => {
      const idle = socketsOpen();
      // With the first socket what all of them share is opened.
      const first = await openOn(t, '127.0.0.1', () => undefined);
      const before = socketsOpen();
      const transports: Transport[] = [];
      for (let i = 0; i < 20; i++) transports.push(await openOn(t, '127.0.0.1', () => undefined));
      assert.equal(socketsOpen(), before + 20);
      const { bound } = transports[0]!.listener;
      await Promise.all(transports.map((transport) => transport.close()));
      assert.equal(socketsOpen(), before);
      await first.close();
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(socketsOpen(), idle);
      const again = await openUdp(listenerOn(bound.address, bound.port), () => undefined, {
        log: new CollectedLog(),
        implementation,
      });
      await again.close();
    });

    test('a listener with a port stays the same object; for port 0 the real port stands in a new one', async () => {
      const asked = listenerOn('127.0.0.1');
      const first = await openUdp(asked, () => undefined, { log: new CollectedLog(), implementation });
      assert.equal(asked.bound.port, 0);
      assert.ok(first.listener.bound.port > 0);
      await first.close();
      const fixed = listenerOn('127.0.0.1', first.listener.bound.port);
      const second = await openUdp(fixed, () => undefined, { log: new CollectedLog(), implementation });
      assert.equal(second.listener, fixed);
      await second.close();
    });

    const refused = async (listener: Listener, code: string, text: RegExp): Promise<void> => {
      await assert.rejects(
        openUdp(listener, () => undefined, { log: new CollectedLog(), implementation }),
        (error) => {
          assert.ok(error instanceof TransportError);
          assert.equal(error.code, code);
          assert.match(error.message, text);
          return true;
        },
      );
    };

    test('says what to do when an address cannot be bound, and leaks nothing', async (t) => {
      const transport = await openOn(t, '127.0.0.1', () => undefined);
      const before = socketsOpen();
      const { port } = transport.listener.bound;
      await refused(
        listenerOn('127.0.0.1', port),
        'TRANSPORT_ADDRESS_IN_USE',
        new RegExp(`ss -lunp sport = :${port}`),
      );
      await refused(listenerOn('192.0.2.7', 5060), 'TRANSPORT_ADDRESS_NOT_OURS', /as 192\.0\.2\.7:5060/);
      await refused(listenerOn('2001:db8::7', 5060), 'TRANSPORT_ADDRESS_NOT_OURS', /as \[2001:db8::7\]:5060/);
      await refused(listenerOn('sip.example.com', 5060), 'TRANSPORT_NOT_AN_ADDRESS', /sip\.example\.com/);
      await until(() => socketsOpen() === before);
    });
  });
}

const zero = {
  received: 0,
  ignored: 0,
  receiveErrors: 0,
  sent: 0,
  sendErrors: 0,
  sendOverflows: 0,
  handlerErrors: 0,
};

test('auto makes system calls where it can', async () => {
  const implementation: UdpImplementation = 'auto';
  const log = new CollectedLog();
  const transport = await openUdp(listenerOn('127.0.0.1'), () => undefined, { log, implementation });
  assert.equal(transport.constructor.name, 'UdpBatched');
  assert.deepEqual(log.lines, []);
  await transport.close();
});
