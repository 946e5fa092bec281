/** Headers by which somebody proves that he knows a password; each line with those that it is folded into. */
const proofs = /^((?:proxy-)?(?:authorization|authentication-info)[ \t]*:)((?:[^\r\n]|\r\n[ \t])*)/gim;
const digest = /^\s*(?:digest\s|[a-z]+\s*=)/i;
/** What a password can be guessed by, at leisure. */
const hashes = /(\b(?:response|rspauth)\s*=\s*"?)([^",\s]*)/gi;

/**
 * A message without what proves a password, as long as it was: a capture is read by others than those who may log
 * in. Who wanted to be who stays.
 */
export function withoutCredentials(text: string): string {
  const end = text.indexOf('\r\n\r\n');
  const head = end < 0 ? text : text.slice(0, end);
  const clean = head.replace(proofs, (_line, name: string, value: string) =>
    digest.test(value)
      ? name + value.replace(hashes, (_all, before: string, hash: string) => before + '0'.repeat(hash.length))
      : name + value.replace(/\S/g, '0'),
  );
  return end < 0 ? clean : clean + text.slice(end);
}
