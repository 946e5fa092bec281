import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { ip, run } from '../../support/private-network.ts';
import { needsRoot } from '../../support/privileged.ts';
import type { Frame } from '../../support/wire.ts';
import { rtp } from '../support.ts';
import {
  type Call,
  kernelCall,
  kernelKinds,
  kernelRelay,
  RelayNetwork,
  sentBySocket,
  until,
} from './support.ts';

/** Of the network behind the router that stands at the far end of the relay's second card. */
const narrowMtu = 1280;

/** What came to the callee of a large packet and of a small one after it. */
async function largeThenSmall({
  caller,
  callee,
  send,
}: Call): Promise<{ whole: Frame | undefined; small: Frame }> {
  const [large, little] = [rtp('x'.repeat(1340)), rtp('small')];
  send(caller, large);
  send(caller, little);
  let whole: Frame | undefined;
  for (;;) {
    const frame = await callee.wire.next();
    if (frame.payload.equals(little)) return { whole, small: frame };
    if (frame.sound && frame.payload.equals(large)) whole = frame;
  }
}

for (const forwarder of kernelKinds) {
  describe(`a way that takes less than the card, by ${forwarder}`, needsRoot, () => {
    let network: RelayNetwork;
    before(async () => {
      network = new RelayNetwork();
      network.world.inside(() => {
        ip(
          'link add narrow type veth peer name beyond',
          'address add 10.93.0.1/24 dev narrow',
          'address add fd00:93::1/64 dev narrow nodad',
          `link set narrow mtu ${narrowMtu} up`,
          'link set beyond up',
          'neigh add 10.93.0.2 lladdr 02:00:00:00:00:02 dev narrow',
          'neigh add fd00:93::2 lladdr 02:00:00:00:00:02 dev narrow',
        );
        writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
        writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
      });
      ip('route add 10.93.0.0/24 via 10.92.0.2', 'route add fd00:93::/64 via fd00:92::2');
      // Addresses of a card that came up are news for a while, after which all ways are looked at again.
      await until(() => run('ip', ['-6', 'address', 'show', 'tentative']).trim() === '');
    });
    after(() => network[Symbol.dispose]());

    for (const [family, caller, callee] of [
      ['IPv4', '10.91.0.2', '10.93.0.2'],
      ['IPv6', 'fd00:91::2', 'fd00:93::2'],
    ] as const) {
      it(`gets packets in pieces once a router has said so, small ones still by the kernel, ${family}`, async (t) => {
        const { relay } = await kernelRelay(t, forwarder);
        const call = await kernelCall(network, relay, {
          caller: { address: caller, port: 4000 },
          callee: { address: callee, port: 5000 },
        });
        await call.settle();
        const first = await largeThenSmall(call);
        assert.ok(first.whole && !sentBySocket(first.whole), 'nobody knows better yet');
        const deadline = performance.now() + 5000;
        for (let rounds = 0; rounds < 5; ) {
          const { whole, small } = await largeThenSmall(call);
          assert.ok(performance.now() < deadline, 'packets that are too big are forwarded on and on');
          if (!whole && !sentBySocket(small)) rounds++;
        }
      });
    }
  });
}
