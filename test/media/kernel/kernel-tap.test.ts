import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { needsRoot } from '../../support/privileged.ts';
import { rtpPacket } from '../recording/rtp-source.ts';
import { kernelCall, kernelKinds, kernelRelay, RelayNetwork, sentBySocket } from './support.ts';

for (const forwarder of kernelKinds) {
  describe(`recording a flow that is forwarded by ${forwarder}`, needsRoot, () => {
    let network: RelayNetwork;
    before(() => {
      network = new RelayNetwork();
    });
    after(() => network[Symbol.dispose]());

    it('takes it back into user space, each packet seen and none lost, and gives it to the kernel again', async (t) => {
      const directory = mkdtempSync(join(tmpdir(), 'cloudsip-recordings-'));
      t.after(() => rmSync(directory, { recursive: true, force: true }));
      const { relay } = await kernelRelay(t, forwarder, { recordDirectory: directory });
      const call = await kernelCall(network, relay);
      await call.settle();
      const tap = relay.openTap('call', () => {});
      call.session.attach(tap);
      await relay.flush();
      assert.ok(!sentBySocket(await call.pass(call.caller, rtpPacket(0, 1, 160, 1, new Uint8Array(160)))));

      tap.record({ callId: 'call', from: 'sip:a@b', to: 'sip:c@d', reason: 'test' });
      await relay.flush();
      for (let n = 0; n < 40; n++) {
        const payload = rtpPacket(0, n, n * 160, 1, new Uint8Array(160));
        assert.ok(sentBySocket(await call.pass(call.caller, payload)), `packet ${n}`);
        assert.ok(sentBySocket(await call.pass(call.callee, payload)), `packet ${n}`);
      }
      tap.stopRecording();
      await relay.flush();
      await call.settle();
      await tap.end();
      const note = readdirSync(directory).find((name) => name.endsWith('.json'))!;
      const { streams } = JSON.parse(readFileSync(join(directory, note), 'utf8'));
      assert.deepEqual(
        streams.map(({ party, packets }: Record<string, unknown>) => [party, packets]),
        [
          ['caller', 40],
          ['callee', 40],
        ],
      );
    });
  });
}
