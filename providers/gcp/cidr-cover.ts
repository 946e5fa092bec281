import { familyOf } from '../../src/net/address.ts';
import { parseCidr } from '../../src/net/cidr.ts';

/** Whether a set of ranges takes in the whole of another, a part of it, or nothing. */
export type Cover = 'all' | 'some' | 'none';

/** How `ranges` (CIDRs or addresses) cover `target`: `0.0.0.0/1` and `128.0.0.0/1` together are everybody. */
export function coverOf(ranges: readonly string[], target: string): Cover {
  const wanted = spanOf(target);
  if (!wanted) return 'none';
  const spans = ranges
    .map(spanOf)
    .filter((span) => span !== undefined)
    .filter((span) => span.family === wanted.family && span.from <= wanted.to && span.to >= wanted.from)
    .sort((a, b) => (a.from < b.from ? -1 : 1));
  if (spans.length === 0) return 'none';
  let next = wanted.from;
  for (const { from, to } of spans) {
    if (from > next) return 'some';
    if (to >= next) next = to + 1n;
  }
  return next > wanted.to ? 'all' : 'some';
}

interface Span {
  readonly family: 'ipv4' | 'ipv6';
  readonly from: bigint;
  readonly to: bigint;
}

function spanOf(range: string): Span | undefined {
  const [address = '', prefix] = range.split('/');
  const family = familyOf(address);
  if (!family || !parseCidr(range)) return undefined;
  const width = family === 'ipv4' ? 32n : 128n;
  const free = width - BigInt(prefix ?? width);
  const from = (numberOf(address, family) >> free) << free;
  return { family, from, to: from + (1n << free) - 1n };
}

function numberOf(address: string, family: Span['family']): bigint {
  if (family === 'ipv4') return address.split('.').reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const [head = '', tail] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const left = groups(head);
  const right = groups(tail ?? '');
  const zeros = Array<string>(tail === undefined ? 0 : 8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...right].reduce((sum, group) => (sum << 16n) + BigInt(`0x${group}`), 0n);
}
