import { enterPrivateNetwork, ip, OtherNetwork, run } from '../support/private-network.ts';

export const relayAddress = '10.77.0.1';
export const callerAddress = '10.77.0.2';
export const calleeAddress = '10.77.0.3';
/** Both sides of call N have this port and 2N. */
export const firstPhonePort = 30_000;

export interface MediaNetwork {
  readonly relayMac: string;
  readonly otherMac: string;
  /** Where the phones are; `w0` leads to the relay, what is sent from `w1` arrives at `w2`. */
  readonly world: OtherNetwork;
}

/**
 * Moves this process to where the relay is: one card, with all phones behind it. The phones are a program that
 * writes and reads packets, so no kernel but the relay's has to find sockets for them.
 */
export function openMediaNetwork(): MediaNetwork {
  enterPrivateNetwork();
  const world = new OtherNetwork();
  ip(
    `link add r0 type veth peer name w0 netns ${world.path}`,
    `address add ${relayAddress}/24 dev r0`,
    'link set r0 up',
  );
  const [mac, other] = world.inside(() => {
    ip('link add w1 type veth peer name w2', 'link set w0 up', 'link set w1 up', 'link set w2 up');
    return ['w0', 'w2'].map(macOf);
  });
  for (const address of [callerAddress, calleeAddress]) {
    ip(`neighbour replace ${address} lladdr ${mac} dev r0 nud permanent`);
  }
  return { relayMac: macOf('r0'), otherMac: other!, world };
}

function macOf(name: string): string {
  const [link] = JSON.parse(run('ip', ['-json', 'link', 'show', 'dev', name])) as [{ address: string }];
  return link.address;
}
