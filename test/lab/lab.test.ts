import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, watch } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { needsRoot } from '../support/privileged.ts';
import { Program } from '../support/process.ts';
import { buildLab } from './build-lab.ts';
import { cloud } from './cloud.ts';
import { type Lab, listNamespaces } from './lab.ts';
import type { LabSocket } from './lab-socket.ts';

describe('the cloud in network namespaces', needsRoot, () => {
  let lab: Lab;
  before(async () => {
    lab = await buildLab(cloud);
  });
  after(() => lab.close());

  const publicByPrivate = {
    '10.0.0.15': '203.0.113.5',
    '10.0.0.16': '203.0.113.6',
    '10.0.1.15': '203.0.113.7',
  };

  for (const [inner, outer] of Object.entries(publicByPrivate)) {
    test(`${inner} is ${outer} to the internet, with its port, and answers come back`, async () => {
      await using vm = await lab.host('vm').openUdp(inner);
      await using alice = await lab.host('alice-host').openUdp();
      await vm.send('out', alice.port, alice.address);
      const seen = await alice.receive();
      assert.deepEqual(seen.source, { address: outer, port: vm.port });
      await alice.send('back', vm.port, outer);
      assert.deepEqual((await vm.receive()).source, { address: alice.address, port: alice.port });
    });

    test(`the internet reaches ${inner} by ${outer} unasked`, async () => {
      await using vm = await lab.host('vm').openUdp(inner);
      await using bob = await lab.host('bob-host').openUdp();
      await bob.send('first', vm.port, outer);
      const seen = await vm.receive();
      assert.equal(seen.bytes.toString(), 'first');
      assert.deepEqual(seen.source, { address: bob.address, port: bob.port });
    });

    test(`answers from ${inner} leave by the card that holds it`, async () => {
      const [own, other] = inner === '10.0.1.15' ? ['ens6', 'ens5'] : ['ens5', 'ens6'];
      await using vm = await lab.host('vm').openUdp(inner);
      await using alice = await lab.host('alice-host').openUdp();
      await using ownCapture = await lab.capture('vm', own, `udp src port ${vm.port}`);
      await using otherCapture = await lab.capture('vm', other, `udp src port ${vm.port}`);
      await vm.send('which way', alice.port, alice.address);
      await alice.receive();
      assert.equal((await ownCapture.stop()).length, 1);
      assert.deepEqual(await otherCapture.stop(), []);
    });
  }

  test('a datagram of several fragments crosses the translation whole', async () => {
    await using vm = await lab.host('vm').openUdp('10.0.0.15');
    await using alice = await lab.host('alice-host').openUdp();
    const large = Buffer.from(Array.from({ length: 4000 }, (_, index) => index % 251));
    await using capture = await lab.capture('alice-host', 'eth0', 'host 203.0.113.5');
    await alice.send(large, vm.port, '203.0.113.5');
    assert.deepEqual((await vm.receive()).bytes, large);
    await vm.send(large, alice.port, alice.address);
    assert.deepEqual((await alice.receive()).bytes, large);
    const packets = await capture.stop();
    assert.deepEqual(
      packets.map((packet) => packet.fragments),
      [3, 3],
    );
    assert.ok(packets.every((packet) => packet.payload.equals(large)));
  });

  test('from inside, a public address leads nowhere', async () => {
    await using vm = await lab.host('vm').openUdp('10.0.0.15');
    await using neighbour = await lab.host('neighbour').openUdp();
    await neighbour.send('hairpin', vm.port, '203.0.113.5');
    await vm.send('hairpin to myself', vm.port, '203.0.113.5');
    await provePassage(lab, vm);
    assert.deepEqual(vm.pending, []);
  });

  test('neighbours reach the machine directly, in its subnet and in another', async () => {
    await using vm = await lab.host('vm').openUdp('10.0.0.15');
    vm.echo();
    for (const name of ['neighbour', 'neighbour2']) {
      await using neighbour = await lab.host(name).openUdp();
      await neighbour.send(name, vm.port, vm.address);
      const answer = await neighbour.receive();
      assert.deepEqual([answer.bytes.toString(), answer.source.address], [name, '10.0.0.15']);
    }
  });

  test('a neighbour without a public address does not get out', async () => {
    await using neighbour = await lab.host('neighbour').openUdp();
    await using alice = await lab.host('alice-host').openUdp();
    await neighbour.send('out', alice.port, alice.address);
    await provePassage(lab, alice, 'vm');
    assert.deepEqual(alice.pending, []);
  });

  test('the metadata address answers the machine and nobody else', async () => {
    await using service = await lab.host('router').openUdp('169.254.169.254');
    await using neighbour = await lab.host('neighbour').openUdp();
    await using vm = await lab.host('vm').openUdp('10.0.0.15');
    await neighbour.send('who am I', service.port, service.address);
    await vm.send('who am I', service.port, service.address);
    assert.equal((await service.receive()).source.address, '10.0.0.15');
    assert.deepEqual(service.pending, []);
  });

  test('the home router lends its address and lets only answers in', async () => {
    await using phone = await lab.host('home-phone').openUdp();
    await using alice = await lab.host('alice-host').openUdp();
    await using bob = await lab.host('bob-host').openUdp();
    await phone.send('register', alice.port, alice.address);
    const { source } = await alice.receive();
    assert.equal(source.address, '198.51.100.30');
    await bob.send('stranger', source.port, source.address);
    await alice.send('answer', source.port, source.address);
    assert.equal((await phone.receive()).bytes.toString(), 'answer');
    assert.deepEqual(phone.pending, []);
  });

  test('a public address can move, vanish and come back while a flow runs', async () => {
    await using vm = await lab.host('vm').openUdp('10.0.0.15');
    await using alice = await lab.host('alice-host').openUdp();
    const seenFrom = async () => {
      await vm.send('who am I', alice.port, alice.address);
      return (await alice.receive()).source.address;
    };
    assert.equal(await seenFrom(), '203.0.113.5');
    await lab.setPublicAddress('10.0.0.15', '203.0.113.99');
    assert.equal(await seenFrom(), '203.0.113.99');
    await alice.send('to the old one', vm.port, '203.0.113.5');
    await alice.send('to the new one', vm.port, '203.0.113.99');
    assert.equal((await vm.receive()).bytes.toString(), 'to the new one');
    await lab.setPublicAddress('10.0.0.16', '203.0.113.99');
    assert.equal(lab.publicAddress('10.0.0.15'), undefined);
    await alice.send('to the moved one', vm.port, '203.0.113.99');
    await provePassage(lab, vm, 'neighbour');
    assert.deepEqual(vm.pending, []);
    await lab.setPublicAddress('10.0.0.16', '203.0.113.6');
    await lab.setPublicAddress('10.0.0.15', '203.0.113.5');
    assert.equal(await seenFrom(), '203.0.113.5');
  });

  test('a capture holds the exact bytes, with right checksums, from its start to its end', async () => {
    await using vm = await lab.host('vm').openUdp('10.0.0.16');
    await using alice = await lab.host('alice-host').openUdp();
    const every = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
    await using onVm = await lab.capture('vm', 'ens5', `udp port ${vm.port}`);
    await using onAlice = await lab.capture('alice-host', 'eth0', `udp port ${vm.port}`);
    const sent: Buffer[] = [];
    for (let length = 0; length <= 256; length++) {
      sent.push(every.subarray(0, length));
      await vm.send(every.subarray(0, length), alice.port, alice.address);
      await alice.receive();
    }
    const [inner, outer] = [await onVm.stop(), await onAlice.stop()];
    assert.deepEqual(
      inner.map(({ payload }) => payload),
      sent,
    );
    assert.deepEqual(
      outer.map(({ payload }) => payload),
      sent,
    );
    assert.ok([...inner, ...outer].every((packet) => packet.checksumsRight));
    assert.deepEqual(inner[0]?.source, { address: '10.0.0.16', port: vm.port });
    assert.deepEqual(outer[0]?.source, { address: '203.0.113.6', port: vm.port });
  });

  test('a program inside has the pid that was returned, the right network, and can be stopped', async () => {
    const program = lab
      .host('neighbour')
      .spawn('sh', ['-c', 'echo "$$ $(ip -br address show ens0)"; exec tail -f /dev/null']);
    assert.match(await program.line(/ens0/), new RegExp(`^${program.pid} ens0\\S+ +UP +10\\.0\\.0\\.77/24`));
    assert.deepEqual(await program.stop(), { exitCode: null, signal: 'SIGTERM' });
    await assert.rejects(program.line(/never printed/), /ended \(SIGTERM\)/);
  });
});

