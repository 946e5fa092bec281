import type { Identity } from '../identity/identity.ts';
import type { Binding } from '../location/binding.ts';
import type { Listener } from '../net/listener.ts';
import { parseSipUri } from '../sip/message/uri.ts';
import { flowOf } from './nat.ts';
import type { Target } from './target.ts';

/** Contacts of one address of record that are rung for one call at most. */
const maxTargets = 10;

/**
 * The target set of a registered user, grouped by q: the highest first, those of equal q together (RFC 3261
 * 16.6). Each leaves by the listener that its REGISTER came in by, since the NAT in front of it knows no other.
 */
export function targetsOf(
  bindings: readonly Binding[],
  identity: Identity,
  listenerByKey: (key: string) => Listener | undefined,
): Target[][] {
  const groups: Target[][] = [];
  let lastQ: number | undefined;
  for (const binding of bindings.slice(0, maxTargets)) {
    const contact = parseSipUri(binding.contact);
    if (!contact) continue;
    const flow =
      binding.received && flowOf(contact, binding.received, (address) => identity.isLocal(address));
    // A Contact that is this agent calls its own users anew: ten of them, each a bit different, would fork into
    // ten times ten and so on, which no loop detection sees (RFC 5393 3).
    if (!flow && identity.isSelf(contact.host, contact.port)) continue;
    const { headers } = contact;
    const target: Target = {
      // Headers of a Contact never get into a Request-URI (RFC 3261 16.6 step 2, RFC 4475 3.3.14).
      requestUri: headers === '' ? binding.contact : binding.contact.slice(0, -headers.length),
      uri: contact,
      routes: binding.path,
      flow,
      listener: listenerByKey(binding.listener),
      ours: true,
    };
    if (binding.q === lastQ) groups[groups.length - 1]!.push(target);
    else groups.push([target]);
    lastQ = binding.q;
  }
  return groups;
}
