/** Ports, both ends included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export const allPorts: PortRange = { from: 0, to: 65535 };
/** Where callers' own ports are: what we send goes there, and answers to what we asked come from there. */
export const callerPorts: PortRange = { from: 1024, to: 65535 };

/** What is left of `ranges` without `taken`. */
export function without(ranges: readonly PortRange[], taken: PortRange): PortRange[] {
  return ranges.flatMap(({ from, to }) => {
    if (taken.to < from || taken.from > to) return [{ from, to }];
    return [
      ...(from < taken.from ? [{ from, to: taken.from - 1 }] : []),
      ...(to > taken.to ? [{ from: taken.to + 1, to }] : []),
    ];
  });
}

/** The parts of `ranges` that `other` has too. */
export function within(ranges: readonly PortRange[], other: PortRange): PortRange[] {
  return ranges.flatMap(({ from, to }) => {
    const part = { from: Math.max(from, other.from), to: Math.min(to, other.to) };
    return part.from <= part.to ? [part] : [];
  });
}

/** `5060`, `10000-14999, 16000-20000`. */
export function showPorts(ranges: readonly PortRange[]): string {
  return ranges.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`)).join(', ');
}
