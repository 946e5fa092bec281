import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMediaDestination } from '../../src/media/destination.ts';

describe('where packets may be sent to on the word of an SDP', () => {
  const cases: [address: string, port: number, boundAddress: string, expected: boolean, why: string][] = [
    ['203.0.113.5', 40_000, '10.0.0.34', true, 'a host on the internet'],
    ['10.0.0.7', 40_000, '10.0.0.34', true, 'a neighbour'],
    ['10.0.0.34', 40_000, '10.0.0.34', true, 'a media server on this machine'],
    ['2001:db8::5', 40_000, '2001:db8::1', true, 'IPv6'],
    ['127.0.0.5', 40_000, '127.0.0.1', true, 'loopback from loopback'],
    ['203.0.113.5', 53, '10.0.0.34', false, 'a privileged port'],
    ['203.0.113.5', 0, '10.0.0.34', false, 'no port'],
    ['203.0.113.5', 65_536, '10.0.0.34', false, 'the port after the last'],
    ['169.254.169.254', 8080, '10.0.0.34', false, 'the metadata service'],
    ['127.0.0.1', 40_000, '10.0.0.34', false, 'services of this host'],
    ['::1', 40_000, '2001:db8::1', false, 'the same in IPv6'],
    ['fe80::1', 40_000, '2001:db8::1', false, 'a link-local address without its zone'],
    ['224.0.0.251', 5353, '10.0.0.34', false, 'multicast'],
    ['ff02::fb', 5353, '2001:db8::1', false, 'multicast in IPv6'],
    ['255.255.255.255', 40_000, '10.0.0.34', false, 'broadcast'],
    ['0.0.0.0', 40_000, '10.0.0.34', false, 'a hold'],
    ['2001:db8::5', 40_000, '10.0.0.34', false, 'another family'],
    ['phone.example.com', 40_000, '10.0.0.34', false, 'a name'],
  ];
  for (const [address, port, boundAddress, expected, why] of cases) {
    it(`${expected ? 'allows' : 'refuses'} ${why}: ${address} ${port}`, () => {
      assert.equal(isMediaDestination({ address, port }, boundAddress), expected);
    });
  }
});
