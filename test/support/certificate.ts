import { join } from 'node:path';
import { runProgram } from './process.ts';

export interface Certificate {
  readonly keyFile: string;
  readonly certificateFile: string;
}

/** A key and a certificate that it signed itself, for these IP addresses and names, in files of `directory`. */
export async function makeCertificate(directory: string, hosts: readonly string[]): Promise<Certificate> {
  const keyFile = join(directory, 'key.pem');
  const certificateFile = join(directory, 'certificate.pem');
  const names = hosts.map((host) => (/^[\d.]+$|:/.test(host) ? `IP:${host}` : `DNS:${host}`));
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
  const subject = ['-subj', '/CN=cloudsip test', '-addext', `subjectAltName=${names.join(',')}`];
  await runProgram('openssl', ['req', '-x509', '-days', '2', ...key, ...subject, '-out', certificateFile]);
  return { keyFile, certificateFile };
}
