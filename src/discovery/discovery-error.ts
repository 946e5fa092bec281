import { CloudsipError } from '../error.ts';

export type DiscoveryErrorCode =
  | 'discovery.aborted'
  | 'discovery.api-anonymous'
  | 'discovery.api-credentials'
  | 'discovery.api-failed'
  | 'discovery.api-forbidden'
  | 'discovery.api-timeout'
  | 'discovery.configuration'
  | 'discovery.endpoint'
  | 'discovery.metadata-failed'
  | 'discovery.metadata-forbidden'
  | 'discovery.metadata-garbled'
  | 'discovery.metadata-throttled'
  | 'discovery.metadata-timeout'
  | 'discovery.metadata-too-large'
  | 'discovery.metadata-unauthorized'
  | 'discovery.metadata-unreachable'
  | 'discovery.plugin'
  | 'discovery.stun'
  | 'discovery.timeout'
  | 'discovery.unknown-provider'
  | 'discovery.undetected';

/** Why a topology could not be found: what was asked, what came and what to do. */
export class DiscoveryError extends CloudsipError {
  declare readonly code: DiscoveryErrorCode;

  constructor(code: DiscoveryErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** Foreign text made safe for a message or a log line: quoted, on one line, at most 60 characters. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
