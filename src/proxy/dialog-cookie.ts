import { hash } from 'node:crypto';
import { type Endpoint, formatEndpoint, isPort, unbracket } from '../net/address.ts';
import { paramValue } from '../sip/message/params.ts';

/**
 * What our Record-Route remembers of a dialog, signed, so that in-dialog requests can be relayed without state
 * and nobody can buy a relay with a Route header and a To tag of his own making. The flows are where caller and
 * callee are reached when a NAT makes their Contact useless.
 */
export interface DialogCookie {
  readonly callerFlow: Endpoint | undefined;
  readonly calleeFlow: Endpoint | undefined;
}

/** Who sent an in-dialog request, by the tag that the cookie was signed with. */
export type DialogSide = 'caller' | 'callee';

export class DialogCookies {
  readonly #secret: string;

  /** `secret`: at least 16 random bytes that outlive a restart, as latin1 or hex text. */
  constructor(secret: string) {
    this.#secret = secret;
  }

  /** URI parameters for a Record-Route, with the leading semicolon. */
  params(callId: string, callerTag: string, cookie: DialogCookie): string {
    const flows = flowParam('cf', cookie.callerFlow) + flowParam('bf', cookie.calleeFlow);
    return `;ck=${this.#sign(callId, callerTag, flows)}${flows}`;
  }

  /** The cookie of a Route that came back, and whose request it is; undefined where the signature is not ours. */
  verify(
    params: string,
    callId: string,
    fromTag: string,
    toTag: string,
  ): { cookie: DialogCookie; from: DialogSide } | undefined {
    const signature = paramValue(params, 'ck');
    if (signature === undefined) return undefined;
    const callerFlow = readFlow(paramValue(params, 'cf'));
    const calleeFlow = readFlow(paramValue(params, 'bf'));
    const flows = flowParam('cf', callerFlow) + flowParam('bf', calleeFlow);
    const cookie = { callerFlow, calleeFlow };
    if (signature === this.#sign(callId, fromTag, flows)) return { cookie, from: 'caller' };
    if (signature === this.#sign(callId, toTag, flows)) return { cookie, from: 'callee' };
    return undefined;
  }

  // 72 bits, truncated, so that a hash over a secret prefix cannot be extended.
  #sign(callId: string, callerTag: string, flows: string): string {
    return hash('sha256', `${this.#secret}\n${callId}\n${callerTag}\n${flows}`, 'base64url').slice(0, 12);
  }
}

function flowParam(name: string, flow: Endpoint | undefined): string {
  return flow ? `;${name}=${formatEndpoint(flow)}` : '';
}

function readFlow(text: string | undefined): Endpoint | undefined {
  if (text === undefined) return undefined;
  const colon = text.lastIndexOf(':');
  const port = text.slice(colon + 1);
  return isPort(port) ? { address: unbracket(text.slice(0, colon)), port: Number(port) } : undefined;
}
