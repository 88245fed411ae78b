import { expect, it } from 'vitest';
import { createRandom } from '../../../../daemon/platform/random.ts';

it('makes base64url tokens of so many bytes, none twice', () => {
  const random = createRandom();
  const tokens = Array.from({ length: 100 }, () => random.token(32));
  expect(new Set(tokens).size).toBe(100);
  for (const token of tokens) expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
});

it('makes fractions of one', () => {
  const random = createRandom();
  for (let i = 0; i < 100; i += 1) {
    const fraction = random.fraction();
    expect(fraction).toBeGreaterThanOrEqual(0);
    expect(fraction).toBeLessThan(1);
  }
});
