import {
  checkedAddress,
  checkedMac,
  checkedNetmask,
  checkedNetwork,
  garbled,
  MAX_ITEMS,
} from './checked-values.ts';
import { quoted } from './discovery-error.ts';

/**
 * A value in a document of a metadata service, with its place, so that an error can name it. What is missing,
 * null or an empty string is absent: clouds use the three alike. A value of the wrong kind is
 * `discovery.metadata-garbled`.
 */
export interface MetadataNode {
  /** `http://169.254.169.254/v1.json interfaces[0].mac`. */
  readonly at: string;
  readonly absent: boolean;
  /** The member of that name; absent where there is none. */
  get(key: string): MetadataNode;
  /** The items of a list; none where it is absent. */
  items(): MetadataNode[];
  /** The names of the members; none where it is absent. */
  keys(): string[];
  text(): string | undefined;
  flag(): boolean;
  wholeNumber(): number | undefined;
  address(): string | undefined;
  /** A network with its prefix, without bits of a host. */
  network(): string | undefined;
  /** The length of the prefix that a netmask stands for. */
  netmask(): number | undefined;
  mac(): string | undefined;
}

/** Parses JSON; throws `discovery.metadata-garbled` where it is none. An answer that is absent is a node too. */
export function readJson(text: string | undefined, url: string): MetadataNode {
  if (text === undefined) return nodeOf(undefined, url);
  try {
    return nodeOf(JSON.parse(text), url);
  } catch {
    throw garbled(url, 'JSON', quoted(text.trimStart()));
  }
}

/** A node for a value that is parsed already. `path` grows behind the address as members are taken. */
export function nodeOf(value: unknown, url: string, path = ''): MetadataNode {
  const at = path === '' ? url : `${url} ${path}`;
  const absent = value === undefined || value === null || value === '';
  const wrong = (expected: string) => garbled(at, expected, shown(value));
  const text = (): string | undefined => {
    if (absent) return undefined;
    if (typeof value === 'string') return value.trim();
    if (typeof value === 'number') return String(value);
    throw wrong('a string');
  };
  const parsed = <Result>(parse: (text: string, at: string) => Result): Result | undefined => {
    const found = text();
    return found === undefined ? undefined : parse(found, at);
  };
  const record = (): Record<string, unknown> => {
    if (absent) return {};
    if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
    throw wrong('an object');
  };
  return {
    at,
    absent,
    text,
    get: (key) => {
      const members = record();
      const member = Object.hasOwn(members, key) ? members[key] : undefined;
      return nodeOf(member, url, path === '' ? key : `${path}.${key}`);
    },
    keys: () => Object.keys(record()),
    items: () => {
      if (absent) return [];
      if (!Array.isArray(value)) throw wrong('a list');
      if (value.length > MAX_ITEMS) throw wrong(`at most ${MAX_ITEMS} items`);
      return value.map((item: unknown, index) => nodeOf(item, url, `${path}[${index}]`));
    },
    flag: () => value === true || value === 'true',
    wholeNumber: () => {
      const found = text();
      if (found === undefined || /^\d{1,9}$/.test(found))
        return found === undefined ? undefined : Number(found);
      throw wrong('a whole number');
    },
    address: () => parsed(checkedAddress),
    network: () => parsed(checkedNetwork),
    netmask: () => parsed(checkedNetmask),
    mac: () => parsed(checkedMac),
  };
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' ? 'an object' : quoted(String(value));
}