describe('the life of a laboratory', needsRoot, () => {
  test('two stand side by side with the same addresses and do not hear each other', async () => {
    const [one, two] = await Promise.all([buildLab(cloud), buildLab(cloud)]);
    assert.notEqual(one.name, two.name);
    {
      await using first = await one.host('vm').openUdp('10.0.0.15', 5060);
      await using second = await two.host('vm').openUdp('10.0.0.15', 5060);
      for (const [lab, socket] of [
        [one, first],
        [two, second],
      ] as const) {
        await using alice = await lab.host('alice-host').openUdp();
        await alice.send(lab.name, 5060, '203.0.113.5');
        assert.equal((await socket.receive()).bytes.toString(), lab.name);
      }
      assert.deepEqual([first.pending, second.pending], [[], []]);
    }
    await Promise.all([one.close(), two.close()]);
    const left = (await listNamespaces()).filter(
      (name) => name.startsWith(one.name) || name.startsWith(two.name),
    );
    assert.deepEqual(left, []);
  });

  test('closing ends what runs inside', async () => {
    const lab = await buildLab(cloud);
    const stubborn = lab.host('vm').spawn('sh', ['-c', 'trap "" TERM; echo ready; tail -f /dev/null']);
    await stubborn.line(/ready/);
    await lab.close();
    assert.deepEqual(await stubborn.exited, { exitCode: null, signal: 'SIGKILL' });
    assert.equal(existsSync(lab.directory), false);
  });

  test('a topology that cannot be built leaves nothing behind', async () => {
    const broken = {
      hosts: { odd: { interfaces: [{ name: 'e0', segment: 's', addresses: ['10.0.0.300/24'] }] } },
    };
    const before = (await listNamespaces()).filter((name) => name.startsWith(`cs${process.pid}-`));
    await assert.rejects(buildLab(broken), { code: 'ERR_TEST_PROGRAM' });
    const after = (await listNamespaces()).filter((name) => name.startsWith(`cs${process.pid}-`));
    assert.deepEqual(after, before);
  });

  test('it is gone after the process that built it was killed', async () => {
    const holder = new Program(process.execPath, [fileURLToPath(new URL('lab-holder.ts', import.meta.url))]);
    const { name, directory, pid } = JSON.parse(await holder.line(/^\{/)) as {
      name: string;
      directory: string;
      pid: number;
    };
    assert.equal((await listNamespaces()).filter((found) => found.startsWith(name)).length, 9);
    await holder.stop('SIGKILL');
    await namespacesAreGone(name);
    assert.ok(processIsGone(pid), `process ${pid} still runs`);
    assert.equal(existsSync(directory), false);
  });
});

/** Lets a datagram travel to the socket and waits for it: what was sent before it has arrived or never will. */
async function provePassage(lab: Lab, to: LabSocket, from = 'neighbour'): Promise<void> {
  await using witness = await lab.host(from).openUdp();
  await witness.send('witness', to.port, to.address);
  assert.equal((await to.receive()).bytes.toString(), 'witness');
}

/** The namespaces are the last to go. */
async function namespacesAreGone(prefix: string): Promise<void> {
  const gone = () => !readdirSync('/run/netns').some((name) => name.startsWith(prefix));
  const { promise, resolve } = Promise.withResolvers<void>();
  const watcher = watch('/run/netns', () => {
    if (gone()) resolve();
  });
  if (!gone()) await promise;
  watcher.close();
}

/** A process that nobody has reaped yet is gone too. */
function processIsGone(pid: number): boolean {
  if (!existsSync(`/proc/${pid}`)) return true;
  return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}
