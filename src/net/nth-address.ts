import { normalizeHost } from './address.ts';
import { sockaddrWords } from './sockaddr.ts';

/** The n-th address of a network whose own address is `base`: 1 of `10.0.0.0` is `10.0.0.1`. */
export function nthAddress(base: string, n: number): string {
  const family = base.includes(':') ? 'ipv6' : 'ipv4';
  const words = sockaddrWords(family, base);
  if (!words) throw new RangeError(`${base} is no address`);
  const bytes = family === 'ipv4' ? Buffer.from(words.buffer, 4, 4) : Buffer.from(words.buffer, 8, 16);
  const last = bytes.length - 4;
  bytes.writeUInt32BE((bytes.readUInt32BE(last) + n) >>> 0, last);
  if (family === 'ipv4') return bytes.join('.');
  return normalizeHost(bytes.toString('hex').replace(/(.{4})(?!$)/g, '$1:'));
}
