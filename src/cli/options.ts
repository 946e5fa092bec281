import { resolve } from 'node:path';
import { DEFAULT_STUN_SERVERS, parseStunServer, stunServers } from '../discovery/stun-server.ts';
import type { Configuration, DrainCause, RecordPolicy } from './configuration.ts';
import { defaultStateDirectory, type Machine } from './default-state-directory.ts';
import {
  oneOf,
  readAdvertise,
  readAlias,
  readDomain,
  readDscp,
  readDuration,
  readListen,
  readNetwork,
  readPortRange,
  readProvider,
  readRealm,
  readRecord,
  readSilence,
  readWebAddress,
} from './option-values.ts';
import { readStatic, type SectionReader } from './static-section.ts';

/** What every option tells about itself: the help text and the tables of the documents are made of this. */
interface OptionText {
  /** `state-dir`: the flag `--state-dir`, the variable `CLOUDSIP_STATE_DIR`, the key `state-dir`. */
  readonly name: string;
  /** Stands for the value in the help text. */
  readonly placeholder: string;
  readonly summary: string;
  /** The default in words. */
  readonly defaultText: string;
  /** Why a change needs a restart, completing “… is needed, for”; absent where it counts at once. */
  readonly restart?: string;
  /** Why no tag of the instance may set it, completing “a tag cannot set this option, for”. */
  readonly notInCloud?: string;
}

interface ScalarText<Item> extends OptionText {
  /** Completes “expected …, got …”. */
  readonly expected: string;
  /** Words to suggest after a typing error. */
  readonly words?: readonly string[];
  /** Undefined, or a thrown `CloudsipError`, where the text is not of the expected form. */
  readonly read: (text: string) => Item | undefined;
}

export interface SingleOption<Value> extends ScalarText<Exclude<Value, undefined>> {
  readonly kind: 'single';
  readonly fallback: (machine: Machine) => Value;
  /** True for what cannot stand in the configuration file: the name of that file. */
  readonly notInFile?: true;
  /** True for what the commands that work on the state want to know too. */
  readonly shared?: true;
}

/** A flag to repeat, a variable with commas, a list in the file; the strongest source replaces the others. */
export interface ListOption<Item> extends ScalarText<Item> {
  readonly kind: 'list';
  /** Empty where absent. */
  readonly fallback?: readonly Item[];
  /** Throws a `CloudsipError` where the values do not go together. */
  check?(items: readonly Item[]): unknown;
}

/** Has a structure, so that only the configuration file can say it. */
export interface SectionOption<Value> extends OptionText {
  readonly kind: 'section';
  readonly read: SectionReader<Exclude<Value, undefined>>;
}

export type OptionFor<Value> =
  | SectionOption<Value>
  | ([Value] extends [readonly (infer Item)[]] ? ListOption<Item> : SingleOption<Value>);

/** An option whose type of value does not matter. */
export type AnyOption = SingleOption<unknown> | ListOption<unknown> | SectionOption<unknown>;

export type OptionTable = { readonly [Property in keyof Configuration]: AnyOption };

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
const mediaModes = ['auto', 'kernel', 'kernel-xdp', 'koffi', 'dgram', 'off'] as const;
const unreadableModes = ['refuse', 'pass'] as const;
const silenceModes = ['report', 'bye'] as const;
const originModes = ['replace', 'keep'] as const;
const dtmfModes = ['off', 'events', 'inband'] as const;
const mediaPaths = ['relay', 'direct', 'local-direct'] as const;
const switches = ['on', 'off'] as const;
const udpModes = ['auto', 'batched', 'dgram'] as const;
const drainCauses = [
  'termination',
  'reboot',
  'scale-in',
  'maintenance',
  'rebalance',
  'pause',
  'none',
] as const satisfies readonly DrainCause[];

function single<Value>(option: Omit<SingleOption<Value>, 'kind'>): SingleOption<Value> {
  return { kind: 'single', ...option };
}

function list<Item>(option: Omit<ListOption<Item>, 'kind'>): ListOption<Item> {
  return { kind: 'list', ...option };
}

