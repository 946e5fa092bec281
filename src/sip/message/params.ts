import { isNameAt, quotedEnd, skipSpace, tokenEnd, trimEnd } from './grammar.ts';

/**
 * The value of `;name=value` in a parameter list that starts with `;` (or is empty): `''` where the parameter
 * stands without a value, undefined where it is absent. Names are compared without case; quotes are kept.
 */
export function paramValue(params: string, name: string): string | undefined {
  const end = params.length;
  for (let i = params.indexOf(';'); i >= 0 && i < end; ) {
    const nameStart = skipSpace(params, i + 1, end);
    const nameEnd = tokenEnd(params, nameStart, end);
    let at = skipSpace(params, nameEnd, end);
    let valueStart = at;
    if (params.charCodeAt(at) === 0x3d) {
      valueStart = skipSpace(params, at + 1, end);
      at = valueEnd(params, valueStart, end);
    }
    if (nameEnd - nameStart === name.length && isNameAt(params, nameStart, name)) {
      return params.slice(valueStart, trimEnd(params, valueStart, at));
    }
    i = params.indexOf(';', at);
  }
  return undefined;
}

/** `params` without every `;name` and `;name=value`. */
export function withoutParam(params: string, name: string): string {
  let kept = '';
  const end = params.length;
  for (let i = params.indexOf(';'); i >= 0 && i < end; ) {
    const nameStart = skipSpace(params, i + 1, end);
    const nameEnd = tokenEnd(params, nameStart, end);
    let at = skipSpace(params, nameEnd, end);
    if (params.charCodeAt(at) === 0x3d) at = valueEnd(params, skipSpace(params, at + 1, end), end);
    let next = params.indexOf(';', at);
    if (next < 0) next = end;
    if (params.slice(nameStart, nameEnd).toLowerCase() !== name) kept += params.slice(i, next);
    i = next;
  }
  return kept;
}

function valueEnd(params: string, start: number, end: number): number {
  if (params.charCodeAt(start) === 0x22) {
    const close = quotedEnd(params, start, end);
    return close < 0 ? end : close;
  }
  const semicolon = params.indexOf(';', start);
  return semicolon < 0 ? end : semicolon;
}
