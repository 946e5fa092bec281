import type { Endpoint } from '../net/address.ts';
import type { Listener } from '../net/listener.ts';
import type { SipUri } from '../sip/message/uri.ts';

/** One place to forward a request to (RFC 3261 16.5). */
export interface Target {
  readonly requestUri: string;
  /** The same in its parts. */
  readonly uri: SipUri;
  /** Route values to put on for this target alone, the Path of a binding (RFC 3327 5.2). */
  readonly routes: readonly string[];
  /** Where it is really reached, when a NAT makes the URI useless. */
  readonly flow: Endpoint | undefined;
  /** The flow goes before Route and Request-URI: what comes in a dialog is not to lead anywhere else. */
  readonly pinned?: boolean;
  /** A user of ours: his place is remembered for the dialog, so that nobody has to be believed about it. */
  readonly ours?: boolean;
  /** The listener that it has to leave by: where the binding was made, or where the Route says. */
  readonly listener: Listener | undefined;
}
