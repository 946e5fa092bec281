/** What of an SRV record decides who is asked first (RFC 2782). */
export interface Weighted {
  readonly priority: number;
  readonly weight: number;
}

/**
 * The records in the order in which to try them (RFC 2782, "Usage rules"): by priority, and within one
 * priority by lot, where a record's chance to be next is its share of the weights that are left. Records of
 * weight 0 keep a small chance. `random` yields numbers in [0, 1).
 */
export function orderSrv<T extends Weighted>(records: readonly T[], random: () => number): T[] {
  const byPriority = new Map<number, T[]>();
  for (const record of records) {
    const group = byPriority.get(record.priority);
    if (group) group.push(record);
    else byPriority.set(record.priority, [record]);
  }
  const ordered: T[] = [];
  for (const priority of [...byPriority.keys()].sort((a, b) => a - b)) {
    // Those of weight 0 stand first, so that only a lot of exactly 0 draws them while others are left.
    const left = byPriority.get(priority)!.sort((a, b) => Math.sign(a.weight) - Math.sign(b.weight));
    let sum = left.reduce((total, { weight }) => total + weight, 0);
    while (left.length > 0) {
      const lot = Math.floor(random() * (sum + 1));
      let running = 0;
      const index = left.findIndex(({ weight }) => (running += weight) >= lot);
      const [drawn] = left.splice(index, 1);
      sum -= drawn!.weight;
      ordered.push(drawn!);
    }
  }
  return ordered;
}
