import { isIPv6 } from 'node:net';
import { ipv4Number, normalizeHost } from './address.ts';

/** A network such as `10.0.0.0/16` or `2001:db8::/56`, ready for membership tests. */
export interface Cidr {
  readonly text: string;
  contains(address: string): boolean;
}

/** Parses `address/prefix`; a bare address is the network of that one host. Undefined where it is neither. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text.trim());
  if (!match) return undefined;
  const base = addressBits(match[1]!);
  if (!base) return undefined;
  const prefix = match[2] === undefined ? base.width : Number(match[2]);
  if (prefix > base.width) return undefined;
  const shift = BigInt(base.width - prefix);
  const network = base.bits >> shift;
  if (base.width === 32) {
    const mask = prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
    const net32 = (Number(base.bits) & mask) >>> 0;
    return {
      text: match[0],
      contains: (address) => {
        const value = ipv4Number(normalizeHost(address));
        return value !== undefined && (value & mask) >>> 0 === net32;
      },
    };
  }
  return {
    text: match[0],
    contains: (address) => {
      const other = addressBits(normalizeHost(address));
      return other !== undefined && other.width === 128 && other.bits >> shift === network;
    },
  };
}

function addressBits(address: string): { bits: bigint; width: 32 | 128 } | undefined {
  const v4 = ipv4Number(address);
  if (v4 !== undefined) return { bits: BigInt(v4), width: 32 };
  if (!isIPv6(address)) return undefined;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const hex = dotted
    ? dotted[1]! +
      ((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16) +
      ':' +
      ((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)
    : address;
  const [head = '', tail] = hex.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  return { bits: groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n), width: 128 };
}
