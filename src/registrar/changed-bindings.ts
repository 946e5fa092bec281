import type { Binding } from '../location/binding.ts';
import type { Endpoint } from '../net/address.ts';
import { parseSipUri, type SipUri } from '../sip/message/uri.ts';
import { sameSipUri } from '../sip/message/uri-equality.ts';
import type { RequestedContact } from './requested-contacts.ts';

/** What all bindings of one REGISTER have in common. */
export interface RegisterFacts {
  readonly aor: string;
  readonly callId: string;
  readonly cseq: number;
  readonly received: Endpoint;
  readonly listener: string;
  readonly path: readonly string[];
  readonly userAgent: string;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** Seconds; longer wishes are cut to it. */
  readonly maxExpires: number;
}

/**
 * What the address of record has after this REGISTER (RFC 3261 10.3 step 7), new bindings first. Undefined where
 * a binding was set by a later request of the same Call-ID: then nothing may change.
 */
export function changedBindings(
  held: readonly Binding[],
  contacts: readonly RequestedContact[],
  facts: RegisterFacts,
): Binding[] | undefined {
  let kept = held.map((binding) => ({ binding, uri: parseSipUri(binding.contact) }));
  let fresh: typeof kept = [];
  for (const contact of contacts) {
    const isOther = ({ binding, uri }: { binding: Binding; uri: SipUri | undefined }): boolean =>
      binding.contact !== contact.uri && (uri === undefined || !sameSipUri(uri, contact.parsed));
    for (const each of kept) if (!isOther(each) && isLater(each.binding, facts)) return undefined;
    kept = kept.filter(isOther);
    fresh = fresh.filter(isOther);
    if (contact.expires > 0) fresh.push({ binding: bindingOf(contact, facts), uri: contact.parsed });
  }
  return [...fresh, ...kept].map(({ binding }) => binding);
}

/**
 * Whether a binding was set by a later request than this one. RFC 3261 10.3 wants a higher CSeq in each request;
 * an equal one is let pass as the same request again, whose 200 was lost with a transaction that a restart ended.
 */
export function isLater(binding: Binding, facts: { callId: string; cseq: number }): boolean {
  return binding.callId === facts.callId && binding.cseq > facts.cseq;
}

function bindingOf(contact: RequestedContact, facts: RegisterFacts): Binding {
  return {
    aor: detached(facts.aor),
    contact: detached(contact.uri),
    params: detached(contact.params),
    q: contact.q,
    expiresAt: facts.now + Math.min(contact.expires, facts.maxExpires) * 1000,
    callId: detached(facts.callId),
    cseq: facts.cseq,
    received: facts.received,
    listener: facts.listener,
    path: facts.path.map(detached),
    userAgent: detached(facts.userAgent),
  };
}

/** A copy of wire text (latin1) of its own: a slice would keep the whole message in memory as long as the binding. */
function detached(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
