import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

export type DnsRecord =
  | { type: 'A'; ttl?: number; address: string }
  | { type: 'AAAA'; ttl?: number; address: string }
  | { type: 'SRV'; ttl?: number; priority: number; weight: number; port: number; target: string }
  | {
      type: 'NAPTR';
      ttl?: number;
      order: number;
      preference: number;
      flags: string;
      service: string;
      replacement: string;
    };

/** What to do with a question instead of answering it from records. */
export type DnsMishap = 'silence' | 'garbage' | 'servfail';

const TYPES: Record<number, string> = { 1: 'A', 28: 'AAAA', 33: 'SRV', 35: 'NAPTR' };
const NUMBERS: Record<DnsRecord['type'], number> = { A: 1, AAAA: 28, SRV: 33, NAPTR: 35 };

/** A name server on loopback that knows what the test tells it. Unknown names do not exist (NXDOMAIN). */
export class FakeDns {
  /** The questions so far, as `SRV _sip._udp.example.com`. */
  readonly questions: string[] = [];
  readonly #socket: Socket;
  readonly #zone = new Map<string, readonly DnsRecord[]>();
  readonly #mishaps = new Map<string, DnsMishap>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (bytes, from) => this.#answer(bytes, from));
  }

  static async start(): Promise<FakeDns> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new FakeDns(socket);
  }

  /** For `Resolver.setServers`. */
  get server(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  set(name: string, ...records: DnsRecord[]): void {
    this.#zone.set(name.toLowerCase(), records);
  }

  /** `question` as in `questions`. */
  spoil(question: string, mishap: DnsMishap): void {
    this.#mishaps.set(question, mishap);
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #answer(query: Buffer, from: RemoteInfo): void {
    let at = 12;
    const labels: string[] = [];
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join('.').toLowerCase();
    const type = TYPES[query.readUInt16BE(at + 1)] ?? 'other';
    const question = query.subarray(12, at + 5);
    this.questions.push(`${type} ${name}`);
    const mishap = this.#mishaps.get(`${type} ${name}`);
    if (mishap === 'silence') return;
    if (mishap === 'garbage') {
      // The right id and question, then an answer that claims more than there is.
      const lie = Buffer.from([0xc0, 0x0c, 0, 33, 0, 1, 0, 0, 0, 60, 0xff, 0xff, 1, 2, 3]);
      this.#send(Buffer.concat([header(query, 0, 1), question, lie]), from);
      return;
    }
    const known = this.#zone.get(name);
    const records = (known ?? []).filter((record) => record.type === type);
    const code = mishap === 'servfail' ? 2 : known ? 0 : 3;
    const answers = code === 0 ? records.map(encodeRecord) : [];
    this.#send(Buffer.concat([header(query, code, answers.length), question, ...answers]), from);
  }

  #send(bytes: Buffer, to: RemoteInfo): void {
    this.#socket.send(bytes, to.port, to.address);
  }
}

function header(query: Buffer, code: number, answers: number): Buffer {
  const bytes = Buffer.alloc(12);
  query.copy(bytes, 0, 0, 2);
  // A response, recursion desired and available.
  bytes.writeUInt16BE(0x8180 | code, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt16BE(answers, 6);
  return bytes;
}

function encodeRecord(record: DnsRecord): Buffer {
  const data = encodeData(record);
  const head = Buffer.alloc(12);
  // The name is that of the question, by a pointer to it.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(NUMBERS[record.type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(record.ttl ?? 60, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function encodeData(record: DnsRecord): Buffer {
  switch (record.type) {
    case 'A':
      return Buffer.from(record.address.split('.').map(Number));
    case 'AAAA': {
      const [head = '', tail = ''] = record.address.split('::');
      const left = head === '' ? [] : head.split(':');
      const right = tail === '' ? [] : tail.split(':');
      const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
      return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
    }
    case 'SRV':
      return Buffer.concat([numbers(record.priority, record.weight, record.port), encodeName(record.target)]);
    case 'NAPTR':
      return Buffer.concat([
        numbers(record.order, record.preference),
        ...[record.flags, record.service, ''].map((text) => Buffer.from([text.length, ...Buffer.from(text)])),
        encodeName(record.replacement),
      ]);
  }
}

function numbers(...values: number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [value >> 8, value & 255]));
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.of(0),
  ]);
}
