import { parseInteger, splitList } from '../sip/message/grammar.ts';
import { CONTACT, EXPIRES } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import { parseNameAddr } from '../sip/message/name-addr.ts';
import { paramValue, withoutParam } from '../sip/message/params.ts';
import { parseSipUri, type SipUri, uriScheme } from '../sip/message/uri.ts';

/** What a REGISTER asks for (RFC 3261 10.2). */
export type ContactRequest =
  /** No Contact: only the current bindings are asked for. */
  | { readonly kind: 'query' }
  /** `Contact: *` with `Expires: 0`. */
  | { readonly kind: 'remove-all' }
  | { readonly kind: 'update'; readonly contacts: readonly RequestedContact[] }
  /** Answered with 400 and this reason phrase. */
  | { readonly kind: 'malformed'; readonly reason: string };

export interface RequestedContact {
  readonly uri: string;
  readonly parsed: SipUri;
  /** Without `expires`. */
  readonly params: string;
  /** Thousandths, 0 to 1000. */
  readonly q: number;
  /** Seconds as asked for; zero removes. */
  readonly expires: number;
}

/** What an absent or malformed expiry stands for, in seconds (RFC 3261 10.2.1.1 and 20.19). */
export const defaultExpires = 3600;

/** Bounds on one contact's URI and its parameters, so that ten of them fit into one datagram's answer. */
const longestUri = 1024;
const longestParams = 1024;

/** `mostContacts` bounds how many are looked at. */
export function requestedContacts(request: Message, mostContacts: number): ContactRequest {
  const values: string[] = [];
  for (const line of request.values(CONTACT)) {
    values.push(...splitList(oneLine(line)));
    if (values.length > mostContacts) return malformed('Too Many Contacts');
  }
  if (values.length === 0) return { kind: 'query' };
  const header = request.value(EXPIRES);
  if (values.includes('*')) {
    // The star stands alone and with an Expires of zero, or the request is malformed (RFC 3261 10.3 step 6).
    const alone = values.length === 1 && header !== undefined && parseInteger(header, 0) === 0;
    return alone ? { kind: 'remove-all' } : malformed('Contact * Needs Expires 0');
  }
  const common = header === undefined ? defaultExpires : deltaSeconds(header);
  const contacts: RequestedContact[] = [];
  for (const value of values) {
    const contact = requestedContact(value, common);
    if (typeof contact === 'string') return malformed(contact);
    contacts.push(contact);
  }
  return { kind: 'update', contacts };
}

/** One contact, or the reason phrase that refuses it. */
function requestedContact(value: string, commonExpires: number): RequestedContact | string {
  // A URI with headers needs its brackets (RFC 3261 20.10, RFC 4475 3.1.2.13); parseNameAddr sees to it.
  const address = parseNameAddr(value);
  if (!address || /[\x00-\x1f\x7f]/.test(value)) return 'Bad Contact';
  const { uri } = address;
  const parsed = uri.length > longestUri ? undefined : parseSipUri(uri);
  if (!parsed) {
    // A UA may register a tel: or mailto: URI (RFC 3261 10.2.1), but a registrar need not take it (10.3 names no
    // such duty). Nothing here could ever be sent there, and a 200 would promise that it can.
    const scheme = uriScheme(uri);
    return scheme === undefined || scheme === 'sip' || scheme === 'sips'
      ? 'Bad Contact'
      : 'Only SIP Contacts';
  }
  const params = withoutParam(address.params, 'expires');
  if (params.length > longestParams) return 'Contact Too Long';
  const expires = paramValue(address.params, 'expires');
  return {
    uri,
    parsed,
    params,
    q: qValue(paramValue(address.params, 'q')),
    expires: expires === undefined ? commonExpires : deltaSeconds(expires),
  };
}

/** Malformed values count as 3600 (RFC 3261 10.2.1.1). */
function deltaSeconds(text: string): number {
  return parseInteger(text, 0xffffffff) ?? defaultExpires;
}

/** RFC 3261 25.1 qvalue in thousandths; 1000 where it is absent or malformed. */
function qValue(text: string | undefined): number {
  const match = /^(?:0(?:\.(\d{0,3}))?|1(?:\.0{0,3})?)$/.exec(text ?? '');
  if (!match || text!.startsWith('1')) return 1000;
  return Number((match[1] ?? '').padEnd(3, '0'));
}

/** Folded lines as one (RFC 3261 7.3.1). */
export function oneLine(value: string): string {
  return value.includes('\n') ? value.replace(/\r?\n[ \t]+/g, ' ') : value;
}

function malformed(reason: string): ContactRequest {
  return { kind: 'malformed', reason };
}
