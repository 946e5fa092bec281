import type { AskStunOptions } from './ask-stun.ts';
import type { DiscoveryContext, Provider } from './provider.ts';
import { soundTopology } from './sound-topology.ts';
import type { StunServer } from './stun-server.ts';
import type { StunVerdict } from './stun-verdict.ts';
import type { AddressMapping, Topology } from './topology.ts';
import { sameTopology } from './topology-diff.ts';

/** A NAT changes without the cloud's metadata telling: then only asking again shows it. */
const RECHECK_MS = 300_000;
/** While nobody answers; doubled each time up to the above. */
const RETRY_MS = 30_000;

type Verdicts = ReadonlyMap<string, StunVerdict>;

/**
 * The provider, with STUN asked about those addresses of which the cloud says itself that it does not know
 * (`publicUnknown`), and about no other. Without servers it only says what is missing. A failure of STUN changes
 * nothing that runs.
 */
export function withStun(provider: Provider, servers: readonly StunServer[]): Provider {
  /** What the cloud said last, without our additions: the provider compares with that. */
  let raw: Topology | undefined;
  let verdicts: Verdicts = new Map();
  /** Whether somebody was asked in vain the last time. */
  let silent = false;

  const check = async (told: Topology, context: DiscoveryContext, signal: AbortSignal) => {
    const topology = soundTopology(told);
    const unknown = unknownOf(topology);
    const fresh =
      unknown.length === 0 || servers.length === 0
        ? new Map<string, StunVerdict>()
        : await ask(unknown, { servers, clock: context.clock, signal });
    silent = [...fresh.values()].some(({ kind }) => kind === 'silent');
    verdicts = new Map(
      unknown.flatMap((address) => entry(address, fresh.get(address), verdicts.get(address))),
    );
    return fill(topology, verdicts, servers.length > 0);
  };

  return {
    name: provider.name,
    ...(provider.origin !== undefined && { origin: provider.origin }),
    detect: (facts) => provider.detect(facts),
    async discover(context, signal) {
      raw = await provider.discover(context, signal);
      return check(raw, context, signal);
    },
    watch(context, changed, signal, known) {
      const { clock, log } = context;
      let shown = known;
      let retryMs = RETRY_MS;
      let timer: object | undefined;
      let failing = silent;
      let running = Promise.resolve();
      /** What the next check is for: however often something changes meanwhile, it is one. */
      let queued: 'cloud' | 'time' | undefined;
      const refresh = (why: 'cloud' | 'time'): void => {
        const waiting = queued !== undefined;
        queued = queued === 'cloud' ? 'cloud' : why;
        if (waiting) return;
        running = running.then(async () => {
          const because = queued;
          queued = undefined;
          if (signal.aborted || !raw) return;
          const next = await check(raw, context, signal);
          if (signal.aborted) return;
          if (silent !== failing) {
            if (silent) log.warn({ provider: provider.name }, 'STUN gives no answer; it is asked again');
            else log.info({ provider: provider.name }, 'STUN answers again');
          }
          failing = silent;
          arm();
          // What the cloud told is news in any case, addresses that came or went on the machine among them.
          if (because === 'time' && shown && sameTopology(shown, next)) return;
          shown = next;
          changed(next);
        });
      };
      const arm = (): void => {
        if (timer) clock.cancel(timer);
        timer = undefined;
        if (signal.aborted || !raw || servers.length === 0 || unknownOf(raw).length === 0) return;
        const waitMs = silent ? retryMs : RECHECK_MS;
        retryMs = silent ? Math.min(retryMs * 2, RECHECK_MS) : RETRY_MS;
        timer = clock.schedule(() => refresh('time'), waitMs * (0.9 + 0.2 * Math.random()));
      };
      signal.addEventListener(
        'abort',
        () => {
          if (timer) clock.cancel(timer);
        },
        { once: true },
      );
      arm();
      provider.watch(
        context,
        (next) => {
          raw = next;
          refresh('cloud');
        },
        signal,
        raw ?? known,
      );
    },
    ...(provider.watchNotices && {
      watchNotices: (context, notify, signal) => provider.watchNotices?.(context, notify, signal),
    }),
    ...(provider.examine && {
      examine: (context, examination, signal) => provider.examine!(context, examination, signal),
    }),
  };
}

function unknownOf(topology: Topology): string[] {
  const mappings = topology.interfaces.flatMap((nic) => nic.addresses);
  return mappings.filter((mapping) => mapping.publicUnknown).map(({ privateAddress }) => privateAddress);
}

/** Loaded by whoever has something to ask: most machines never do. */
async function ask(addresses: readonly string[], options: AskStunOptions): Promise<Verdicts> {
  const [{ askStun }, { judgeSightings }] = await Promise.all([
    import('./ask-stun.ts'),
    import('./stun-verdict.ts'),
  ]);
  const sightings = await Promise.all(addresses.map((address) => askStun(address, options)));
  return judgeSightings(
    sightings,
    options.servers.map(({ text }) => text),
  );
}

/** Who once had an answer keeps it while there is none: silence says nothing. */
function entry(
  address: string,
  now: StunVerdict | undefined,
  before: StunVerdict | undefined,
): [string, StunVerdict][] {
  const kept = now?.kind === 'silent' && before !== undefined ? before : now;
  return kept ? [[address, kept]] : [];
}

function fill(topology: Topology, verdicts: Verdicts, asked: boolean): Topology {
  const unknown = unknownOf(topology);
  if (unknown.length === 0) return topology;
  return {
    ...topology,
    interfaces: topology.interfaces.map((nic) => ({
      ...nic,
      addresses: nic.addresses.map((mapping) =>
        mapping.publicUnknown ? filled(mapping, verdicts.get(mapping.privateAddress)) : mapping,
      ),
    })),
    notes: [
      ...(topology.notes ?? []),
      ...unknown.map((address) => noteOf(address, verdicts.get(address), asked)),
    ],
  };
}

function filled(mapping: AddressMapping, verdict: StunVerdict | undefined): AddressMapping {
  const { publicUnknown: _, ...known } = mapping;
  if (verdict?.kind === 'mapped') {
    return { ...known, publicAddress: verdict.publicAddress, provenance: 'stun' };
  }
  return verdict?.kind === 'none' ? { ...known, provenance: 'stun' } : mapping;
}

function noteOf(address: string, verdict: StunVerdict | undefined, asked: boolean): string {
  const remedy = `Name the public address with --listen 'udp:${address} as PUBLIC' or --advertise PUBLIC`;
  switch (verdict?.kind) {
    case 'mapped':
      return `${address} is advertised as ${verdict.publicAddress}, as ${verdict.by} see it. Should that be a NAT gateway of several machines, say --stun off.`;
    case 'none':
      return `Nothing stands in front of ${address}: STUN servers see it as it is.`;
    case 'shared':
      return `${address} leaves by a NAT gateway that is not its own (${verdict.why}), so the gateway's address is not advertised and nobody outside reaches ${address}. Give the machine a public address, or: ${remedy}.`;
    case 'silent':
      return `What stands in front of ${address} is not known, so nothing is advertised for it: ${verdict.why}. ${remedy}, or other servers with --stun; they are asked again.`;
    case undefined:
      return `What stands in front of ${address} is not known, so nothing is advertised for it${asked ? '' : ', and STUN is off'}. ${remedy}.`;
  }
}