function choice<Word extends string>(
  option: Omit<SingleOption<Word>, 'kind' | 'expected' | 'read' | 'words' | 'placeholder'>,
  words: readonly Word[],
): SingleOption<Word> {
  return {
    kind: 'single',
    ...option,
    placeholder: words.join('|'),
    expected: `one of ${words.join(', ')}`,
    words,
    read: oneOf(words) as SingleOption<Word>['read'],
  };
}

const table = {
  provider: single<string>({
    name: 'provider',
    placeholder: 'NAME',
    summary:
      'The cloud to ask for public addresses; auto finds it by itself; ./mine.ts or an npm package is a plugin.',
    defaultText: 'auto',
    expected:
      "a provider's name in lower case, auto, or a plugin: a path such as ./mine.ts, or an npm package",
    read: readProvider,
    fallback: () => 'auto',
    restart: 'all that runs hangs on what it finds',
    notInCloud: 'the provider is who reads the tags',
  }),
  configFile: single<string | undefined>({
    name: 'config',
    placeholder: 'FILE',
    summary: 'A YAML file with any of these options under their names.',
    defaultText: 'none',
    expected: 'the path of a file',
    read: (text) => text || undefined,
    fallback: () => undefined,
    notInFile: true,
    restart: 'it is read at the start',
    notInCloud: 'who may tag the instance must not choose what is read',
    shared: true,
  }),
  stateDirectory: single<string>({
    name: 'state-dir',
    placeholder: 'DIR',
    summary: 'Where accounts and other state are kept.',
    defaultText:
      '$STATE_DIRECTORY (systemd), else /var/lib/cloudsip for root, else $XDG_STATE_HOME/cloudsip or ~/.local/state/cloudsip',
    expected: 'the path of a directory',
    read: (text) => (text ? resolve(text) : undefined),
    fallback: defaultStateDirectory,
    restart: 'accounts and registrations are open there',
    notInCloud: 'who may tag the instance must not choose where secrets lie',
    shared: true,
  }),
  listen: list<string>({
    name: 'listen',
    placeholder: 'LISTENER',
    summary:
      "A listener, such as 'udp:10.0.0.15:5060 as 203.0.113.5:5060'; replaces those found by discovery.",
    defaultText: 'UDP on port 5060 of every discovered address',
    expected: "TRANSPORT:HOST[:PORT] [as HOST[:PORT]], such as 'udp:10.0.0.15:5060 as 203.0.113.5:5060'",
    read: readListen,
  }),
  advertise: single<string | undefined>({
    name: 'advertise',
    placeholder: 'HOST[:PORT]',
    summary:
      'What listeners without an "as" of their own advertise, instead of the discovered public address.',
    defaultText: 'the discovered public address',
    expected: 'HOST or HOST:PORT, such as 203.0.113.5 or sip.example.com:5060',
    read: readAdvertise,
    fallback: () => undefined,
  }),
  logLevel: choice(
    {
      name: 'log-level',
      summary: 'The least important lines to log.',
      defaultText: 'info',
      fallback: () => 'info',
    },
    logLevels,
  ),
  domains: list<string>({
    name: 'domain',
    placeholder: 'DOMAIN',
    summary: 'A SIP domain served here, besides the addresses of the listeners.',
    defaultText: 'none',
    expected: 'a domain such as example.com, or *.example.com for all names below it',
    read: readDomain,
  }),
  aliases: list<string>({
    name: 'alias',
    placeholder: 'HOST[:PORT]',
    summary: 'Another name of this agent: a Route or Request-URI with it is ours.',
    defaultText: 'none',
    expected: 'HOST or HOST:PORT, such as sip.example.com or 203.0.113.9:5062',
    read: readAlias,
  }),
  localNetworks: list<string>({
    name: 'local-network',
    placeholder: 'CIDR',
    summary: 'A network that is reached by private addresses, besides those found by discovery.',
    defaultText: 'none',
    expected: 'a network such as 10.0.0.0/16 or 2001:db8::/56',
    read: readNetwork,
  }),
  rtpPorts: single({
    name: 'rtp-ports',
    placeholder: 'FIRST-LAST',
    summary: 'UDP ports for RTP and RTCP; to be opened in the firewall of the cloud.',
    defaultText: '10000-20000',
    expected: 'FIRST-LAST within 1024-65535, at least four ports, such as 10000-20000',
    read: readPortRange,
    fallback: () => ({ from: 10000, to: 20000 }),
  }),
  stun: list<string>({
    name: 'stun',
    placeholder: 'HOST[:PORT]',
    summary: 'STUN servers, at least two, to ask about addresses of which the cloud tells nothing; or off.',
    defaultText: DEFAULT_STUN_SERVERS.join(' and '),
    expected: 'HOST or HOST:PORT, such as stun.example.com:3478, or off',
    read: (text) => parseStunServer(text)?.text.toLowerCase(),
    fallback: DEFAULT_STUN_SERVERS,
    check: stunServers,
  }),
  realm: single<string>({
    name: 'realm',
    placeholder: 'REALM',
    summary: 'The realm of digest authentication.',
    defaultText: 'cloudsip',
    expected: 'up to 128 characters without quotes, backslashes and control characters',
    read: readRealm,
    fallback: () => 'cloudsip',
  }),
  media: choice(
    {
      name: 'media',
      summary:
        'How RTP is relayed: in the kernel, by system calls (koffi) or node:dgram; off leaves it to the endpoints.',
      defaultText: 'auto',
      restart: 'the sockets of running calls hang on it',
      fallback: () => 'auto',
    },
    mediaModes,
  ),
  unreadableSdp: choice(
    {
      name: 'unreadable-sdp',
      summary: 'A session description that cannot be understood: refuse it with 488, or pass it unrelayed.',
      defaultText: 'refuse',
      fallback: () => 'refuse',
    },
    unreadableModes,
  ),
  silentCalls: choice(
    {
      name: 'silent-calls',
      summary: 'A call without media for too long: report it and free its ports, or end it with BYE.',
      defaultText: 'report',
      fallback: () => 'report',
    },
    silenceModes,
  ),
  silenceLimits: single({
    name: 'silence',
    placeholder: 'FIRST,RUNNING,HELD',
    summary: 'Seconds without RTP until a call counts as silent: before the first packet, later, on hold.',
    defaultText: '60,60,1800',
    expected: 'three numbers of seconds such as 60,60,1800 (0 is without end), or off',
    read: readSilence,
    fallback: () => ({ initialMs: 60_000, runningMs: 60_000, heldMs: 1_800_000 }),
  }),
  dscp: single({
    name: 'dscp',
    placeholder: 'CODE',
    summary: 'The DSCP that relayed packets leave with, such as ef or 46.',
    defaultText: 'what they came with',
    expected: 'a number from 0 to 63 or a name such as ef, cs5 or af41',
    read: readDscp,
    fallback: () => 0,
  }),
  sdpOrigin: choice(
    {
      name: 'sdp-origin',
      summary: 'The o= line of relayed descriptions: the address in it is replaced by ours, or kept.',
      defaultText: 'replace',
      fallback: () => 'replace',
    },
    originModes,
  ),
  mediaPath: choice(
    {
      name: 'media-path',
      summary:
        'Media passes the relay, or goes directly between the sides: always, or where both are in one local network.',
      defaultText: 'relay',
      fallback: () => 'relay',
    },
    mediaPaths,
  ),
  record: single<RecordPolicy>({
    name: 'record',
    placeholder: 'WHO',
    summary: 'Calls to record: off, ask (where the caller asks), all, or names of accounts parted by commas.',
    defaultText: 'off',
    expected: 'off, ask, all, or names of accounts parted by commas',
    read: readRecord,
    fallback: () => 'off',
  }),
  recordDirectory: single<string | undefined>({
    name: 'record-dir',
    placeholder: 'DIR',
    summary: 'Where recordings go.',
    defaultText: 'recordings in the state directory',
    expected: 'the path of a directory',
    read: (text) => (text ? resolve(text) : undefined),
    fallback: () => undefined,
    restart: 'recordings are under way there',
    notInCloud: 'who may tag the instance must not choose where is written',
  }),
  dtmf: choice(
    {
      name: 'dtmf',
      summary:
        'Keys that are pressed in calls: none, those told by RTP events and SIP INFO, in audio as well.',
      defaultText: 'off',
      fallback: () => 'off',
    },
    dtmfModes,
  ),
  dtmfHook: single<string | undefined>({
    name: 'dtmf-hook',
    placeholder: 'URL',
    summary: 'A web server that is told of each key by POST of JSON.',
    defaultText: 'none',
    expected: 'an address such as http://127.0.0.1:8080/dtmf',
    read: readWebAddress,
    fallback: () => undefined,
    notInCloud: 'who may tag the instance must not choose who is told of keys',
  }),
  udp: choice(
    {
      name: 'udp',
      summary: 'How SIP over UDP is read and written: batched system calls or node:dgram.',
      defaultText: 'auto',
      restart: 'another socket would lose what waits in the one that is open',
      fallback: () => 'auto',
    },
    udpModes,
  ),
  pollIntervalMs: single<number | undefined>({
    name: 'poll-interval',
    placeholder: 'TIME',
    summary: 'How often the cloud is asked what has changed, where it has to be asked again and again.',
    defaultText: "each cloud's own pace, mostly 15s",
    expected: 'a time from 100ms to 1h, such as 30s',
    read: readDuration(100, 3_600_000),
    fallback: () => undefined,
  }),
  drainTimeoutMs: single<number>({
    name: 'drain-timeout',
    placeholder: 'TIME',
    summary: 'How long calls in progress may go on once the agent is to end.',
    defaultText: '300s',
    expected: 'a time from 0s to 24h, such as 300s or 10m',
    read: readDuration(0, 86_400_000),
    fallback: () => 300_000,
  }),
  drainOn: list<DrainCause>({
    name: 'drain-on',
    placeholder: 'NOTICE',
    summary: `The cloud's notices that make the agent drain and end: ${drainCauses.join(', ')}.`,
    defaultText: 'all but pause',
    expected: `one of ${drainCauses.join(', ')}`,
    words: drainCauses,
    read: oneOf(drainCauses),
    fallback: drainCauses.filter((cause) => cause !== 'pause' && cause !== 'none'),
  }),
  acknowledgeNotices: choice(
    {
      name: 'acknowledge-notices',
      summary: 'Tell the cloud, once drained, that what it gave notice of may begin (Azure).',
      defaultText: 'off',
      fallback: () => 'off',
    },
    switches,
  ),
  static: {
    kind: 'section',
    name: 'static',
    placeholder: 'SECTION',
    summary: 'Addresses for the provider "static": {addresses: [{private, public}]}.',
    defaultText: 'none',
    notInCloud: 'it is for a provider that reads no tags',
    read: readStatic,
  },
} as const satisfies { readonly [Property in keyof Configuration]: OptionFor<Configuration[Property]> };

/**
 * Every option, once: flags, environment variables, keys of the configuration file, help text and the tables
 * of the documents come from here.
 */
export const options: OptionTable = table;

export const optionList: readonly AnyOption[] = Object.values(options);

/** The flag, or undefined for a section. */
export function flagOf(option: AnyOption): string | undefined {
  return option.kind === 'section' ? undefined : `--${option.name}`;
}

/** The environment variable, or undefined for a section. */
export function variableOf(option: AnyOption): string | undefined {
  if (option.kind === 'section') return undefined;
  return `CLOUDSIP_${option.name.toUpperCase().replaceAll('-', '_')}`;
}

/** The key in the configuration file, or undefined where it cannot stand there. */
export function keyOf(option: AnyOption): string | undefined {
  return option.kind === 'single' && option.notInFile ? undefined : option.name;
}
