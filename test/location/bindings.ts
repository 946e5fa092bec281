import type { Binding } from '../../src/location/binding.ts';

/** A binding of alice, valid for an hour from the ManualClock's beginning. */
export function binding(changes: Partial<Binding> = {}): Binding {
  return {
    aor: 'alice',
    contact: 'sip:alice@192.0.2.1:5060',
    params: '',
    q: 1000,
    expiresAt: 1_700_000_000_000 + 3_600_000,
    callId: 'call-1',
    cseq: 1,
    received: { address: '198.51.100.1', port: 40000 },
    listener: 'udp:10.0.0.15:5060',
    path: [],
    userAgent: 'phone/1.0',
    ...changes,
  };
}
