import { describe, expect, it } from 'vitest';
import { issHolds } from '../../../../daemon/loopback/iss.ts';

const issuer = 'https://issuer.example/tenant';

describe('iss of an authorization response', () => {
  it.each([
    ['advertised, present and equal', issuer, true, true],
    ['advertised, present and another', 'https://evil.example', true, false],
    ['advertised and absent', null, true, false],
    ['not advertised, present and equal', issuer, false, true],
    ['not advertised, present and another', 'https://evil.example', false, false],
    ['not advertised and absent', null, false, true],
  ])('%s', (_row, iss, required, holds) => {
    expect(issHolds(iss, { issuer, required })).toBe(holds);
  });

  it.each([`${issuer}/`, issuer.toUpperCase(), issuer.replace('https', 'HTTPS'), `${issuer}?`, ` ${issuer}`, issuer.replace('issuer', '%69ssuer'), '', 'null'])(
    'compares to the letter: %j is another', (iss) => {
      expect(issHolds(iss, { issuer, required: false })).toBe(false);
    });
});
