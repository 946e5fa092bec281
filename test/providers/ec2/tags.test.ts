import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ec2 } from '../../../providers/ec2.ts';
import type { Topology } from '../../../src/discovery/topology.ts';
import { ec2Context } from '../../support/ec2-surroundings.ts';
import { startFakeImds } from '../../support/fake-imds.ts';
import { type ImdsTree, imdsDocument } from '../../support/fake-imds-document.ts';

const MACHINE = imdsDocument({
  nics: [{ mac: '02:00:00:00:00:01', addresses: [{ private: '10.0.0.15', public: '203.0.113.5' }] }],
});

async function discoverTagged(instance: ImdsTree): Promise<Pick<Topology, 'options' | 'notes'>> {
  await using imds = await startFakeImds({ document: { ...MACHINE, tags: { instance } } });
  const { options, notes } = await ec2.discover(ec2Context({ imds }), new AbortController().signal);
  return { ...(options && { options }), ...(notes && { notes }) };
}

test('tags that are named cloudsip-… are options; others are nobody’s business and not read', async () => {
  await using imds = await startFakeImds({
    document: {
      ...MACHINE,
      tags: {
        instance: { Name: 'edge', 'cloudsip-log-level': 'debug', 'cloudsip-domain': ' sip.example.com ' },
      },
    },
  });
  const { options } = await ec2.discover(ec2Context({ imds }), new AbortController().signal);
  assert.deepEqual(options, { 'log-level': 'debug', domain: 'sip.example.com' });
  assert.equal(
    imds.requests.some(({ path }) => path.endsWith('/Name')),
    false,
  );
});

test('without tags in metadata there are no options and no notes', async () => {
  await using imds = await startFakeImds({ document: MACHINE });
  const topology = await ec2.discover(ec2Context({ imds }), new AbortController().signal);
  assert.deepEqual([topology.options, topology.notes], [undefined, undefined]);
});

test('a name or a value that cannot be one is told, and the others count', async () => {
  const { options, notes = [] } = await discoverTagged({
    'cloudsip-do.main': 'example.com',
    'cloudsip-': 'x',
    'cloudsip-realm': 'two\nlines',
    'cloudsip-alias': 'x'.repeat(1025),
    'cloudsip-udp': 'dgram',
  });
  assert.deepEqual(options, { udp: 'dgram' });
  assert.equal(notes.length, 4);
  assert.match(notes[0]!, /^The tag "cloudsip-do\.main" sets no option: .*letters, digits/);
  assert.match(notes[2]!, /"cloudsip-realm".*one line of at most 1024/);
  for (const note of notes) assert.ok(!note.includes('two') && !note.includes('xxx'), note);
});

test('however many there are, it stays bounded', async () => {
  const many = Object.fromEntries(Array.from({ length: 400 }, (_, index) => [`cloudsip-a${index}`, 'x']));
  const bad = Object.fromEntries(Array.from({ length: 400 }, (_, index) => [`cloudsip-a.${index}`, 'x']));
  const { options = {}, notes = [] } = await discoverTagged({ ...many, ...bad });
  assert.deepEqual([Object.keys(options).length, notes.length], [64, 5]);
});

test('prototypes are no options', async () => {
  const { options } = await discoverTagged({ 'cloudsip-constructor': 'x', 'cloudsip-proto': 'y' });
  assert.deepEqual(options, { constructor: 'x', proto: 'y' });
});
