import { describe, expect, it } from 'vitest';
import { refusedUrl } from '../../../../daemon/issuer/address.ts';

describe('addresses of an issuer', () => {
  it.each(['https://issuer.example', 'https://issuer.example:8443/a/b?c=d', 'https://xn--nxasmq6b.example/'])('takes %s', (url) => {
    expect(refusedUrl(url, false)).toBeNull();
  });

  it.each(['http://127.0.0.1', 'http://127.0.0.1:8080/x', 'http://[::1]:1/?a', 'http://127.0.0.1?a'])('takes %s where the profile allows it', (url) => {
    expect(refusedUrl(url, true)).toBeNull();
    expect(refusedUrl(url, false)).toContain('allow_loopback_http');
  });

  it.each([
    'http://localhost:1', 'http://127.1', 'http://2130706433', 'http://0x7f000001', 'http://127.0.0.1.nip.io', 'http://127.0.0.1:80@evil.example', 'http://[::ffff:127.0.0.1]',
    'HTTP://127.0.0.1', 'http:127.0.0.1', 'http:\\\\127.0.0.1', 'http://issuer.example', 'ftp://issuer.example', 'javascript:alert(1)', 'file:///etc/passwd', 'data:,x',
    'https://user@issuer.example', 'https://:pass@issuer.example', 'https://issuer.example/#', 'https://issuer.example/#x', 'https://issuer.example/\n', ' https://issuer.example',
    'https://issuer.example\\@evil.example', 'https://issuer.example/\u202e', 'https://', '/auth', '', `https://issuer.example/${'a'.repeat(2048)}`,
  ])('refuses %j even then', (url) => {
    expect(refusedUrl(url, true)).not.toBeNull();
  });
});
