import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHALLENGE_MAX, readStepUpDemand } from '../../../shared/challenge.ts';

const INSUFFICIENT = 'error="insufficient_user_authentication"';
const demand = (over: object = {}) => ({ acrValues: [], maxAgeS: null, scopes: [], ...over });

describe('a WWW-Authenticate header', () => {
  it.each([
    // RFC 9470, section 3, as it stands there.
    ['the first example of RFC 9470', 'Bearer error="insufficient_user_authentication",\t  error_description="A different authentication level is required", acr_values="myACR"', demand({ acrValues: ['myACR'] })],
    ['the second one', 'Bearer error="insufficient_user_authentication", error_description="More recent authentication is required", max_age="5"', demand({ maxAgeS: 5 })],
    ['several classes, an age and scopes', `Bearer ${INSUFFICIENT}, acr_values="phr  phrh", max_age=300, scope="read write read"`, demand({ acrValues: ['phr', 'phrh'], maxAgeS: 300, scopes: ['read', 'write'] })],
    ['names in any case, blanks around =', `bEARER ERROR = "insufficient_user_authentication" , Acr_Values="a"`, demand({ acrValues: ['a'] })],
    ['DPoP', `DPoP algs="ES256", ${INSUFFICIENT}, acr_values=a`, demand({ acrValues: ['a'] })],
    ['several challenges', `Basic realm="a, Bearer ${'x'}", Negotiate YWJj==, Digest nonce="x", Bearer realm="r", ${INSUFFICIENT}, acr_values="a"`, demand({ acrValues: ['a'] })],
    ['token68 that ends the list before', `Negotiate YWJjZA==, Bearer ${INSUFFICIENT}, max_age=1`, demand({ maxAgeS: 1 })],
    ['empty elements of the list', `, ,Bearer ${INSUFFICIENT},, acr_values=a, ,`, demand({ acrValues: ['a'] })],
    ['escapes in a quoted string', 'Bearer error="insufficient_\\user_authentication", acr_values="a\\"b"', demand({ acrValues: ['a"b'] })],
    ['neither class nor age: a new sign-in', `Bearer ${INSUFFICIENT}`, demand({ maxAgeS: 0 })],
    ['an age beyond a year', `Bearer ${INSUFFICIENT}, max_age=999999999999`, demand({ maxAgeS: 31_536_000 })],
    ['the first of two that ask', `Bearer ${INSUFFICIENT}, acr_values=a, DPoP ${INSUFFICIENT}, acr_values=b`, demand({ acrValues: ['a'] })],
  ])('[SU-01] is read: %s', (_, header, expected) => {
    expect(readStepUpDemand(header)).toEqual(expected);
  });

  it.each([
    ['empty', ''],
    ['another error', 'Bearer error="invalid_token", acr_values="a"'],
    ['no error', 'Bearer acr_values="a"'],
    ['another scheme', `Basic ${INSUFFICIENT}, acr_values="a"`],
    ['the error within a text', `Bearer realm="x, ${INSUFFICIENT.replaceAll('"', '\\"')}"`],
    ['the error of another challenge', `Bearer acr_values=a, Basic ${INSUFFICIENT}`],
    ['a parameter twice', `Bearer ${INSUFFICIENT}, acr_values=a, acr_values=b`],
    ['a parameter twice, in another case', `Bearer ${INSUFFICIENT}, error=x`],
    ['no comma between parameters', `Bearer ${INSUFFICIENT} acr_values=a`],
    ['a string that does not end', `Bearer ${INSUFFICIENT}, acr_values="a`],
    ['a line break', `Bearer ${INSUFFICIENT},\r\n acr_values=a`],
    ['a control character in a class', `Bearer ${INSUFFICIENT}, acr_values="a\u001b[2J"`],
    ['a class beyond ASCII', `Bearer ${INSUFFICIENT}, acr_values="\u00e4"`],
    ['a class beyond Latin-1', `Bearer ${INSUFFICIENT}, acr_values="\u202e"`],
    ['too many classes', `Bearer ${INSUFFICIENT}, acr_values="${'a '.repeat(17)}"`],
    ['a class that is too long', `Bearer ${INSUFFICIENT}, acr_values="${'a'.repeat(257)}"`],
    ['a negative age', `Bearer ${INSUFFICIENT}, max_age="-1"`],
    ['an age with a fraction', `Bearer ${INSUFFICIENT}, max_age="1.5"`],
    ['a scope that is none', `Bearer ${INSUFFICIENT}, scope="a \\"b"`],
    ['too long', `Bearer ${INSUFFICIENT}, acr_values=a, x="${'y'.repeat(CHALLENGE_MAX)}"`],
    ['too many challenges', `${'Basic realm=x, '.repeat(16)}Bearer ${INSUFFICIENT}`],
  ])('[SU-01] asks for nothing: %s', (_, header) => {
    expect(readStepUpDemand(header)).toBeNull();
  });

  it('[SU-01] is taken apart whatever it holds, and what comes out is clean', () => {
    const piece = fc.constantFrom('Bearer', 'DPoP', ' ', ',', '"', '\\', '=', 'error', INSUFFICIENT, 'acr_values', 'max_age', 'scope', 'a', '1', '\t', '\u0000', '\u202e', 'YWJj==');
    fc.assert(fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 40 }), (pieces) => {
      const found = readStepUpDemand(pieces.join(''));
      if (found === null) return;
      expect([...found.acrValues, ...found.scopes].every((word) => /^[\x21-\x7e]{1,256}$/.test(word))).toBe(true);
      expect(found.maxAgeS === null || (Number.isInteger(found.maxAgeS) && found.maxAgeS >= 0)).toBe(true);
    }), { numRuns: 2_000 });
  });

  it.each([['"', '\\'], [',', ' '], ['a=', ','], ['a ', '='], ['a="', '",'], ['\\"', '']])('[SU-01] takes no longer for being built to be slow: %j %j', (head, tail) => {
    const hostile = `Bearer ${INSUFFICIENT}, ${(head + tail).repeat(CHALLENGE_MAX)}`.slice(0, CHALLENGE_MAX);
    const started = performance.now();
    for (let i = 0; i < 20; i += 1) readStepUpDemand(hostile);
    // Where a pattern goes back over what it read, this takes minutes.
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
