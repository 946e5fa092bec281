const censored = '[redacted]';
/** Names of fields whose values nobody may read in a log. */
const secretName =
  /passw(?:or)?d|passphrase|secret|authorization|credential|cookie|private-?key|(?:^|[-_.])token$|Token$|^ha1$/i;
/** The headers with credentials, folded lines included (RFC 3261 7.3.1), where a whole message is logged. */
const secretHeader = /\b((?:proxy-)?authorization[ \t]*:)[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*/gi;
/** `sip:alice:password@host` (RFC 3261 19.1.1). Bounded, so that a long hostile text costs no quadratic time. */
const secretUserinfo = /\b(sips?:[^\s:@<>"]{1,64}):[^\s@<>",;]{1,128}@/gi;
/** Cheap test of a whole line; most lines hold nothing of the kind and are not taken apart. */
const suspicious =
  /passw|passphrase|secret|authorization|credential|cookie|private-?key|token"|"ha1"|sips?:[^\s:@<>"]{1,64}:[^\s@<>",;]{1,128}@/i;

/** A line of JSON without its secrets, however deep they lie. */
export function redactLine(line: string): string {
  if (!suspicious.test(line)) return line;
  try {
    return `${JSON.stringify(JSON.parse(line, redactValue))}\n`;
  } catch {
    // Not to be expected of our own logger; nothing is shown rather than something secret.
    return `{"level":"error","msg":"a log line with ${censored} content was not JSON and is left out"}\n`;
  }
}

function redactValue(name: string, value: unknown): unknown {
  if (secretName.test(name)) return censored;
  if (typeof value !== 'string') return value;
  return value.replace(secretHeader, `$1 ${censored}`).replace(secretUserinfo, `$1:${censored}@`);
}

/**
 * A line of JSON that cannot steer a terminal: what the network sends may be in it. Escaped control characters
 * and raw ones of the C1 block become a replacement character; line breaks and tabs stay.
 */
export function harmlessLine(line: string): string {
  return line.replace(/\\\\|\\u00(?:[01][0-9a-f]|7f|[89][0-9a-f])|[\x7f-\x9f]/gi, (found) =>
    found === '\\\\' ? found : '\ufffd',
  );
}
