/** The search finds a planted secret in every form it claims to know, and nothing where there is nothing. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collectCanaries, searchBytes, searchTree } from '../../support/canaries.ts';

const value = 'rt+/=~A b"\\ü-EXAMPLE';
const canaries = collectCanaries([{ kind: 'refresh_token', value }]);

describe('canaries', () => {
  it.each([
    ['raw', value],
    ['percent-encoded', encodeURIComponent(value)],
    ['percent-encoded, lower case', encodeURIComponent(value).replace(/%[0-9A-F]{2}/g, (c) => c.toLowerCase())],
    ['form-encoded', new URLSearchParams({ refresh_token: value }).toString()],
    ['percent-encoded throughout', Buffer.from(value).toString('hex').replace(/../g, '%$&')],
    ['JSON', JSON.stringify({ refresh_token: value })],
    ['JSON with slashes escaped', JSON.stringify({ refresh_token: value }).replaceAll('/', '\\/')],
    ['hex', Buffer.from(value).toString('hex')],
    ['base64', Buffer.from(value).toString('base64')],
    ['base64url', Buffer.from(value).toString('base64url')],
    ['UTF-16', Buffer.from(value, 'utf16le')],
  ])('finds a secret that is %s', (_form, text) => {
    const bytes = Buffer.concat([Buffer.from('before '), Buffer.from(text), Buffer.from(' after')]);
    expect(searchBytes('stdout', bytes, canaries)).toMatchObject([{ where: 'stdout', kind: 'refresh_token' }]);
  });

  it('finds a secret inside a longer text that was base64-encoded, wherever it stands', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), fc.constantFrom('base64', 'base64url'), (before, after, encoding) => {
      const text = Buffer.concat([before, Buffer.from(value), after]).toString(encoding as 'base64');
      return searchBytes('header', text, canaries).length === 1;
    }));
  });

  it('finds nothing in innocent bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => searchBytes('noise', Buffer.from(bytes), canaries).length === 0));
  });

  it('never shows what it found', () => {
    expect(JSON.stringify(searchBytes('stdout', value, canaries))).not.toContain('rt+/');
  });

  it('leaves out kinds that may be there, and takes secrets of other origin', () => {
    const some = collectCanaries([{ kind: 'access_token', value: 'access-token-EXAMPLE' }, { kind: 'id_token', value: 'id-token-EXAMPLE' }], { except: ['access_token'], more: ['passphrase-EXAMPLE'] });
    expect(searchBytes('x', 'access-token-EXAMPLE id-token-EXAMPLE passphrase-EXAMPLE', some).map((found) => found.kind)).toEqual(['id_token', 'other']);
  });

  it('refuses a secret that is too short to be told from chance', () => {
    expect(() => collectCanaries([{ kind: 'state', value: 'short' }])).toThrow(/too short/);
  });

  it('searches all files of a tree, hidden ones and names too, and follows no link', () => {
    const directory = mkdtempSync(join(tmpdir(), 'canaries-'));
    try {
      mkdirSync(join(directory, '.hidden/deep'), { recursive: true });
      writeFileSync(join(directory, '.hidden/deep/file'), Buffer.from(value).toString('base64'));
      writeFileSync(join(directory, 'clean'), 'nothing');
      writeFileSync(join(directory, encodeURIComponent(value)), '');
      symlinkSync('/proc/self/environ', join(directory, 'link'));
      const places = searchTree(directory, canaries).map((found) => found.where.replace(directory, ''));
      expect(places.toSorted()).toEqual(['/.hidden/deep/file', `name of /${encodeURIComponent(value)}`]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
