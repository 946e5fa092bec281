import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { addressesOf, portsOf, sdp } from '../media/support.ts';
import { labForwarders } from '../support/lab-forwarders.ts';
import { NumberedStream } from '../support/numbered-stream.ts';
import { needsRoot } from '../support/privileged.ts';
import { type DeskCall, SipDesk } from '../support/sip-desk.ts';
import type { LabSocket } from './lab-socket.ts';
import { Office, publicAddress } from './office.ts';

const kinds = labForwarders('kernel', 'kernel-xdp', 'koffi', 'dgram');
/** Ten times as dense as telephony. */
const intervalMs = 2;
/** LAB_ROUNDS=100 for longer. */
const rounds = Number(process.env['LAB_ROUNDS'] ?? 5);

interface EndStream {
  readonly packets: number;
  readonly inKernel?: number;
  readonly lost: number;
  readonly strangers: number;
}

let lastSource = 0;

/** One side of the call: two ports to choose from, and what it says and sends. */
class Party {
  readonly desk: SipDesk;
  readonly sockets: readonly LabSocket[];
  stream: NumberedStream;
  call: DeskCall | undefined;
  #chosen = 0;
  #version = 0;

  private constructor(desk: SipDesk, sockets: readonly LabSocket[]) {
    this.desk = desk;
    this.sockets = sockets;
    this.stream = this.begin();
  }

  /** Another stream. */
  begin(): NumberedStream {
    this.stream?.stop();
    this.stream = new NumberedStream(++lastSource, this.socket, intervalMs);
    return this.stream;
  }

  static async open(office: Office, user: string, hostName: string): Promise<Party> {
    const host = office.lab.host(hostName);
    const desk = await SipDesk.open(host, await office.account(user), publicAddress);
    await desk.register();
    return new Party(desk, [await host.openUdp(), await host.openUdp()]);
  }

