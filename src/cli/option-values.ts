import { resolve } from 'node:path';
import { isPluginPath } from '../discovery/plugin-path.ts';
import {
  isHostName,
  parseAdvertised,
  parseListener,
  printAdvertised,
  printListener,
  splitHostPort,
} from '../identity/listener-notation.ts';
import type { PortRange } from '../media/port-pool.ts';
import type { SilenceLimits } from '../media/silence-watch.ts';
import { bracket, familyOf, normalizeHost } from '../net/address.ts';
import { parseCidr } from '../net/cidr.ts';

/** Each reader gives undefined where the text is not of its form; the option says what was expected. */

/** One private address and the public address in front of it. */
export interface StaticMapping {
  readonly private: string;
  readonly public?: string;
}

/** A provider's name, the path of a plugin (made absolute), or the name of an npm package. */
export function readProvider(text: string): string | undefined {
  if (isPluginPath(text)) return resolve(text);
  return /^(@[a-z0-9][a-z0-9._-]*\/)?[a-z][a-z0-9._-]*$/.test(text) ? text : undefined;
}

/** A domain, or `*.example.com` for all names below one. */
export function readDomain(text: string): string | undefined {
  const name = text.replace(/^\*?\./, '');
  if (!isHostName(name)) return undefined;
  return name === text ? normalizeHost(name) : `*.${normalizeHost(name)}`;
}

/** `host` or `host:port`. */
export function readAlias(text: string): string | undefined {
  const split = familyOf(text) === 'ipv6' ? { host: text, port: undefined } : splitHostPort(text);
  if (!split || !(familyOf(split.host) || isHostName(split.host))) return undefined;
  const host = bracket(normalizeHost(split.host));
  return split.port === undefined ? host : `${host}:${split.port}`;
}

export function readNetwork(text: string): string | undefined {
  return parseCidr(text)?.text;
}

/** `10000-20000`. A stream takes an even port for RTP and the next one for RTCP (RFC 3550 11). */
export function readPortRange(text: string): PortRange | undefined {
  const match = /^(\d{1,5})\s*-\s*(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const from = Number(match[1]);
  const to = Number(match[2]);
  return from >= 1024 && to <= 65535 && to - from >= 3 ? { from, to } : undefined;
}

/** `60,60,1800`, or `off`: seconds before the first packet, between packets, on hold; 0 is without end. */
export function readSilence(text: string): SilenceLimits | undefined {
  if (text.toLowerCase() === 'off') return { initialMs: 0, runningMs: 0, heldMs: 0 };
  const match = /^(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})$/.exec(text);
  if (!match) return undefined;
  const [initialMs, runningMs, heldMs] = match.slice(1).map((seconds) => Number(seconds) * 1000);
  return { initialMs: initialMs!, runningMs: runningMs!, heldMs: heldMs! };
}

/** A code point of RFC 2474, by number or by the names of RFC 2474, 2597 and 3246. */
export function readDscp(text: string): number | undefined {
  const name = text.toLowerCase();
  if (/^\d{1,2}$/.test(name)) return Number(name) < 64 ? Number(name) : undefined;
  if (name === 'ef') return 46;
  const selector = /^cs([0-7])$/.exec(name);
  if (selector) return Number(selector[1]) * 8;
  const assured = /^af([1-4])([1-3])$/.exec(name);
  return assured ? Number(assured[1]) * 8 + Number(assured[2]) * 2 : undefined;
}

/** `300`, `300s`, `500ms`, `5m` or `2h`, within these bounds; a number alone is seconds. In milliseconds. */
export function readDuration(leastMs: number, mostMs: number): (text: string) => number | undefined {
  return (text) => {
    const match = /^(\d{1,9})\s*(ms|s|m|h)?$/.exec(text.toLowerCase());
    if (!match) return undefined;
    const value = Number(match[1]) * unitMs[(match[2] ?? 's') as keyof typeof unitMs];
    return value >= leastMs && value <= mostMs ? value : undefined;
  };
}

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Goes into a quoted-string as it is (RFC 3261 25.1): no quote, no backslash, no control character. */
export function readRealm(text: string): string | undefined {
  return text.length <= 128 && /^[^"\\\x00-\x1f\x7f]+$/.test(text) ? text : undefined;
}

/** `off`, `ask`, `all`, or names of accounts parted by commas. */
export function readRecord(text: string): 'off' | 'ask' | 'all' | readonly string[] | undefined {
  const word = text.toLowerCase();
  if (word === 'off' || word === 'ask' || word === 'all') return word;
  const names = text.split(',').map((name) => name.trim());
  return names.every((name) => /^[^\s,:"@]{1,128}$/.test(name)) ? names : undefined;
}

/** http or https, without credentials, which would be shown. */
export function readWebAddress(text: string): string | undefined {
  const url = URL.parse(text);
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:';
  return url && isWeb && url.username === '' && url.password === '' ? url.href : undefined;
}

/** A reader for one word out of a few. */
export function oneOf<Word extends string>(words: readonly Word[]): (text: string) => Word | undefined {
  return (text) => words.find((word) => word === text.toLowerCase());
}

/** One spelling for `udp:10.0.0.15 as 203.0.113.5`; throws an `IdentityError` that says what is wrong. */
export function readListen(text: string): string {
  return printListener(parseListener(text));
}

/** `host[:port]`; throws an `IdentityError` that says what is wrong. */
export function readAdvertise(text: string): string {
  return printAdvertised(parseAdvertised(text));
}
