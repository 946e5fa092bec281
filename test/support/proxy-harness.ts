import { DigestAuthenticator } from '../../src/account/digest.ts';
import { Identity } from '../../src/identity/identity.ts';
import { parseListener } from '../../src/identity/listener-notation.ts';
import type { Binding } from '../../src/location/binding.ts';
import { MemoryLocation } from '../../src/location/memory-location.ts';
import { type Endpoint, unbracket } from '../../src/net/address.ts';
import { type Listener, listenerKey } from '../../src/net/listener.ts';
import type { CallCount } from '../../src/proxy/call-count.ts';
import { DialogCookies } from '../../src/proxy/dialog-cookie.ts';
import type { MediaAnchor } from '../../src/proxy/media-anchor.ts';
import { ProxyCore, type ProxyOptions } from '../../src/proxy/proxy-core.ts';
import { transportNow } from '../../src/proxy/transport-now.ts';
import { handleRegister } from '../../src/registrar/registrar.ts';
import { type Message, parseMessage } from '../../src/sip/message/message.ts';
import { TransactionLayer } from '../../src/sip/transaction/transaction-layer.ts';
import { createResolver, type Resolver } from '../../src/sip/transport/resolver.ts';
import { calculateResponse } from './digest-client.ts';
import { FakeTransport, type Sent } from './fake-transport.ts';
import { ManualClock } from './manual-clock.ts';

export interface HarnessOptions {
  /** In OpenSIPS's notation; the first is where messages arrive unless said otherwise. */
  readonly listeners?: readonly string[];
  readonly localNetworks?: readonly string[];
  readonly domains?: readonly string[];
  /** Account names; each has the password `secret`. */
  readonly users?: readonly string[];
  readonly media?: (identity: Identity) => MediaAnchor;
  /** Instead of one that asks the machine's DNS for names. */
  readonly resolver?: Resolver;
  readonly calls?: CallCount;
  readonly refusesNew?: ProxyOptions['refusesNew'];
}

export interface SentMessage extends Sent {
  readonly message: Message;
}

/** The proxy without a network: real transactions, identity, location and registrar on a manual clock. */
export class ProxyHarness {
  readonly clock: ManualClock = new ManualClock();
  readonly location: MemoryLocation;
  readonly identity: Identity;
  readonly layer: TransactionLayer;
  readonly transports: FakeTransport[];
  readonly counters = { requests: 0, refused: 0, unauthorized: 0, forwarded: 0, strayAcks: 0 };
  readonly #sent: Sent[] = [];

  constructor(options: HarnessOptions = {}) {
    const {
      listeners = ['udp:10.0.0.15:5060 as 203.0.113.5:5060'],
      localNetworks = ['10.0.0.0/16'],
      domains = ['example.com'],
      users = ['alice', 'bob'],
    } = options;
    const { clock } = this;
    this.transports = listeners.map((text) => {
      const { address, port, as } = parseListener(text);
      const listener: Listener = {
        transport: 'udp',
        bound: { address, port },
        advertised: as && { address: as.host, port: as.port ?? port },
      };
      return new FakeTransport(listener, this.#sent);
    });
    const open = this.transports.map((transport) => transport.listener);
    const subnets = new Map(
      open.map(({ bound }) => [bound.address, [bound.address.replace(/\.\d+$/, '.0/24')]] as const),
    );
    const identity = new Identity({ listeners: open, localNetworks, domains, subnets });
    this.identity = identity;
    this.location = new MemoryLocation(clock);
    const accounts = {
      get: (name: string) => (users.includes(name) ? { name, password: 'secret', createdAt: 0 } : undefined),
    };
    const authenticator = new DigestAuthenticator('cloudsip', accounts, Buffer.alloc(32, 7), clock);
    const log = { debug: () => {}, info: () => {}, warn: () => {} };
    const transportOf = (listener: Listener) =>
      this.transports.find((transport) => transport.listener === listener);
    const core = new ProxyCore({
      clock,
      log,
      identity,
      resolver: options.resolver ?? createResolver({ clock }),
      cookies: new DialogCookies('a secret of the test'),
      media: options.media?.(identity),
      transportOf,
      listenerByKey: (key) => open.find((listener) => listenerKey(listener) === key) ?? identity.heirOf(key),
      counters: this.counters,
      ...(options.calls && { calls: options.calls }),
      ...(options.refusesNew && { refusesNew: options.refusesNew }),
      accounts,
      authenticator,
      realm: 'cloudsip',
      location: this.location,
      register: (request, { source, listenerKey: key }) =>
        handleRegister(
          request,
          { source, listenerKey: key, now: clock.now() },
          {
            location: this.location,
            authenticator,
            accounts,
            isOurDomain: (host, port) => identity.isSelf(host, port),
          },
        ),
    });
    this.layer = new TransactionLayer({
      clock,
      user: core,
      transportNow: transportNow(identity, transportOf),
    });
    core.attach(this.layer);
  }

  /** A datagram arrives from `source` (`198.51.100.10:5060`) at a listener. */
  receive(text: string, source: string, at = 0): void {
    this.layer.receive(text, endpoint(source), this.transports[at]!);
  }

  /** What was sent since the last call. */
  take(): SentMessage[] {
    return this.#sent.splice(0).map((sent) => {
      const message = parseMessage(sent.text);
      if (!message) throw new Error(`what was sent is no SIP message:\n${sent.text}`);
      return { ...sent, message };
    });
  }

  /** Puts a binding into the location service, as a REGISTER from `received` at a listener would. */
  bind(
    aor: string,
    contact: string,
    received: string,
    options: Partial<Binding> & { at?: number } = {},
  ): void {
    const { at = 0, ...rest } = options;
    const binding: Binding = {
      aor,
      contact,
      params: '',
      q: 1000,
      expiresAt: this.clock.now() + 3_600_000,
      callId: `${aor}-${contact}`,
      cseq: 1,
      received: endpoint(received),
      listener: listenerKey(this.transports[at]!.listener),
      path: [],
      userAgent: '',
      ...rest,
    };
    this.location.replace(aor, [...this.location.lookup(aor), binding]);
  }

  /** Sends a request, answers the challenge that comes back, and returns the request that carried the answer. */
  authenticate(text: string, user: string, source: string, at = 0): string {
    this.receive(text, source, at);
    const challenge = this.take().at(-1)!.message;
    const proxy = challenge.status === 407;
    const header = challenge.valueByName('') ?? challenge.text;
    const nonce = /nonce="([^"]+)"/.exec(header)?.[1] ?? '';
    const request = parseMessage(text)!;
    const value = calculateResponse({
      user,
      password: 'secret',
      realm: 'cloudsip',
      nonce,
      method: request.method,
      uri: request.requestUri,
    });
    const answered = text
      .replace('\r\n', `\r\n${proxy ? 'Proxy-Authorization' : 'Authorization'}: ${value}\r\n`)
      .replace(/branch=z9hG4bK/, 'branch=z9hG4bKauth')
      .replace(/^CSeq: (\d+)/m, (_, n: string) => `CSeq: ${Number(n) + 1}`);
    this.receive(answered, source, at);
    return answered;
  }
}

function endpoint(text: string): Endpoint {
  const colon = text.lastIndexOf(':');
  return { address: unbracket(text.slice(0, colon)), port: Number(text.slice(colon + 1)) };
}
