import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Endpoint } from '../../src/net/address.ts';
import { bindUdp } from './loopback.ts';

interface Registration {
  readonly server: Endpoint;
  /** Contact, and where the request comes from: a registrar may hold what it sees against what it is told. */
  readonly contact: Endpoint;
  readonly user: string;
  readonly password: string;
}

const resendMs = 200;
const patienceMs = 10_000;

/** Registers a user for an hour, with digest authentication where it is asked for. Waits for a server that is starting. */
export async function register(registration: Registration): Promise<void> {
  const socket = await bindUdp(registration.contact);
  try {
    const callId = randomBytes(8).toString('hex');
    let answer = await exchange(socket, registration, callId, 1, '');
    if (answer.status === 401) {
      const line = /^WWW-Authenticate:\s*(Digest .*algorithm=MD5\b.*|Digest (?!.*algorithm=).*)$/im.exec(
        answer.text,
      );
      if (!line) throw new Error(`expected a challenge for MD5 and got:\n${answer.text}`);
      answer = await exchange(socket, registration, callId, 2, credentials(line[1]!, registration));
    }
    if (answer.status !== 200) throw new Error(`expected 200 to REGISTER and got:\n${answer.text}`);
  } finally {
    socket.close();
    await once(socket, 'close');
  }
}

function requestUri({ server }: Registration): string {
  return `sip:${server.address}:${server.port}`;
}

async function exchange(
  socket: Socket,
  registration: Registration,
  callId: string,
  sequence: number,
  authorization: string,
): Promise<{ status: number; text: string }> {
  const { server, contact, user } = registration;
  const own = `${contact.address}:${contact.port}`;
  const addressOfRecord = `sip:${user}@${server.address}:${server.port}`;
  const request = [
    `REGISTER ${requestUri(registration)} SIP/2.0`,
    `Via: SIP/2.0/UDP ${own};branch=z9hG4bK${randomBytes(8).toString('hex')};rport`,
    'Max-Forwards: 70',
    `From: <${addressOfRecord}>;tag=${callId}`,
    `To: <${addressOfRecord}>`,
    `Call-ID: ${callId}`,
    `CSeq: ${sequence} REGISTER`,
    `Contact: <sip:${user}@${own}>`,
    'Expires: 3600',
    ...(authorization ? [`Authorization: ${authorization}`] : []),
    'Content-Length: 0',
    '\r\n',
  ].join('\r\n');
  const send = () => socket.send(request, server.port, server.address);
  const answered = new AbortController();
  socket.on('error', () => {}); // refused while the server starts
  send();
  const again = setInterval(send, resendMs);
  const giveUp = setTimeout(() => answered.abort(), patienceMs);
  try {
    for (;;) {
      const [datagram] = (await once(socket, 'message', { signal: answered.signal })) as [Buffer];
      const text = datagram.toString('latin1');
      const status = Number(/^SIP\/2\.0 (\d{3})/.exec(text)?.[1]);
      if (status >= 200 && text.includes(`${sequence} REGISTER`)) return { status, text };
    }
  } catch (cause) {
    throw new Error(`expected ${server.address}:${server.port} to answer within ${patienceMs} ms`, { cause });
  } finally {
    clearInterval(again);
    clearTimeout(giveUp);
  }
}

/** RFC 2617 3.2.2, with qop=auth where the challenge offers it. */
function credentials(challenge: string, registration: Registration): string {
  const value = (name: string): string | undefined => {
    const match = new RegExp(`[ ,]${name}=(?:"([^"]*)"|([^,\\s]+))`, 'i').exec(challenge);
    return match?.[1] ?? match?.[2];
  };
  const md5 = (...parts: string[]) => createHash('md5').update(parts.join(':')).digest('hex');
  const { user, password } = registration;
  const uri = requestUri(registration);
  const realm = value('realm') ?? '';
  const nonce = value('nonce') ?? '';
  const secret = md5(user, realm, password);
  const request = md5('REGISTER', uri);
  const opaque = value('opaque');
  const common = `Digest username="${user}", realm="${realm}", nonce="${nonce}", uri="${uri}", algorithm=MD5${opaque ? `, opaque="${opaque}"` : ''}`;
  if (!value('qop')) return `${common}, response="${md5(secret, nonce, request)}"`;
  const cnonce = randomBytes(8).toString('hex');
  const response = md5(secret, nonce, '00000001', cnonce, 'auth', request);
  return `${common}, qop=auth, nc=00000001, cnonce="${cnonce}", response="${response}"`;
}
