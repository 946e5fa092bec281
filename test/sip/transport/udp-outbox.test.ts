import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { beforeEach, test } from 'node:test';
import { IOVEC, type Libc, MMSGHDR } from '../../../src/net/libc.ts';
import { PeerCache } from '../../../src/sip/transport/peer-cache.ts';
import type { TransportCounters } from '../../../src/sip/transport/transport.ts';
import { zeroCounters } from '../../../src/sip/transport/udp-options.ts';
import { UdpOutbox } from '../../../src/sip/transport/udp-outbox.ts';

const BASE = 0x7f00_0000_1000;
const { EAGAIN, EINTR, EPERM } = constants.errno;

/** A system that takes as many messages a call as `plan` says (or fails with the negative errno), then all. */
class ScriptedSystem {
  readonly sent: string[] = [];
  readonly calls: number[] = [];
  plan: number[] = [];
  #memory: Buffer = Buffer.alloc(0);
  #errno = 0;

  readonly libc = {
    addressOf: (bytes: Uint8Array) => {
      this.#memory = Buffer.from(bytes.buffer);
      return BASE;
    },
    errno: () => this.#errno,
    sendmmsg: (_fd: number, headers: number, count: number) => {
      this.calls.push(count);
      const planned = this.plan.shift() ?? count;
      if (planned < 0) {
        this.#errno = -planned;
        return -1;
      }
      const taken = Math.min(planned, count);
      for (let i = 0; i < taken; i++) this.#take(headers - BASE + i * MMSGHDR.size);
      return taken;
    },
  } as unknown as Libc;

  #take(header: number): void {
    const vector = this.#pointer(header + MMSGHDR.iov);
    const data = this.#pointer(vector + IOVEC.base);
    const name = this.#pointer(header + MMSGHDR.name);
    const length = this.#memory.readUInt32LE(vector + IOVEC.length);
    const address = [...this.#memory.subarray(name + 4, name + 8)].join('.');
    const text = this.#memory.toString('latin1', data, data + length);
    this.sent.push(`${text.slice(0, 20)} ${address}:${this.#memory.readUInt16BE(name + 2)}`);
  }

  #pointer(at: number): number {
    return Number(this.#memory.readBigUInt64LE(at)) - BASE;
  }
}

let system: ScriptedSystem;
let counters: TransportCounters;
let warnings: string[];
let outbox: UdpOutbox;
const to = { address: '192.0.2.1', port: 5060 };
const addAll = (count: number): void => {
  for (let i = 0; i < count; i++) outbox.add(`m${i}`, to);
};
const expected = (count: number): string[] => Array.from({ length: count }, (_, i) => `m${i} 192.0.2.1:5060`);

beforeEach(() => {
  system = new ScriptedSystem();
  counters = zeroCounters();
  warnings = [];
  outbox = new UdpOutbox(system.libc, 3, 'ipv4', new PeerCache('ipv4'), counters, (kind) =>
    warnings.push(kind),
  );
});

test('what is collected leaves in one call, each to its destination', () => {
  outbox.add('a', to);
  outbox.add('b', { address: '198.51.100.9', port: 65535 });
  assert.deepEqual(system.calls, []);
  outbox.flush();
  assert.deepEqual(system.calls, [2]);
  assert.deepEqual(system.sent, ['a 192.0.2.1:5060', 'b 198.51.100.9:65535']);
  assert.equal(counters.sent, 2);
  outbox.flush();
  assert.deepEqual(system.calls, [2]);
});

test('a full batch leaves by itself', () => {
  addAll(33);
  assert.deepEqual(system.calls, [32]);
  outbox.flush();
  assert.deepEqual(system.sent, expected(33));
});

test('what the system does not take waits in order, until it takes again', () => {
  system.plan = [5, -EAGAIN];
  addAll(100);
  assert.ok(outbox.blocked);
  assert.deepEqual(system.sent, expected(5));
  system.plan = [20, -EAGAIN];
  outbox.flush();
  assert.ok(outbox.blocked);
  addAll(0);
  outbox.flush();
  assert.ok(!outbox.blocked);
  assert.deepEqual(system.sent, expected(100));
  assert.equal(counters.sent, 100);
  assert.equal(counters.sendErrors, 0);
});

test('an interrupted call is made again', () => {
  system.plan = [-EINTR, 1, -EINTR];
  addAll(3);
  outbox.flush();
  assert.deepEqual(system.sent, expected(3));
  assert.equal(counters.sendErrors, 0);
});

test('a message that the system refuses is left out, the others go on', () => {
  system.plan = [1, -EPERM];
  addAll(4);
  outbox.flush();
  assert.deepEqual(
    system.sent,
    expected(4).filter((text) => !text.startsWith('m1 ')),
  );
  assert.equal(counters.sendErrors, 1);
  assert.deepEqual(warnings, ['send']);
});

test('the number of messages that wait is bounded', () => {
  system.plan = [-EAGAIN];
  addAll(32 + 4096 + 10);
  assert.equal(counters.sendOverflows, 10);
  assert.equal(warnings.length, 10);
  outbox.flush();
  assert.deepEqual(system.sent, expected(32 + 4096));
  addAll(1);
  outbox.flush();
  assert.equal(system.sent.length, 32 + 4096 + 1);
});

test('the bytes that wait are bounded, and freed when they leave', () => {
  const long = 'x'.repeat(65507);
  const room = Math.floor((16 * 1024 * 1024) / 65507);
  for (let round = 0; round < 2; round++) {
    system.plan = [-EAGAIN];
    for (let i = 0; i < 32 + room + 3; i++) outbox.add(long, to);
    assert.equal(counters.sendOverflows, 3 * (round + 1));
    outbox.flush();
    assert.equal(counters.sent, (32 + room) * (round + 1));
  }
});