  get socket(): LabSocket {
    return this.sockets[this.#chosen]!;
  }

  move(): void {
    this.#chosen = 1 - this.#chosen;
  }

  /** Another codec is named each time, which the relay has to believe: a flow of the kernel is withdrawn. */
  describe(address: string = this.socket.address, direction = 'sendrecv'): string {
    const other = `rtpmap:96 opus/${++this.#version % 2 === 0 ? 48_000 : 16_000}`;
    return sdp(address, { port: this.socket.port, attributes: [other, direction] });
  }

  /** Sends from its present port to where that description says. */
  talk(description: string): void {
    const [address, port] = [addressesOf(description)[0]!, portsOf(description)[0]!];
    this.stream.start(this.socket, { address, port });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stream.stop();
    for (const socket of this.sockets) await socket.close();
    await this.desk[Symbol.asyncDispose]();
  }
}

/** What one side offers inside the call and the other answers; each ends as it began, both talking. */
const changes: Readonly<Record<string, (one: Party, other: Party) => Promise<void>>> = {
  codec: (one, other) => offer(one, one.describe(), other, () => other.describe()),
  hold: async (one, other) => {
    await offer(one, one.describe(undefined, 'sendonly'), other, () => {
      other.stream.stop();
      return other.describe(undefined, 'recvonly');
    });
    await one.stream.more(4);
    await offer(one, one.describe(), other, () => other.describe());
    other.stream.start();
  },
  'hold of old': async (one, other) => {
    // Who names 0.0.0.0 wants nothing, nor what is on its way (RFC 3264 8.4).
    await other.stream.pause();
    await offer(one, one.describe('0.0.0.0', 'sendonly'), other, () => other.describe(undefined, 'recvonly'));
    await one.stream.more(4);
    await offer(one, one.describe(), other, () => other.describe());
    other.stream.start();
  },
  'other port by answer': (one, other) =>
    offer(one, one.describe(), other, () => {
      other.move();
      // From there at once, before anybody can have read the answer.
      other.stream.start(other.socket);
      return other.describe();
    }),
  'other port by offer': async (one, other) => {
    one.move();
    await offer(one, one.describe(), other, () => other.describe());
    one.stream.start(one.socket);
  },
};

async function offer(one: Party, description: string, other: Party, answer: () => string): Promise<void> {
  const answered = other.desk.answer(async () => answer());
  await one.call!.reinvite(description);
  await answered;
}

for (const kind of kinds) {
  describe(`calls that are described anew all the time, with media by ${kind}`, needsRoot, () => {
    const open = new AsyncDisposableStack();
    let office: Office;
    let alice: Party;
    let bob: Party;
    before(async () => {
      office = open.use(await Office.open({ args: ['--media', kind] }));
      alice = open.use(await Party.open(office, 'alice', 'alice-host'));
      bob = open.use(await Party.open(office, 'bob', 'bob-host'));
      for (const socket of alice.sockets) socket.each(({ bytes }) => bob.stream.take(bytes));
      for (const socket of bob.sockets) socket.each(({ bytes }) => alice.stream.take(bytes));
    });
    after(() => open.disposeAsync());

    /** A call in which packets go both ways while it is changed again and again; `meanwhile` gives what ends it. */
    async function changed(
      t: TestContext,
      meanwhile?: () => Promise<() => Promise<unknown>>,
    ): Promise<readonly EndStream[]> {
      alice.begin();
      bob.begin();
      const answered = bob.desk.answer(async () => bob.describe());
      alice.call = await alice.desk.invite(bob.desk.uri, alice.describe());
      bob.call = await answered;
      alice.talk(alice.call.sdp);
      bob.talk(bob.call.sdp);
      await Promise.all([alice.stream.more(10), bob.stream.more(10)]);
      // Its media thread opens the ports, maybe some milliseconds after the answer that names them (docs/media.md).
      if (kind === 'dgram') for (const { stream } of [alice, bob]) stream.forgiveStart();
      const calmDown = await meanwhile?.();
      t.after(() => calmDown?.());
      for (let round = 0; round < rounds; round++) {
        for (const [name, change] of Object.entries(changes)) {
          for (const [one, other] of [
            [alice, bob],
            [bob, alice],
          ] as const) {
            alice.stream.scene = bob.stream.scene = `${name}, round ${round}`;
            await change(one, other);
            await Promise.all([alice.stream.more(8), bob.stream.more(8)]);
          }
        }
      }
      const fates = [await alice.stream.end(), await bob.stream.end()];
      const from = office.cloudsip.program.lines.length;
      await Promise.all([alice.call.bye(), bob.desk.ended()]);
      const { streams } = await office.cloudsip.logged('the media of a call ended', { from });
      const numbers = fates.map(({ sent, overtaken }) => `${sent} sent, ${overtaken.length} overtaken`);
      t.diagnostic(numbers.join('; '));
      for (const { lost, doubled } of fates) assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] });
      return streams as EndStream[];
    }
    const judge = (streams: readonly EndStream[]): void => {
      assert.equal(streams.length, 2);
      for (const { lost, strangers, inKernel = 0 } of streams) {
        assert.deepEqual([lost, strangers], [0, 0]);
        assert.equal(inKernel > 0, kind.startsWith('kernel'));
      }
    };

    test('no packet is lost or doubled, nor is said to be', async (t) => {
      judge(await changed(t));
    });

    test('nor while others want the processors', async (t) => {
      judge(
        await changed(t, async () => {
          const busy = Array.from({ length: 3 }, () =>
            office.lab.host('vm').spawn('sh', ['-c', 'while :; do :; done']),
          );
          return () => Promise.all(busy.map((program) => program.stop('SIGKILL')));
        }),
      );
    });

    test('nor while the neighbours’ addresses are forgotten', async (t) => {
      judge(
        await changed(t, async () => {
          const vm = office.lab.host('vm');
          const settings = ['ens5', 'ens6'].map(
            (name) => `net.ipv4.neigh.${name}.base_reachable_time_ms=100`,
          );
          await vm.run('sysctl', ['-qw', ...settings]);
          // With one that is still being asked for the kernel drops the packets that wait for it.
          const known = ['reachable', 'stale', 'delay', 'probe'].map((state) => `nud ${state}`).join(' ');
          const flush = vm.spawn('sh', ['-c', `while ip neigh flush ${known} && sleep 0.1; do :; done`]);
          return () => flush.stop('SIGKILL');
        }),
      );
    });
  });
}
