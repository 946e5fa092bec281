/** A number in [0, 1) at each call, the same row for the same seed (mulberry32). */
export type Random = () => number;

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)]!;
}

/** What parsers stumble over. */
const morsels = [
  '\r\n',
  '\n',
  '\r',
  '\r\n ',
  '\r\n\r\n',
  '\x00',
  '\xff',
  '"',
  '\\',
  '<',
  '>',
  ';',
  ',',
  ':',
  '@',
  '%',
  '%00',
  '[',
  ']',
  ':::',
  '=',
  '?',
  ' ',
  '\t',
  '-1',
  '0',
  '2147483648',
  '99999999999999999999',
  'SIP/2.0',
  'z9hG4bK',
  ';rport',
  ';received=0.0.0.0',
  ';maddr=10.0.0.9',
  ';tag=x',
  ';lr',
  'a'.repeat(300),
  'Via: SIP/2.0/UDP a\r\n',
  'Route: <sip:203.0.113.5;lr>\r\n',
  'Content-Length: 5\r\n',
  'l: 99999\r\n',
  'Record-Route: <sip:203.0.113.5;lr>\r\n',
  'no colon here\r\n',
] as const;

type Mutation = (text: string, random: Random, other: string) => string;

const at = (text: string, random: Random): number => Math.floor(random() * (text.length + 1));

function splice(text: string, start: number, removed: number, inserted: string): string {
  return text.slice(0, start) + inserted + text.slice(start + removed);
}

/** Cuts the header lines out, changes their list and puts it back. */
function lines(text: string, change: (list: string[]) => void): string {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return text;
  const list = text.slice(0, end).split('\r\n');
  change(list);
  return list.join('\r\n') + text.slice(end);
}

const mutations: readonly Mutation[] = [
  (text, random) => {
    const i = Math.min(at(text, random), text.length - 1);
    return splice(text, i, 1, String.fromCharCode(text.charCodeAt(i) ^ (1 << Math.floor(random() * 8))));
  },
  (text, random) => splice(text, at(text, random), 0, pick(random, morsels)),
  (text, random) => splice(text, at(text, random), 1, pick(random, morsels)),
  (text, random) => splice(text, at(text, random), Math.floor(random() * 20), ''),
  (text, random) => text.slice(0, at(text, random)),
  (text, random) => {
    const start = at(text, random);
    const piece = text.slice(start, start + Math.floor(random() * 60));
    return splice(text, start, 0, piece.repeat(1 + Math.floor(random() * 8)));
  },
  (text, random) =>
    lines(text, (list) => {
      const a = Math.floor(random() * list.length);
      const b = Math.floor(random() * list.length);
      [list[a], list[b]] = [list[b]!, list[a]!];
    }),
  (text, random) => lines(text, (list) => list.splice(at('', random), 0, pick(random, list))),
  (text, random) => lines(text, (list) => list.splice(1 + Math.floor(random() * (list.length - 1)), 1)),
  (text, random) => lines(text, (list) => list.splice(1, list.length, ...shuffled(list.slice(1), random))),
  (text) => text.replaceAll('\r\n', '\n'),
  (text, random, other) => text.slice(0, at(text, random)) + other.slice(at(other, random)),
  (text, random, other) =>
    lines(text, (list) => list.splice(1, 0, pick(random, other.split('\r\n').slice(1)) ?? '')),
];

function shuffled(list: readonly string[], random: Random): string[] {
  return list
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** `text` with one to four changes; `other` lends pieces. Never longer than a datagram. */
export function mutate(text: string, random: Random, other: string): string {
  let mutated = text;
  for (let n = 1 + Math.floor(random() * 4); n > 0 && mutated !== ''; n--)
    mutated = pick(random, mutations)(mutated, random, other);
  return mutated.slice(0, 65_507);
}

/** Bytes without any order. */
export function noise(random: Random): string {
  let text = '';
  for (let n = Math.floor(random() * 400); n > 0; n--) text += String.fromCharCode(random() * 256);
  return text;
}
