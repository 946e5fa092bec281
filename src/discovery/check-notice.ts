import type { Notice, NoticeKind } from './notice.ts';

const KINDS: Readonly<Record<NoticeKind, true>> = {
  termination: true,
  reboot: true,
  'scale-in': true,
  maintenance: true,
  rebalance: true,
  pause: true,
};
const MAX_TEXT = 200;

/** Whether what somebody else's code calls a notice is one. */
export function isNotice(value: unknown): value is Notice {
  if (typeof value !== 'object' || value === null) return false;
  const { id, kind, deadline, source, withdrawn, acknowledge } = value as Record<string, unknown>;
  return (
    isShortText(id) &&
    isShortText(source) &&
    typeof kind === 'string' &&
    Object.hasOwn(KINDS, kind) &&
    (deadline === undefined || Number.isFinite(deadline)) &&
    (withdrawn === undefined || withdrawn === true) &&
    (acknowledge === undefined || typeof acknowledge === 'function')
  );
}

function isShortText(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT;
}
