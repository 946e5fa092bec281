import type { Packet } from '../../support/capture-decoder.ts';
import { namedDescription } from '../../support/named-description.ts';
import { publicAddress6 } from '../dual-stack-cloud.ts';
import { publicAddress } from '../office.ts';

/** An offer and its answer, each as it was written and as it was read at the other end. */
export interface Exchange {
  readonly byCallee: boolean;
  readonly offer: string;
  readonly offered: string;
  readonly answer: string;
  readonly answered: string;
}

interface Message {
  readonly text: string;
  readonly isInvite: boolean;
  /** To the agent. */
  readonly isSent: boolean;
  /** The same at both ends: the agent changes none of it. */
  readonly transaction: string;
}

/** What passed between the two ends, each seen on its own wire. */
export function exchangesOf(callerWire: readonly Packet[], calleeWire: readonly Packet[]): Exchange[] {
  const [caller, callee] = [described(callerWire), described(calleeWire)];
  const bodyIn = (wire: readonly Message[], { transaction }: Message, invite: boolean): string =>
    bodyOf(
      wire.find((message) => message.transaction === transaction && message.isInvite === invite)?.text ?? '',
    );
  const offers = callee.filter(
    ({ isInvite, transaction }, index) =>
      isInvite && callee.findIndex((other) => other.isInvite && other.transaction === transaction) === index,
  );
  return offers
    .map((offer) => {
      const [offerer, answerer] = offer.isSent ? [callee, caller] : [caller, callee];
      return {
        byCallee: offer.isSent,
        offer: bodyIn(offerer, offer, true),
        offered: bodyIn(answerer, offer, true),
        answer: bodyIn(answerer, offer, false),
        answered: bodyIn(offerer, offer, false),
      };
    })
    .filter(({ answer }) => answer !== '');
}

/** INVITEs and their answers with a session description. */
function described(packets: readonly Packet[]): Message[] {
  return packets
    .map(({ payload, destination }) => {
      const text = payload.toString('latin1');
      const header = (name: string): string =>
        new RegExp(`^${name}: *(.*?)\\r?$`, 'im').exec(text)?.[1] ?? '';
      return {
        text,
        isInvite: text.startsWith('INVITE '),
        isSent: [publicAddress, publicAddress6].includes(destination.address),
        transaction: ['Call-ID', 'CSeq', 'From'].map(header).join(' '),
      };
    })
    .filter(({ text }) => /^(?:INVITE |SIP\/2\.0 2)/.test(text) && bodyOf(text).startsWith('v=0'));
}

function bodyOf(text: string): string {
  const end = text.indexOf('\r\n\r\n');
  return end < 0 ? '' : text.slice(end + 4);
}

/** As it stands in the corpus. */
export function corpusText(titles: readonly string[], exchanges: readonly Exchange[]): string {
  const written = (text: string): string => text.replaceAll('\r\n', '\n');
  // The corpus knows the agent's IPv6 address by another name.
  const read = (text: string, ufrags: string[]): string =>
    namedDescription(text, ufrags).replaceAll(`IP6 ${publicAddress6}`, 'IP6 2001:db8::5');
  const [toCaller, toCallee]: [string[], string[]] = [[], []];
  return exchanges
    .map(({ byCallee, offer, offered, answer, answered }, index) => {
      const head = `${titles[index] ?? '?'}\n${byCallee ? 'from: callee\n' : ''}`;
      const [toOfferer, toAnswerer] = byCallee ? [toCallee, toCaller] : [toCaller, toCallee];
      const blocks = [written(offer), read(offered, toAnswerer), written(answer), read(answered, toOfferer)];
      return [head, ...blocks].join('--------\n');
    })
    .join('--------\n');
}
