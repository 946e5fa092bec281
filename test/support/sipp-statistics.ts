/** What a run of sipp came to: the last line of its statistics file. */
export interface SippStatistics {
  readonly created: number;
  readonly successful: number;
  readonly failed: number;
  readonly retransmissions: number;
  readonly outOfCall: number;
  readonly deadCall: number;
  /** Columns that are not zero among those that say why calls failed, such as `FailedUnexpectedMessage`. */
  readonly failures: Readonly<Record<string, number>>;
  /** Mean time from INVITE to 200, milliseconds by sipp's own clock; NaN for a scenario without timer. */
  readonly responseTimeMs: number;
  /** Every column as it stands in the file. */
  readonly columns: Readonly<Record<string, string>>;
}

/** Reads the file that `-trace_stat` writes; undefined before its first line of figures. */
export function parseSippStatistics(text: string): SippStatistics | undefined {
  const lines = text.split('\n').filter((line) => line.includes(';'));
  const names = lines[0]?.split(';') ?? [];
  const values = lines.at(-1)?.split(';') ?? [];
  if (lines.length < 2) return undefined;
  const columns: Record<string, string> = {};
  for (const [index, name] of names.entries()) if (name !== '') columns[name] = values[index] ?? '';
  const total = (name: string) => Number(columns[`${name}(C)`] ?? 0);
  const failures: Record<string, number> = {};
  for (const column of Object.keys(columns)) {
    const name = /^(Failed(?!Call\()\w+)\(C\)$/.exec(column)?.[1];
    if (name !== undefined && total(name) > 0) failures[name] = total(name);
  }
  return {
    created: Number(columns['TotalCallCreated'] ?? 0),
    successful: total('SuccessfulCall'),
    failed: total('FailedCall'),
    retransmissions: total('Retransmissions'),
    outOfCall: total('OutOfCallMsgs'),
    deadCall: total('DeadCallMsgs'),
    failures,
    responseTimeMs: durationMs(columns['ResponseTime1(C)'] ?? ''),
    columns,
  };
}

/** `00:00:01:234567`: hours, minutes, seconds, microseconds. */
function durationMs(text: string): number {
  const [hours, minutes, seconds, micros] = text.split(':').map(Number);
  return (
    (hours ?? NaN) * 3_600_000 + (minutes ?? NaN) * 60_000 + (seconds ?? NaN) * 1000 + (micros ?? NaN) / 1000
  );
}
