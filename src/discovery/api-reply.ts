import type { DiscoveryErrorCode } from './discovery-error.ts';

/** What a child that asked an API writes to its standard output, as one JSON text. */
export type ApiReply<Answer> =
  | { readonly answer: Answer }
  | { readonly error: { readonly code: DiscoveryErrorCode; readonly message: string } };
