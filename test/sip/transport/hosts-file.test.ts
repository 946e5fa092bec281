import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHosts, readHostsFile } from '../../../src/sip/transport/hosts-file.ts';

test('names and aliases lead to their addresses in order, comments and odd lines are passed over', () => {
  const hosts = parseHosts(
    '127.0.0.1\tlocalhost\n::1 localhost ip6-localhost # loopback\n# 10.0.0.1 no\n\nnonsense here\n' +
      '10.0.0.9  Gateway.Example.COM gateway\r\n10.0.0.9 gateway\n10.0.0.8',
  );
  assert.deepEqual(
    [...hosts],
    [
      ['localhost', ['127.0.0.1', '::1']],
      ['ip6-localhost', ['::1']],
      ['gateway.example.com', ['10.0.0.9']],
      ['gateway', ['10.0.0.9']],
    ],
  );
});

test('a missing file is an empty one', () => {
  assert.equal(readHostsFile('/nonexistent/hosts').size, 0);
});
