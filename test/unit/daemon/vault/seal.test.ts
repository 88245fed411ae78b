import { decodeProtectedHeader } from 'jose';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { plainBinding, seal, unseal } from '../../../../daemon/vault/seal.ts';

const key = randomBytes(32);
const binding = { ...plainBinding('grant', 'vault-1', 'work'), issuer: 'https://issuer.example', sub: 'alice', generation: 3, digest: 'digest-1' };
const payload = () => Buffer.from('{"refreshToken":"rt-1-EXAMPLE"}');
const open = (sealed: string, with_ = key) => unseal(with_, sealed, '/state/grants/work.jwe');

describe('seal', () => {
  it('opens what it sealed, under the binding that it was sealed with', async () => {
    const opened = await open(await seal(key, binding, payload()));
    expect(Buffer.from(opened?.payload ?? []).toString()).toBe('{"refreshToken":"rt-1-EXAMPLE"}');
    expect(opened?.isBoundTo(binding)).toBe(true);
  });

  it.each([
    ['kind', 'revocation'], ['vault', 'vault-2'], ['name', 'other'], ['issuer', 'https://evil.example'], ['sub', null], ['generation', 4], ['digest', 'digest-2'],
  ])('is not bound to another %s', async (field, value) => {
    const opened = await open(await seal(key, binding, payload()));
    expect(opened?.isBoundTo({ ...binding, [field]: value })).toBe(false);
  });

  it('[ST-02] never uses a nonce twice under a key', async () => {
    const nonces = await Promise.all(Array.from({ length: 2_000 }, async () => (await seal(key, binding, payload())).split('.')[2]));
    expect(new Set(nonces).size).toBe(2_000);
    expect(Buffer.from(nonces[0] ?? '', 'base64url').length).toBe(12);
  });

  it('[ST-02] uses AES-256-GCM with the binding as associated data', async () => {
    const sealed = await seal(key, binding, payload());
    expect(decodeProtectedHeader(sealed)).toEqual({ alg: 'dir', enc: 'A256GCM', v: 1, ...binding });
    // Associated data of a JWE are the protected header's characters (RFC 7516, section 5.1, step 14).
    const [, ...rest] = sealed.split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'dir', enc: 'A256GCM', v: 1, ...binding, generation: 4 })).toString('base64url');
    expect(await open([header, ...rest].join('.'))).toBeNull();
  });

  it('[ST-02] fails closed when any character is changed', async () => {
    const sealed = await seal(key, binding, payload());
    for (let at = 0; at < sealed.length; at += 1) {
      for (const flip of [1, 4]) {
        const changed = Buffer.from(sealed);
        changed[at] = (changed[at] ?? 0) ^ flip;
        // A header whose version became a higher one is refused as such.
        const opened = await open(changed.toString('latin1')).catch((error: { code: string }) => error.code);
        expect([null, 'file_too_new'], `character ${at}`).toContain(opened);
      }
    }
  });

  it('[ST-02] takes no other spelling of the same bytes', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const sealed = await seal(key, binding, payload());
    for (const last of alphabet) {
      if (!sealed.endsWith(last)) expect(await open(sealed.slice(0, -1) + last), last).toBeNull();
    }
    for (const spelling of [`${sealed}=`, `${sealed} `, `${sealed}\n`, sealed.replace('-', '+')]) {
      if (spelling !== sealed) expect(await open(spelling)).toBeNull();
    }
  });

  it.each(['', ' ', '....', 'a.b.c.d.e', '{}', '\0'.repeat(100)])('fails closed on junk: %j', async (junk) => {
    expect(await open(junk)).toBeNull();
  });

  it('[ST-02] fails closed under another key', async () => {
    expect(await open(await seal(key, binding, payload()), randomBytes(32))).toBeNull();
  });

  it('refuses other algorithms, whatever the header says', async () => {
    const sealed = await seal(key, binding, payload());
    const [, ...rest] = sealed.split('.');
    for (const header of [{ alg: 'none' }, { alg: 'dir', enc: 'A128CBC-HS256' }, { alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', p2c: 1e9, p2s: 'AAAA' }]) {
      expect(await open([Buffer.from(JSON.stringify(header)).toString('base64url'), ...rest].join('.'))).toBeNull();
    }
  });

  it('zeroes what it sealed', async () => {
    const bytes = payload();
    await seal(key, binding, bytes);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });
});
