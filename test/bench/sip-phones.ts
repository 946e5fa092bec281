/**
 * The telephones of `together`, in the network where they live, driven by lines on standard input:
 * sip-phones.ts SERVER_ADDRESS CALLER_ADDRESS CALLEE_ADDRESS PASSWORD
 *
 *   stand COUNT       sets up so many calls, and says which ports the relay has for them
 *   load RATE CALLS   has sipp make so many calls, and says what became of them
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { CONTACT, RECORD_ROUTE } from '../../src/sip/message/header-id.ts';
import { type Message, parseMessage } from '../../src/sip/message/message.ts';
import { portsOf, sdp } from '../media/support.ts';
import { requestText, responseText } from '../support/sip-text.ts';
import { runCalls } from './calls.ts';
import { bindUdp, freeEndpoint } from './loopback.ts';
import { calleeAddress, callerAddress, firstPhonePort } from './media-network.ts';
import { register } from './register.ts';
import { callee, standing } from './server.ts';

const [address = '', callerHost = '', calleeHost = '', password = ''] = process.argv.slice(2);
const server = { address, port: 5060 };
const answerMs = 5_000;

/** Sets up calls one after the other, the media of each at the addresses of the program that plays the phones. */
async function stand(count: number): Promise<[number, number][]> {
  const contact = await freeEndpoint(calleeHost);
  await register({ server, contact, user: standing, password });
  const caller = await bindUdp({ address: callerHost, port: 0 });
  const called = await bindUdp(contact);
  const [callerPlace, calledPlace] = [caller, called].map((socket) => {
    const { address: host, port } = socket.address();
    return `${host}:${port}`;
  });
  /** By number of the call: what the callee was offered. */
  const offered: number[] = [];
  called.on('message', (bytes) => {
    const message = parseMessage(bytes.toString('latin1'));
    if (message?.method !== 'INVITE') return;
    const call = Number.parseInt(message.callId, 10);
    offered[call] = portsOf(message.body)[0]!;
    const body = sdp(calleeAddress, firstPhonePort + 2 * call);
    const answer = responseText(message.text, { status: 200, contact: `<sip:${calledPlace}>`, body });
    called.send(answer, server.port, server.address);
  });
  const request = (call: number, method: string, uri: string, answer?: Message): string =>
    requestText({
      ...{ method, uri, via: callerPlace!, branch: `z9hG4bK${method}${call}`, callId: `${call}@standing` },
      from: `<sip:caller@${callerHost}>;tag=caller-${call}`,
      to: `<sip:${standing}@${server.address}>${answer ? ';tag=callee' : ''}`,
      contact: `<sip:caller@${callerPlace}>`,
      headers: answer
        ? answer
            .values(RECORD_ROUTE)
            .flatMap((line) => line.split(/,\s*/))
            .reverse()
            .map((route) => `Route: ${route}`)
        : [],
      body: answer ? '' : sdp(callerAddress, firstPhonePort + 2 * call),
    });
  const ports: [number, number][] = [];
  for (let call = 0; call < count; call++) {
    caller.send(request(call, 'INVITE', `sip:${standing}@${server.address}`), server.port, server.address);
    let answer: Message | undefined;
    while (!(answer && answer.status >= 200)) {
      const [bytes] = (await once(caller, 'message', { signal: AbortSignal.timeout(answerMs) })) as [Buffer];
      const message = parseMessage(bytes.toString('latin1'));
      if (message?.callId === `${call}@standing`) answer = message;
    }
    if (answer.status !== 200) throw new Error(`expected 200 to INVITE and got:\n${answer.text}`);
    const target = answer.value(CONTACT)!.replace(/^<|>$/g, '');
    caller.send(request(call, 'ACK', target, answer), server.port, server.address);
    ports.push([portsOf(answer.body)[0]!, offered[call]!]);
  }
  // What comes late is a second answer to nobody.
  caller.close();
  called.close();
  return ports;
}

const contact = await freeEndpoint(calleeHost);
await register({ server, contact, user: callee, password });
for await (const line of createInterface({ input: process.stdin })) {
  const [word, ...numbers] = line.split(' ');
  const [first = 0, calls = 0] = numbers.map(Number);
  const answer =
    word === 'stand'
      ? await stand(first)
      : await runCalls({ server, callee: contact, callerAddress: callerHost, callsPerSecond: first, calls });
  console.log(JSON.stringify({ answer }));
}
