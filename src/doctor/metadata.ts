import type { Finding } from '../discovery/finding.ts';
import type { MetadataExchange } from './metadata-watch.ts';
import type { Patient } from './patient.ts';

const slowMs = 1000;

/** What the metadata service answered while the cloud was asked as at the agent's start, and how fast. */
export function checkMetadata({ exchanges, topology, discoveryError, provider }: Patient): Finding[] {
  const check = 'metadata';
  if (discoveryError) {
    // Its first sentence says what came, the others what to do.
    const [, what = '', remedy = ''] = /^(.*?[.!?])\s+(.*)$/s.exec(discoveryError.message) ?? [];
    return [
      {
        check,
        verdict: 'fail',
        evidence: what || discoveryError.message,
        remedy: remedy || 'Run "cloudsip discover --log-level debug", and see whether the provider is right.',
      },
    ];
  }
  if (exchanges.length === 0) {
    const evidence = `The provider ${provider?.name ?? topology?.provider} asks no metadata service.`;
    return [{ check, verdict: 'skip', evidence }];
  }
  return [...new Set(exchanges.map(({ origin }) => origin))].map((origin) =>
    judge(
      origin,
      exchanges.filter((each) => each.origin === origin),
    ),
  );
}

function judge(origin: string, exchanges: readonly MetadataExchange[]): Finding {
  const check = 'metadata';
  const answered = exchanges.filter(({ status }) => status !== undefined);
  const slowest = Math.round(Math.max(0, ...answered.map(({ durationMs }) => durationMs ?? 0)));
  const statuses = new Map<number, number>();
  for (const { status } of answered) statuses.set(status!, (statuses.get(status!) ?? 0) + 1);
  const list = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status} (${count})`);
  const evidence = `${origin} answered ${answered.length} of ${exchanges.length} requests, the slowest in ${slowest} ms: ${list.join(', ') || 'nothing'}.`;
  if (answered.length < exchanges.length || ![...statuses.keys()].some((status) => status < 300)) {
    return {
      check,
      verdict: 'warn',
      evidence,
      remedy:
        'The cloud was asked in another way. See that the metadata service is switched on for this machine and that no firewall rule of its own stands before that address.',
    };
  }
  if (slowest > slowMs || [...statuses.keys()].some((status) => status === 429 || status >= 500)) {
    return {
      check,
      verdict: 'warn',
      evidence,
      remedy:
        'It is slow or throttles: see whether another program of this machine asks it all the time. A start of the agent takes as much longer.',
    };
  }
  return { check, verdict: 'pass', evidence };
}
