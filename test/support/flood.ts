import { parseArgs } from 'node:util';
import { writeSockaddr } from '../../src/media/sockaddr.ts';
import { AF_INET, IOVEC, loadLibc, MMSGHDR, SOCK_DGRAM } from '../../src/net/libc.ts';

/**
 * `node flood.ts --to ADDRESS --ports 10000-20000,… --rate 100000 --seconds 2`: RTP from a stranger to each of the
 * ports in turn, for so long and no longer. Prints how many packets it has sent.
 */
const { values } = parseArgs({
  options: {
    to: { type: 'string', default: '' },
    ports: { type: 'string', default: '' },
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '1' },
  },
});
const ports = values.ports.split(',').flatMap((range) => {
  const [from = 0, to = from] = range.split('-').map(Number);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
});
const seconds = Math.min(5, Number(values.seconds));
const rate = Math.min(200_000, Number(values.rate));

const libc = loadLibc();
const batch = 64;
const [addressAt, vectorAt, packetAt] = [batch * MMSGHDR.size, batch * (MMSGHDR.size + 32), batch * 128];
const packetBytes = 172;
const arena = new DataView(new ArrayBuffer(packetAt + packetBytes));
const at = libc.addressOf(new Uint8Array(arena.buffer));
arena.setUint8(packetAt, 0x80);
const pointer = (offset: number, value: number): void => arena.setBigUint64(offset, BigInt(value), true);
for (let n = 0; n < batch; n++) {
  const header = n * MMSGHDR.size;
  pointer(header + MMSGHDR.name, at + addressAt + n * 32);
  arena.setUint32(header + MMSGHDR.nameLength, 16, true);
  pointer(header + MMSGHDR.iov, at + vectorAt + n * IOVEC.size);
  pointer(header + MMSGHDR.iovLength, 1);
  pointer(vectorAt + n * IOVEC.size + IOVEC.base, at + packetAt);
  pointer(vectorAt + n * IOVEC.size + IOVEC.length, packetBytes);
  writeSockaddr(arena, addressAt + n * 32, { address: values.to, port: 1 });
}

const fd = libc.socket(AF_INET, SOCK_DGRAM, 0);
const began = performance.now();
let sent = 0;
let next = 0;
for (let passed = 0; passed < seconds * 1000; passed = performance.now() - began) {
  if (sent >= (passed * rate) / 1000) {
    libc.usleep(500);
    continue;
  }
  for (let n = 0; n < batch; n++) {
    arena.setUint16(addressAt + n * 32 + 2, ports[next]!);
    next = (next + 1) % ports.length;
  }
  sent += Math.max(0, libc.sendmmsg(fd, at, batch, 0));
}
libc.close(fd);
process.stdout.write(`sent ${sent}\n`);
