import { after, before, describe, test } from 'node:test';
import { relayAddress } from '../media/support.ts';
import { AgentHarness, freePort, TestCloud } from '../support/agent-harness.ts';
import { LoopbackPhone } from '../support/loopback-phone.ts';
import { corpusCalls, makeCorpusCall } from '../support/sdp-corpus.ts';

describe('offers and answers through the running agent', () => {
  let harness: AgentHarness;
  /** By family: what calls, and what registers. */
  let callers: readonly LoopbackPhone[] = [];
  let callees: readonly LoopbackPhone[] = [];
  let users: readonly string[] = [];
  let port = 0;
  before(async () => {
    harness = await AgentHarness.make();
    port = await freePort();
    const cloud = new TestCloud({ [relayAddress]: '203.0.113.5', '::1': '2001:db8::5' });
    const listen = ['--listen', `udp:${relayAddress}:${port}`, '--listen', `udp:[::1]:${port}`];
    const agent = await harness.start(cloud, ...listen, '--media', 'koffi');
    const open = (): Promise<LoopbackPhone[]> =>
      Promise.all([relayAddress, '::1'].map((address) => LoopbackPhone.open({ address, port })));
    [callers, callees] = [await open(), await open()];
    for (const [at, phone] of callees.entries()) await phone.register(agent.newAccounts[at]!);
    users = agent.newAccounts.map(({ name }) => name);
  });
  after(async () => {
    for (const phone of [...callers, ...callees]) await phone[Symbol.asyncDispose]();
    await harness[Symbol.asyncDispose]();
  });

  for (const corpusCall of corpusCalls) {
    test(`${corpusCall.file}: ${corpusCall.title}`, async () => {
      const family = (place: string): number => (place.startsWith('[') ? 1 : 0);
      const [from, to] = [family(corpusCall.caller), family(corpusCall.callee)];
      const [caller, callee] = [callers[from]!, callees[to]!];
      await makeCorpusCall(corpusCall, {
        caller: caller.place,
        callee: callee.place,
        uri: `sip:${users[to]}@${from === 1 ? '[::1]' : relayAddress}:${port}`,
        address: relayAddress,
        send: (text, byCallee) => (byCallee ? callee : caller).send(text),
        next: (atCallee, kind) => {
          const phone = atCallee ? callee : caller;
          return phone.next((message) => (kind === 'request' ? message.isRequest : message.status >= 200));
        },
      });
    });
  }
});
