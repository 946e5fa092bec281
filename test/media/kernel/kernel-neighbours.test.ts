import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { needsRoot } from '../../support/privileged.ts';
import { rtp } from '../support.ts';
import { type Call, kernelCall, kernelRelay, type Relay, RelayNetwork, sentBySocket } from './support.ts';

describe('two agents on one network card', needsRoot, () => {
  let network: RelayNetwork;
  before(() => {
    network = new RelayNetwork();
  });
  after(() => network[Symbol.dispose]());

  const first = { portRange: { from: 20_000, to: 20_098 } };
  const second = { portRange: { from: 30_000, to: 30_098 } };
  const otherCall = (relay: Relay): Promise<Call> =>
    kernelCall(network, relay, {
      caller: { address: '10.91.0.4', port: 4000 },
      callee: { address: '10.91.0.5', port: 5000 },
    });

  it('both forward in the kernel by TCX', async (t) => {
    const one = await kernelCall(network, (await kernelRelay(t, 'kernel', first)).relay);
    const other = await otherCall((await kernelRelay(t, 'kernel', second)).relay);
    await one.settle();
    await other.settle();
    for (const call of [one, other]) {
      assert.ok(!sentBySocket(await call.pass(call.caller, rtp('there'))));
      assert.ok(!sentBySocket(await call.pass(call.callee, rtp('back'))));
    }
  });

  it('by XDP the second says that the place is taken, and serves by its sockets', async (t) => {
    const said: string[] = [];
    const log = { debug: () => {}, info: () => {}, warn: (sentence: string) => void said.push(sentence) };
    const one = await kernelCall(network, (await kernelRelay(t, 'kernel-xdp', first)).relay);
    await one.settle();
    const { relay } = await kernelRelay(t, 'kernel-xdp', { ...second, log });
    const other = await otherCall(relay);
    for (const round of [1, 2]) {
      assert.ok(sentBySocket(await other.pass(other.caller, rtp(`there ${round}`))));
      assert.ok(sentBySocket(await other.pass(other.callee, rtp(`back ${round}`))));
    }
    await relay.flush();
    assert.deepEqual(said, [
      'media of interface r0 stays in user space: another program has the place of XDP there (EBUSY)',
    ]);
    assert.ok(!sentBySocket(await one.pass(one.caller, rtp('still'))));
  });
});
