import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { test } from 'node:test';
import {
  AF_INET,
  IOVEC,
  loadLibc,
  MMSGHDR,
  MSG_DONTWAIT,
  SO_ERROR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOL_SOCKET,
} from '../../src/net/libc.ts';
import { familyAndPort, portOf, sockaddrWords } from '../../src/net/sockaddr.ts';

const libc = loadLibc();

/** A bound loopback socket; `sockaddr` is where it is bound, in memory that lives as long as the object. */
function loopbackSocket(): { fd: number; sockaddr: number; words: Int32Array } {
  const words = new Int32Array(new ArrayBuffer(256));
  const sockaddr = libc.addressOf(new Uint8Array(words.buffer));
  const fd = libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  words.set(sockaddrWords('ipv4', '127.0.0.1')!);
  assert.equal(libc.bind(fd, sockaddr, 16), 0);
  words[16] = 16;
  assert.equal(libc.getsockname(fd, sockaddr, sockaddr + 64), 0);
  return { fd, sockaddr, words };
}

test('an error is told by errno', () => {
  assert.equal(libc.socket(9999, SOCK_DGRAM, 0), -1);
  assert.equal(libc.errno(), constants.errno.EAFNOSUPPORT);
  assert.equal(libc.close(-1), -1);
  assert.equal(libc.errno(), constants.errno.EBADF);
});

test('it is bound once', () => {
  assert.equal(loadLibc(), libc);
});

test('sendto and recvfrom carry bytes and the source', () => {
  const a = loopbackSocket();
  const b = loopbackSocket();
  const data = new Uint8Array(new ArrayBuffer(512));
  const at = libc.addressOf(data);
  data.set([0, 1, 254, 255]);
  assert.equal(libc.sendto(a.fd, at, 4, 0, b.sockaddr, 16), 4);
  const source = new Int32Array(new ArrayBuffer(64));
  const sourceAt = libc.addressOf(new Uint8Array(source.buffer));
  source[8] = 16;
  assert.equal(libc.recvfrom(b.fd, at + 256, 256, MSG_DONTWAIT, sourceAt, sourceAt + 32), 4);
  assert.deepEqual([...data.subarray(256, 261)], [0, 1, 254, 255, 0]);
  assert.equal(source[0], a.words[0]);
  assert.equal(source[1], a.words[1]);
  assert.equal(libc.recvfrom(b.fd, at, 256, MSG_DONTWAIT, 0, 0), -1);
  assert.equal(libc.errno(), constants.errno.EAGAIN);
  libc.close(a.fd);
  libc.close(b.fd);
});

test('recvmmsg and sendmmsg agree with the layout of mmsghdr and iovec', () => {
  const a = loopbackSocket();
  const b = loopbackSocket();
  const memory = new ArrayBuffer(4096);
  const view = new DataView(memory);
  const base = libc.addressOf(new Uint8Array(memory));
  const [headers, vectors, data] = [0, 512, 1024];
  for (let i = 0; i < 2; i++) {
    view.setBigUint64(headers + i * MMSGHDR.size + MMSGHDR.name, BigInt(b.sockaddr), true);
    view.setUint32(headers + i * MMSGHDR.size + MMSGHDR.nameLength, 16, true);
    view.setBigUint64(
      headers + i * MMSGHDR.size + MMSGHDR.iov,
      BigInt(base + vectors + i * IOVEC.size),
      true,
    );
    view.setBigUint64(headers + i * MMSGHDR.size + MMSGHDR.iovLength, 1n, true);
    view.setBigUint64(vectors + i * IOVEC.size + IOVEC.base, BigInt(base + data + i * 100), true);
    view.setBigUint64(vectors + i * IOVEC.size + IOVEC.length, BigInt(i + 1), true);
    view.setUint8(data + i * 100, 65 + i);
  }
  assert.equal(libc.sendmmsg(a.fd, base + headers, 2, 0), 2);
  for (let i = 0; i < 2; i++) {
    view.setBigUint64(headers + i * MMSGHDR.size + MMSGHDR.name, 0n, true);
    view.setBigUint64(vectors + i * IOVEC.size + IOVEC.length, 100n, true);
    view.setUint8(data + i * 100, 0);
  }
  assert.equal(libc.recvmmsg(b.fd, base + headers, 2, MSG_DONTWAIT, 0), 2);
  for (let i = 0; i < 2; i++) {
    assert.equal(view.getUint32(headers + i * MMSGHDR.size + MMSGHDR.length, true), i + 1);
    assert.equal(view.getUint8(data + i * 100), 65 + i);
  }
  libc.close(a.fd);
  libc.close(b.fd);
});

