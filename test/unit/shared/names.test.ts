import { describe, expect, it } from 'vitest';
import { isResourceUri } from '../../../shared/names.ts';

describe('isResourceUri', () => {
  it.each(['https://api.example', 'https://api.example:8443/v1?x=a@b', 'api://5b0c', 'urn:example:api', 'https://[::1]:80/', 'https://graph.microsoft.com//', 'spiffe://a/b'])('takes %s', (text) => {
    expect(isResourceUri(text)).toBe(true);
  });

  it.each([
    ['that fits https://*.example.com, of another host', 'https://evil.example?.example.com'], ['with a user name', 'https://api.example@evil.example/'], ['with a backslash', 'https://evil.example\\.example.com/'],
    ['with a fragment', 'https://api.example/#x'], ['that is relative', '/v1'], ['with a space', 'https://api.example/ x'], ['with letters that look alike', 'https://\u0430pi.example/'],
  ])('refuses one %s: %s', (_what, text) => {
    expect(isResourceUri(text)).toBe(false);
  });
});
