import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { notifyServiceManager, watchdogIntervalMs } from '../../src/cli/service-manager.ts';
import { loadLibc, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM } from '../../src/net/libc.ts';

const AF_UNIX = 1;

/** A service manager's socket: what has arrived there, a datagram an entry. */
class Manager implements Disposable {
  readonly #libc = loadLibc();
  readonly #fd: number;

  constructor(name: string) {
    this.#fd = this.#libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const address = Buffer.from(new ArrayBuffer(4096));
    address.writeUInt16LE(AF_UNIX);
    address.write(name.replace(/^@/, '\0'), 2);
    const length = 2 + Buffer.byteLength(name);
    assert.equal(this.#libc.bind(this.#fd, this.#libc.addressOf(address), length), 0, 'bind');
  }

  received(): string[] {
    const datagrams: string[] = [];
    for (;;) {
      const bytes = Buffer.from(new ArrayBuffer(4096));
      const length = this.#libc.recvfrom(this.#fd, this.#libc.addressOf(bytes), 4096, MSG_DONTWAIT, 0, 0);
      if (length < 0) {
        assert.equal(this.#libc.errno(), constants.errno.EAGAIN);
        return datagrams;
      }
      datagrams.push(bytes.toString('utf8', 0, length));
    }
  }

  [Symbol.dispose](): void {
    this.#libc.close(this.#fd);
  }
}

describe('the service manager', () => {
  let scratch: string;
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'cloudsip-notify-'));
  });
  after(() => rm(scratch, { recursive: true, force: true }));

  test('hears states on a socket in the file system', async () => {
    const name = join(scratch, 'notify');
    using manager = new Manager(name);
    assert.equal(
      await notifyServiceManager('READY=1\nSTATUS=listening – 2 sockets', { NOTIFY_SOCKET: name }),
      true,
    );
    assert.equal(await notifyServiceManager('STOPPING=1', { NOTIFY_SOCKET: name }), true);
    assert.deepEqual(manager.received(), ['READY=1\nSTATUS=listening – 2 sockets', 'STOPPING=1']);
  });

  test('hears states on an abstract socket', async () => {
    const name = `@cloudsip-test/${process.pid}/notify`;
    using manager = new Manager(name);
    assert.equal(await notifyServiceManager('WATCHDOG=1', { NOTIFY_SOCKET: name }), true);
    assert.deepEqual(manager.received(), ['WATCHDOG=1']);
  });

  test('is not needed', async () => {
    assert.equal(await notifyServiceManager('READY=1', {}), false);
    assert.equal(await notifyServiceManager('READY=1', { NOTIFY_SOCKET: '' }), false);
  });

  test('that is not there fails nothing', async () => {
    for (const name of [
      join(scratch, 'nobody'),
      '@cloudsip-test/nobody',
      'vsock:2:1234',
      `/${'x'.repeat(200)}`,
    ]) {
      assert.equal(await notifyServiceManager('READY=1', { NOTIFY_SOCKET: name }), false, name);
    }
  });

  test('is told more than a datagram holds in no half', async () => {
    const name = `@cloudsip-test/${process.pid}/long`;
    using manager = new Manager(name);
    assert.equal(await notifyServiceManager(`STATUS=${'x'.repeat(5000)}`, { NOTIFY_SOCKET: name }), false);
    assert.deepEqual(manager.received(), []);
  });
});

describe('the watchdog', () => {
  test('is fed at half its time', () => {
    assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '77' }, 77), 15_000);
    assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '3000000' }, 77), 1500);
    assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '1' }, 77), 1);
  });

  test('is not fed where it watches nobody, or another', () => {
    assert.equal(watchdogIntervalMs({}, 77), undefined);
    assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '78' }, 77), undefined);
    for (const text of ['', '0', '-1', 'soon', '1.5']) {
      assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: text }, 77), undefined, text);
    }
  });
});
