import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { Finding } from '../../src/discovery/finding.ts';
import { checks } from '../../src/doctor/checks.ts';
import { type Discovered, type DoctorOptions, examineMachine } from '../../src/doctor/doctor.ts';
import { fakePatient, judged, twoCards, udp } from './fake-patient.ts';

const { configuration, context, machine } = fakePatient({ configuration: { provider: 'heaven' } });
const heaven = {
  name: 'heaven',
  detect: () => true,
  discover: async () => twoCards(),
  watch: () => {},
};

const well: Discovered = {
  topology: twoCards(),
  configuration,
  warnings: [],
  listeners: [udp('10.0.0.15', '203.0.113.5')],
};

async function examine(more: Partial<DoctorOptions> = {}): Promise<Finding[]> {
  const found: Finding[] = [];
  const examination = examineMachine({
    configuration,
    context,
    machine,
    providers: [heaven],
    warnings: [],
    discover: async () => well,
    agent: { pid: 1, uid: 0 },
    ...more,
  });
  for await (const finding of examination) found.push(finding);
  return found;
}

/** Those that look at nothing but what is handed in. */
const quiet = checks.filter(({ name }) => name !== 'hairpin' && name !== 'state-directory');

describe('an examination', () => {
  test('goes on where a check stumbles, in the order of the table', async () => {
    const findings = await examine({
      checks: [
        { name: 'one', run: () => [{ check: 'one', verdict: 'pass', evidence: 'Well.' }] },
        { name: 'two', run: () => Promise.reject(new Error('stumbled')) },
        {
          name: 'three',
          run: (patient) => [{ check: 'three', verdict: 'pass', evidence: patient.provider!.name }],
        },
      ],
    });
    assert.deepEqual(findings, [
      { check: 'one', verdict: 'pass', evidence: 'Well.' },
      { check: 'two', verdict: 'skip', evidence: 'It could not be checked: stumbled' },
      { check: 'three', verdict: 'pass', evidence: 'heaven' },
    ]);
  });

  for (const [name, more, code] of [
    [
      'a silent cloud',
      {
        discover: async () => {
          throw new DiscoveryError('discovery.metadata-timeout', 'Nothing came. Do something.');
        },
      },
      'Nothing came.',
    ],
    ['an unknown provider', { providers: [] }, 'There is no provider "heaven".'],
  ] as const) {
    test(`tells of ${name}, and examines the machine all the same`, async () => {
      const findings = await examine({ ...more, checks: quiet });
      const failed = findings.filter(({ verdict }) => verdict === 'fail');
      assert.deepEqual(
        failed.map(({ check, evidence }) => [check, evidence]),
        [['metadata', code]],
      );
      assert.ok(findings.some(({ check }) => check === 'rtp-ports'));
      assert.ok(findings.some(({ check }) => check === 'system-calls'));
    });
  }

  test('every finding that is bad says what to do', async () => {
    const findings = await examine({
      discover: async () => ({
        ...well,
        warnings: ['the tag cloudsip-x has no effect'],
        listeners: [udp('10.0.0.15', '203.0.113.99'), udp('10.0.1.15', '203.0.113.99')],
      }),
      checks: quiet,
      machine: { ...machine, routeFrom: () => undefined },
    });
    const bad = findings.filter(({ verdict }) => verdict === 'fail' || verdict === 'warn');
    assert.deepEqual(judged(bad), [
      'warn',
      'fail udp:10.0.0.15:5060',
      'fail udp:10.0.1.15:5060',
      'warn udp:203.0.113.99:5060',
      'fail 10.0.0.15',
      'fail 10.0.1.15',
    ]);
    for (const { remedy, check } of bad) assert.ok(remedy, check);
  });
});
