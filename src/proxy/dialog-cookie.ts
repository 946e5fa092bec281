import { hash } from 'node:crypto';
import { type Endpoint, formatEndpoint, isPort, unbracket } from '../net/address.ts';
import type { RouteParams } from './record-route.ts';

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

/** Who sent an in-dialog request, by the tag that the cookie was signed with. */
export type DialogSide = 'caller' | 'callee';

interface Signed {
  readonly callerTag: string;
  readonly flows: string;
  readonly signature: string;
}

export class DialogCookies {
  readonly #secret: string;
  /** Signatures made lately: the ACK and mostly the BYE of a call come while its own is still here. */
  #recent = new Map<string, Signed>();
  #older = new Map<string, Signed>();

  /** `secret`: at least 16 random bytes that outlive a restart, as latin1 or hex text. */
  constructor(secret: string) {
    this.#secret = secret;
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
    if (signature === undefined) return undefined;
    const callerFlow = readFlow(params.callerFlow);
    const calleeFlow = readFlow(params.calleeFlow);
    const pass = /^[1-9]\d?$/.test(params.pass ?? '') ? Number(params.pass) : 0;
    const cookie = callerFlow || calleeFlow || pass > 0 ? { callerFlow, calleeFlow, pass } : nothing;
    const flows = cookieText(cookie);
    if (signature === this.#sign(callId, fromTag, flows)) return { cookie, from: 'caller' };
    if (signature === this.#sign(callId, toTag, flows)) return { cookie, from: 'callee' };
    return undefined;
  }

  #sign(callId: string, callerTag: string, flows: string): string {
    const known = this.#recent.get(callId) ?? this.#older.get(callId);
    if (known && known.callerTag === callerTag && known.flows === flows) return known.signature;
    // 72 bits, truncated, so that a hash over a secret prefix cannot be extended.
    const signature = hash('sha256', `${this.#secret}\n${callId}\n${callerTag}\n${flows}`, 'base64url').slice(
      0,
      12,
    );
    // Only what we made ourselves comes first for its Call-ID: a stranger's guess takes nobody's place.
    if (!known && callId.length <= longestRecent && callerTag.length <= longestRecent) {
      if (this.#recent.size >= mostRecent) {
        this.#older = this.#recent;
        this.#recent = new Map();
      }
      this.#recent.set(callId, { callerTag, flows, signature });
    }
    return signature;
  }
}

const nothing: DialogCookie = { callerFlow: undefined, calleeFlow: undefined, pass: 0 };

/** Two generations of so many are kept, some 2 MB at most with common Call-IDs. */
const mostRecent = 4096;
/** A longer one is not worth the memory, and only an attacker writes it. */
const longestRecent = 128;

/** What is signed beside the dialog, as it stands in the URI. */
function cookieText({ callerFlow, calleeFlow, pass }: DialogCookie): string {
  return flowParam('cf', callerFlow) + flowParam('bf', calleeFlow) + (pass > 0 ? `;mp=${pass}` : '');
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
