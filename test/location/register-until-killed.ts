/** Stores bindings and tells each that is stored, until somebody kills it. Argument: the state directory. */
import { writeSync } from 'node:fs';
import { openSqliteLocation } from '../../src/location/sqlite-location.ts';
import { systemClock } from '../../src/net/clock.ts';
import { binding } from './bindings.ts';

// ManualClock stands in the test at 2023: whatever is registered now is still valid there.
const store = openSqliteLocation(process.argv[2]!, systemClock, {
  report: (sentence) => {
    throw new Error(sentence);
  },
});
for (let n = 0; n < 1_000_000; n++) {
  const aor = `u${n}`;
  const expiresAt = systemClock.now() + 3_600_000;
  store.replace(aor, [binding({ aor, contact: `sip:${aor}@192.0.2.1`, expiresAt })]);
  writeSync(1, `${aor}\n`);
}
