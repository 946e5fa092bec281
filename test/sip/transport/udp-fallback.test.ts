import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Listener } from '../../../src/net/listener.ts';
import { openUdp } from '../../../src/sip/transport/udp.ts';
import { CollectedLog } from '../../support/collected-log.ts';

const listener: Listener = {
  transport: 'udp',
  bound: { address: '127.0.0.1', port: 0 },
  advertised: undefined,
};

// A file of its own is a process of its own: here system calls were never bound.
before(() => Object.defineProperty(process, 'platform', { value: 'plan9' }));

test('without system calls auto serves by dgram and says why, once', async (t) => {
  const log = new CollectedLog();
  for (let i = 0; i < 2; i++) {
    const transport = await openUdp(listener, () => undefined, { log });
    t.after(() => transport.close());
    assert.equal(transport.constructor.name, 'UdpDgram');
  }
  assert.equal(log.lines.length, 1);
  assert.match(String(log.lines[0]!.details['reason']), /plan9/);
});

test('batched is an error there', async () => {
  await assert.rejects(
    openUdp(listener, () => undefined, { log: new CollectedLog(), implementation: 'batched' }),
    { code: 'LIBC_PLATFORM' },
  );
});
