import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Finding } from '../discovery/finding.ts';
import type { PortRange } from '../media/port-pool.ts';
import { formatEndpoint } from '../net/address.ts';
import type { Patient } from './patient.ts';
import { type OwnAddress, ownAddresses } from './source-routing.ts';

const check = 'hairpin';
const waitMs = 500;

/**
 * Whether our public addresses reach ourselves from here. Most 1-to-1 NATs do not lead back, and cloudsip does
 * not need it: for who tries out a phone on this very machine it is good to know.
 */
export async function checkHairpin(patient: Patient): Promise<Finding[]> {
  if (!patient.topology) return [];
  const mapped = ownAddresses(patient).filter(({ publicAddress }) => publicAddress !== undefined);
  return Promise.all(mapped.map((own) => probe(own, patient.configuration.rtpPorts)));
}

async function probe(own: OwnAddress, ports: PortRange): Promise<Finding> {
  const { address, publicAddress: publicOne, family } = own;
  const subject = publicOne!;
  // A media port, since those are let in by the cloud's firewall, if anything is.
  const port = ports.to;
  const socket = createSocket(family === 'ipv4' ? 'udp4' : 'udp6');
  try {
    socket.bind(port, address);
    await once(socket, 'listening');
    const token = Buffer.from(`cloudsip doctor ${Math.random()}`);
    const returned = await returns(socket, token, publicOne!, port);
    const way = `A datagram from ${address} to ${formatEndpoint({ address: publicOne!, port })}`;
    const evidence = returned
      ? `${way} came back to us: the cloud's NAT leads back.`
      : `${way} did not come back within ${waitMs} ms: as usual with 1-to-1 NAT; cloudsip does not need it.`;
    return { check, subject, verdict: 'pass', evidence };
  } catch (error) {
    const evidence = `${formatEndpoint({ address, port })} could not be used for a try: ${(error as Error).message}.`;
    return { check, subject, verdict: 'skip', evidence };
  } finally {
    socket.close();
  }
}

function returns(socket: Socket, token: Buffer, address: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(false), waitMs);
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.on('message', (message) => {
      if (!message.equals(token)) return;
      clearTimeout(timer);
      resolve(true);
    });
    socket.send(token, port, address, (error) => {
      if (error) socket.emit('error', error);
    });
  });
}
