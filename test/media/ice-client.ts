import { createHmac, randomBytes } from 'node:crypto';

/** A connectivity check as a full ICE agent sends it (RFC 8445 7.2). */
export function bindingRequest(username: string, password: string, nominates: boolean): Buffer {
  const attributes = [
    attribute(0x0006, Buffer.from(username)),
    attribute(0x0024, Buffer.from([0x6e, 0, 1, 0xff])),
    attribute(0x802a, randomBytes(8)),
    ...(nominates ? [attribute(0x0025, Buffer.alloc(0))] : []),
  ];
  const header = Buffer.alloc(20);
  header.writeUInt16BE(1, 0);
  header.writeUInt32BE(0x2112a442, 4);
  randomBytes(12).copy(header, 8);
  const body = Buffer.concat([header, ...attributes]);
  body.writeUInt16BE(body.length - 20 + 24, 2);
  return Buffer.concat([body, attribute(0x0008, createHmac('sha1', password).update(body).digest())]);
}

function attribute(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(value.length, 2);
  return Buffer.concat([header, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}
