import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { type TestContext, test } from 'node:test';
import { loadLibc } from '../../../src/net/libc.ts';
import { type Polled, UdpPoller } from '../../../src/sip/transport/udp-poller.ts';
import { RECEIVE_WAIT_MS } from '../../../src/sip/transport/udp-socket.ts';

/** A poller that a test wakes, of a system where nothing ever becomes ready and time passes by waiting alone. */
function bench(t: TestContext) {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const asked: string[] = [];
  let wake = (): void => {};
  const poller = new UdpPoller({
    ...loadLibc(),
    epollCreate: () => -1,
    epollControl: () => 0,
    epollWait: (_epoll, _events, _count, timeoutMs) => {
      asked.push(timeoutMs === 0 ? 'epoll' : 'epoll waits');
      now += timeoutMs;
      return 0;
    },
    watch: (_fd, handler) => {
      wake = () => handler(0);
      return { watch: () => {}, close: () => {} };
    },
    close: () => 0,
  });
  const socket = (fd: number): Polled & { blocked: boolean } => ({
    fd,
    blocked: false,
    receive: (waits) => {
      asked.push(waits ? `${fd} waits` : `${fd}`);
      // A datagram that came in the middle of the last wait, and was none of SIP.
      if (waits) now += RECEIVE_WAIT_MS * 0.75;
      return 0;
    },
    flush: () => {},
  });
  const served = (): string[] => {
    asked.length = 0;
    wake();
    return [...new Set(asked)];
  };
  return { poller, socket, served };
}

test('a socket that is alone waits for itself, and in epoll what is left of the time', (t) => {
  const { poller, socket, served } = bench(t);
  poller.add(socket(3));
  assert.deepEqual(served(), ['3', '3 waits', 'epoll waits']);
});

test('sockets in company are waited for in epoll, and so is one that waits for room', (t) => {
  const { poller, socket, served } = bench(t);
  const [first, second] = [socket(3), socket(4)];
  poller.add(first);
  poller.add(second);
  assert.deepEqual(served(), ['epoll']);
  poller.remove(first);
  assert.deepEqual(served(), ['4', '4 waits', 'epoll waits']);
  second.blocked = true;
  assert.deepEqual(served(), ['epoll']);
  second.blocked = false;
  poller.remove(second);
  assert.deepEqual(served(), ['epoll']);
});
