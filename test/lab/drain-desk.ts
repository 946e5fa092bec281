import assert from 'node:assert/strict';
import type { BaresipPhone } from '../support/baresip.ts';
import { requestText } from '../support/sip-text.ts';
import { call, hangUp, holdAndResume, Office, type OfficeOptions, publicAddress, talk } from './office.ts';

export const begins = 'draining: new requests are refused, calls in progress are served';
export const drained = 'drained: nothing is under way any more';

/** The messages of the log in which the steps of a drain stand, in their order. */
const steps = ['ready', begins, drained, 'stopping', 'stopped'];

/** An office with three telephones, in which drains are tried. */
export interface Desk {
  readonly office: Office;
  readonly alice: BaresipPhone;
  readonly bob: BaresipPhone;
  /** At home, and in no call: who calls while it drains. */
  readonly carol: BaresipPhone;
}

export async function openDesk(options: OfficeOptions = {}): Promise<Desk> {
  const office = await Office.open(options);
  try {
    const [alice, bob, carol] = await Promise.all([
      office.phone('alice-host', { user: 'alice', toneHz: 440 }),
      office.phone('bob-host', { user: 'bob', toneHz: 880 }),
      office.phone('home-phone', { user: 'carol', toneHz: 1200 }),
    ]);
    return { office, alice, bob, carol };
  } catch (error) {
    await office[Symbol.asyncDispose]();
    throw error;
  }
}

/** What a new request from the internet is answered with. */
export async function ask(office: Office, method: string): Promise<string> {
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
export async function endsInPeace(
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
