import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pcapDatagram, pcapHeader } from '../../../src/media/recording/pcap.ts';

const at = (address: string, port: number) => ({ address, port });

test('tshark reads both families, to the microsecond, and finds every checksum right', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'cloudsip-pcap-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'both.pcap');
  const time = 1_767_261_600_123.456;
  const odd = Buffer.from('an odd number');
  writeFileSync(
    path,
    Buffer.concat([
      pcapHeader(),
      pcapDatagram(time, at('192.0.2.1', 4000), at('203.0.113.5', 10_000), odd)!,
      pcapDatagram(time, at('2001:db8::1', 4000), at('2001:db8:1::5', 10_002), odd)!,
      pcapDatagram(time, at('2001:db8::1', 4000), at('2001:db8:1::5', 10_002), new Uint8Array(0))!,
    ]),
  );
  const fields = [
    'frame.time_epoch',
    'ip.src',
    'ipv6.dst',
    'udp.dstport',
    'udp.length',
    'ip.checksum.status',
  ];
  const checks = ['-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE'];
  const names = [...fields, 'udp.checksum.status'].flatMap((name) => ['-e', name]);
  const output = execFileSync('tshark', ['-r', path, ...checks, '-T', 'fields', ...names], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // 1 is good, 3 is none.
  assert.deepEqual(output.trimEnd().split('\n'), [
    ['1767261600.123456000', '192.0.2.1', '', '10000', '21', '1', '3'].join('\t'),
    ['1767261600.123456000', '', '2001:db8:1::5', '10002', '21', '', '1'].join('\t'),
    ['1767261600.123456000', '', '2001:db8:1::5', '10002', '8', '', '1'].join('\t'),
  ]);
});

test('what is no packet of IP gives none: two families, a name, too long', () => {
  const empty = new Uint8Array(0);
  assert.equal(pcapDatagram(0, at('192.0.2.1', 1), at('2001:db8::1', 1), empty), undefined);
  assert.equal(pcapDatagram(0, at('sip.example.com', 1), at('192.0.2.1', 1), empty), undefined);
  assert.equal(pcapDatagram(0, at('192.0.2.1', 1), at('192.0.2.2', 1), new Uint8Array(65_536)), undefined);
});