test('connect makes send errors of a closed port visible through SO_ERROR', async () => {
  const a = loopbackSocket();
  const gone = loopbackSocket();
  libc.close(gone.fd);
  assert.equal(libc.connect(a.fd, gone.sockaddr, 16), 0);
  const value = new Int32Array(new ArrayBuffer(64));
  const at = libc.addressOf(new Uint8Array(value.buffer));
  assert.equal(libc.sendto(a.fd, at, 1, 0, 0, 0), 1);
  value[1] = 4;
  assert.equal(libc.getsockopt(a.fd, SOL_SOCKET, SO_ERROR, at, at + 4), 0);
  assert.equal(value[0], constants.errno.ECONNREFUSED);
  libc.close(a.fd);
});

test('watch tells of readable, rests and resumes as it is told', async () => {
  const a = loopbackSocket();
  const data = libc.addressOf(new Uint8Array(new ArrayBuffer(64)));
  const wakes = new EventTarget();
  const readiness = libc.watch(a.fd, (status) => {
    assert.equal(status, 0);
    while (libc.recvfrom(a.fd, data, 64, MSG_DONTWAIT, 0, 0) >= 0);
    wakes.dispatchEvent(new Event('wake'));
  });
  const first = once(wakes, 'wake');
  libc.sendto(a.fd, data, 1, 0, a.sockaddr, 16);
  await first;

  let woken = false;
  wakes.addEventListener('wake', () => (woken = true));
  readiness.watch({ readable: false, writable: false });
  libc.sendto(a.fd, data, 1, 0, a.sockaddr, 16);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.equal(woken, false);
  const second = once(wakes, 'wake');
  readiness.watch({ readable: true, writable: false });
  await second;
  const third = once(wakes, 'wake');
  readiness.watch({ readable: false, writable: true });
  await third;

  readiness.close();
  libc.close(a.fd);
});

test('the port stands in network order in the first word', () => {
  assert.equal(familyAndPort('ipv4', 5060), 0xc4130002 | 0);
  for (const port of [1, 255, 256, 5060, 32768, 65535]) {
    assert.equal(portOf(familyAndPort('ipv4', port)), port);
    assert.equal(portOf(familyAndPort('ipv6', port)), port);
  }
});

/** How many descriptors the kernel's table for this process has room for. */
const room = (): number => Number(/^FDSize:\s*(\d+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))![1]);

test('room is made for descriptors, and none of them is opened', async () => {
  const open = readdirSync('/proc/self/fd');
  assert.ok(room() < 4096);
  await libc.makeRoom(4096);
  assert.equal(room(), 4096);
  assert.deepEqual(readdirSync('/proc/self/fd'), open);
});

test('room is made for as many as the limit of open files allows', () => {
  const script = `
    import { readFileSync } from 'node:fs';
    import { loadLibc } from ${JSON.stringify(import.meta.resolve('../../src/net/libc.ts'))};
    await loadLibc().makeRoom(32_768);
    console.log(/^FDSize:.*$/m.exec(readFileSync('/proc/self/status', 'latin1'))[0]);`;
  const node = [process.execPath, '--input-type=module', '-e', script];
  const said = execFileSync('sh', ['-c', 'ulimit -n 1500 && exec "$@"', 'sh', ...node], { encoding: 'utf8' });
  assert.match(said, /^FDSize:\s*1024$/m);
});
