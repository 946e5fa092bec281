import { createHash } from 'node:crypto';
import { type Endpoint, formatEndpoint, portNumber, unbracket } from '../net/address.ts';
import type { RouteParams } from './record-route.ts';
import { sipHash } from './sip-hash.ts';

/**
 * What our Record-Route remembers of a dialog, signed, so that in-dialog requests can be relayed without state
 * and nobody can buy a relay with a Route header and a To tag of his own making. The flows are where caller and
 * callee are reached when a NAT makes their Contact useless.
 */
export interface DialogCookie {
  readonly callerFlow: Endpoint | undefined;
  readonly calleeFlow: Endpoint | undefined;
  /** Which of the times that this dialog passes us, from 0: each has media of its own. */
  readonly pass: number;
}

/** Longer ones of a dialog's names prove nothing: strangers can have us look at a signature in each message. */
const maxNames = 4000;

/** Who sent an in-dialog request, by the tag that the cookie was signed with. */
export type DialogSide = 'caller' | 'callee';

export class DialogCookies {
  readonly #key: Int32Array;

  /** `secret`: at least 16 random bytes that outlive a restart, as latin1 or hex text. */
  constructor(secret: string) {
    this.#key = new Int32Array(new Uint8Array(createHash('sha256').update(secret).digest()).buffer, 0, 4);
  }

  /** URI parameters for a Record-Route, with the leading semicolon. */
  params(callId: string, callerTag: string, cookie: DialogCookie): string {
    const flows = cookieText(cookie);
    return `;ck=${this.#sign(callId, callerTag, flows)}${flows}`;
  }

  /** The cookie of a Route that came back, and whose request it is; undefined where the signature is not ours. */
  verify(
    params: RouteParams,
    callId: string,
    fromTag: string,
    toTag: string,
  ): { cookie: DialogCookie; from: DialogSide } | undefined {
    const { signature } = params;
    if (signature === undefined || callId.length + fromTag.length + toTag.length > maxNames) return undefined;
    const callerFlow = readFlow(params.callerFlow);
    const calleeFlow = readFlow(params.calleeFlow);
    const pass = params.pass !== undefined && /^[1-9]\d?$/.test(params.pass) ? Number(params.pass) : 0;
    const cookie = callerFlow || calleeFlow || pass > 0 ? { callerFlow, calleeFlow, pass } : nothing;
    const flows = cookieText(cookie);
    if (signature === this.#sign(callId, fromTag, flows)) return { cookie, from: 'caller' };
    if (signature === this.#sign(callId, toTag, flows)) return { cookie, from: 'callee' };
    return undefined;
  }

  /** Proves that a text was ours; it is no cookie's, since no Call-ID begins with a line feed. */
  seal(text: string): string {
    return sipHash(this.#key, `\n${text}`);
  }

  #sign(callId: string, callerTag: string, flows: string): string {
    return sipHash(this.#key, `${callId}\n${callerTag}\n${flows}`);
  }
}

const nothing: DialogCookie = { callerFlow: undefined, calleeFlow: undefined, pass: 0 };

/** What is signed beside the dialog, as it stands in the URI. */
function cookieText({ callerFlow, calleeFlow, pass }: DialogCookie): string {
  return flowParam('cf', callerFlow) + flowParam('bf', calleeFlow) + (pass > 0 ? `;mp=${pass}` : '');
}

function flowParam(name: string, flow: Endpoint | undefined): string {
  // The zone of a link-local address is escaped, as whatever has a percent sign in a URI.
  return flow ? `;${name}=${formatEndpoint(flow).replace('%', '%25')}` : '';
}

function readFlow(text: string | undefined): Endpoint | undefined {
  if (text === undefined) return undefined;
  // The last colon, by hand: it is near the end, and the way into the search is longer.
  let colon = text.length - 1;
  while (colon >= 0 && text.charCodeAt(colon) !== 0x3a) colon--;
  const port = portNumber(text.slice(colon + 1));
  if (port === undefined) return undefined;
  return { address: unbracket(text.slice(0, Math.max(0, colon))).replace('%25', '%'), port };
}
