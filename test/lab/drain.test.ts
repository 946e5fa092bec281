import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BaresipPhone } from '../support/baresip.ts';
import { type CommandOptions, runCloudsip } from '../support/cloudsip.ts';
import { needsRoot } from '../support/privileged.ts';
import { requestText } from '../support/sip-text.ts';
import { call, hangUp, holdAndResume, Office, publicAddress, talk } from './office.ts';

const begins = 'draining: new requests are refused, calls in progress are served';
const drained = 'drained: nothing is under way any more';

/** The messages of the log in which the steps of a drain stand, in their order. */
const steps = ['ready', begins, drained, 'stopping', 'stopped'];

interface Desk {
  readonly office: Office;
  readonly alice: BaresipPhone;
  readonly bob: BaresipPhone;
  /** At home, and in no call: who calls while it drains. */
  readonly carol: BaresipPhone;
}

async function open(options: Parameters<typeof Office.open>[0] = {}): Promise<Desk> {
  const office = await Office.open(options);
  try {
    const alice = await office.phone('alice-host', { user: 'alice', toneHz: 440 });
    const bob = await office.phone('bob-host', { user: 'bob', toneHz: 880 });
    const carol = await office.phone('home-phone', { user: 'carol', toneHz: 1200 });
    return { office, alice, bob, carol };
  } catch (error) {
    await office[Symbol.asyncDispose]();
    throw error;
  }
}

/** What a new request from the internet is answered with. */
async function ask(office: Office, method: string): Promise<string> {
  await using socket = await office.lab.host('alice-host').openUdp();
  const { address, port } = socket;
  const text = requestText({
    method,
    uri: `sip:${publicAddress}`,
    via: `${address}:${port}`,
    callId: `${method}-${port}`,
    branch: `z9hG4bK${method}${port}`,
  });
  await socket.send(text, 5060, publicAddress);
  return (await socket.receive()).bytes.toString('latin1');
}

/** A call runs; what begins the drain is done; the call ends as it likes, nothing new begins, the agent ends. */
async function endsInPeace(
  { office, alice, bob, carol }: Desk,
  begin: () => Promise<unknown>,
): Promise<void> {
  const { cloudsip } = office;
  await call(alice, bob);
  assert.match(await ask(office, 'OPTIONS'), /^SIP\/2\.0 200 /);
  await begin();
  await cloudsip.logged(begins);
  for (const method of ['OPTIONS', 'INVITE', 'MESSAGE']) {
    const refused = await ask(office, method);
    assert.match(refused, /^SIP\/2\.0 503 /, method);
    assert.match(refused, /^Retry-After: \d+\r$/m);
  }
  assert.match(await ask(office, 'REGISTER'), /^SIP\/2\.0 401 /);
  await carol.dial('sip:bob@203.0.113.5');
  assert.match((await carol.closed()).param ?? '', /503/);
  await holdAndResume(alice, bob);
  await holdAndResume(bob, alice);
  await talk(alice, bob);
  assert.equal(cloudsip.program.exit, undefined);
  await hangUp(bob, alice);
  assert.deepEqual(await cloudsip.program.ended(10_000), { exitCode: 0, signal: null });
  const told = cloudsip.log.map(({ msg }) => msg).filter((msg) => steps.includes(msg));
  assert.deepEqual(told, steps);
}

describe('the agent drains before it ends', needsRoot, () => {
  const drain = (office: Office, options: CommandOptions = {}) =>
    runCloudsip(office.cloudsip.host, ['drain'], options);

  test("by 'cloudsip drain': it waits for the last call and tells how it went", async () => {
    const desk = await open();
    await using office = desk.office;
    let waiting: ReturnType<typeof drain> | undefined;
    await endsInPeace(desk, async () => {
      waiting = drain(office);
    });
    const { exitCode, stdout } = await waiting!;
    assert.equal(exitCode, 0);
    assert.match(stdout, /^draining: 1 call and 0 unanswered requests left, until \S+Z at the latest\n/);
    assert.match(stdout, /\ndrained: the agent ends\n$/);
    const late = await drain(office);
    assert.equal(late.exitCode, 1);
    assert.match(
      late.stderr,
      /^cloudsip: expected a running agent with the state directory \S+ and found none/,
    );
  });

  test('by SIGTERM, also where media is left to the telephones', async () => {
    const desk = await open({ args: ['--media', 'off'] });
    await using office = desk.office;
    await endsInPeace(desk, async () => office.cloudsip.program.signal('SIGTERM'));
  });

  test('and no longer than drain-timeout says', async () => {
    const { office, alice, bob } = await open({ args: ['--drain-timeout', '2s'] });
    await using _office = office;
    await call(alice, bob);
    assert.equal((await drain(office)).exitCode, 3);
    assert.deepEqual(await office.cloudsip.program.ended(10_000), { exitCode: 0, signal: null });
    const late = office.cloudsip.log.find(
      ({ msg }) => msg === 'draining took too long: what is left is cut off',
    );
    assert.equal(late?.['calls'], 1);
  });

  test('but not when it is told twice', async () => {
    const { office, alice, bob } = await open();
    await using _office = office;
    await call(alice, bob);
    office.cloudsip.program.signal('SIGTERM');
    await office.cloudsip.logged(begins);
    office.cloudsip.program.signal('SIGTERM');
    assert.deepEqual(await office.cloudsip.program.ended(5_000), { exitCode: 0, signal: null });
    assert.equal(
      office.cloudsip.log.some(({ msg }) => msg === drained),
      false,
    );
  });
});
