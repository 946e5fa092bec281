import type { NoticeKind } from '../discovery/notice.ts';
import type { PortRange } from '../media/port-pool.ts';
import type { SilenceLimits } from '../media/silence-watch.ts';
import type { StaticMapping } from './option-values.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
/** Which socket calls relay RTP; `off` leaves media to the endpoints. */
export type MediaMode = 'auto' | 'kernel' | 'kernel-xdp' | 'koffi' | 'dgram' | 'off';
/** What becomes of a message whose session description cannot be understood. */
export type UnreadableSdp = 'refuse' | 'pass';
/** What becomes of a call whose media fell silent. */
export type SilentCalls = 'report' | 'bye';
/** What becomes of the address in o=, which nobody sends to but everybody reads. */
export type SdpOrigin = 'replace' | 'keep';
/** `off`; `ask`: where an authenticated caller asks; `all`; or the calls of these accounts. */
export type RecordPolicy = 'off' | 'ask' | 'all' | readonly string[];
/** Where keys are looked for. */
export type DtmfMode = 'off' | 'events' | 'inband';
/** Whether media goes through us. */
export type MediaPath = 'relay' | 'direct' | 'local-direct';
/** Which socket calls carry SIP over UDP. */
export type UdpMode = 'auto' | 'batched' | 'dgram';

export type DrainCause = NoticeKind | 'none';

/** The `static:` section: what the static provider hands out as topology. */
export interface StaticConfiguration {
  readonly addresses: readonly StaticMapping[];
}

/** Every option with its value, wherever that came from. One property for each entry of the option table. */
export interface Configuration {
  /** Name of a cloud plugin, or `auto`. */
  readonly provider: string;
  /** The file that was read, if any. */
  readonly configFile: string | undefined;
  /** Absolute path. */
  readonly stateDirectory: string;
  /** Listeners, as `parseListener` takes them, `udp:10.0.0.15:5060 as 203.0.113.5:5060`; empty means: plan them from the topology. */
  readonly listen: readonly string[];
  /** `host[:port]` that every listener without an `as` of its own advertises. */
  readonly advertise: string | undefined;
  readonly logLevel: LogLevel;
  /** `example.com`, or `*.example.com` for all names below it. */
  readonly domains: readonly string[];
  /** `host` (on every port) or `host:port`. */
  readonly aliases: readonly string[];
  /** CIDRs, in addition to those that discovery finds. */
  readonly localNetworks: readonly string[];
  readonly rtpPorts: PortRange;
  /** STUN servers, `host[:port]`; `off` among them for none. */
  readonly stun: readonly string[];
  readonly realm: string;
  readonly media: MediaMode;
  readonly unreadableSdp: UnreadableSdp;
  readonly silentCalls: SilentCalls;
  readonly silenceLimits: SilenceLimits;
  /** RFC 2474, 0 to 63. */
  readonly dscp: number;
  readonly sdpOrigin: SdpOrigin;
  readonly mediaPath: MediaPath;
  readonly record: RecordPolicy;
  /** Absolute path; undefined for `recordings` in the state directory. */
  readonly recordDirectory: string | undefined;
  readonly dtmf: DtmfMode;
  /** Is told of each key; http or https. */
  readonly dtmfHook: string | undefined;
  readonly udp: UdpMode;
  /** How often the cloud is asked; undefined for its own pace. */
  readonly pollIntervalMs: number | undefined;
  /** How long calls in progress may take to end once the agent is to end. */
  readonly drainTimeoutMs: number;
  /** The notices of the cloud that begin a drain; `none` stands for an empty list. */
  readonly drainOn: readonly DrainCause[];
  /** Whether the cloud is told that it need not wait, once what its notice is about has been drained. */
  readonly acknowledgeNotices: 'on' | 'off';
  readonly static: StaticConfiguration | undefined;
}
