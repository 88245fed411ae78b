/** Files that somebody made to hurt whoever looks for tokens. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expandPath, fillIn } from '../../../../client/adopt/expand-path.ts';
import { find, WITHHELD } from '../../../../client/adopt/find.ts';
import type { Finder, Format } from '../../../../client/adopt/finder.ts';
import { FINDERS } from '../../../../client/adopt/finders/index.ts';
import { readFormat } from '../../../../client/adopt/formats.ts';
import { pick } from '../../../../client/adopt/pick.ts';
import { FILE_MAX, readOwnFile } from '../../../../client/adopt/read-file.ts';
import { readYaml } from '../../../../client/adopt/yaml-ish.ts';
import { privateDirectory } from '../stand-in.ts';
import { run } from '../fake-world.ts';
import { OWN, put } from './rig.ts';

const FORMATS: readonly Format[] = ['json', 'yaml', 'ini', 'toml', 'netrc', 'urls', 'sqlite', 'text'];
const EMPTY = {};

const codexIn = (home: string) => find(FINDERS, { uid: OWN, home }, EMPTY);

describe('what is no file of this user is not read', () => {
  it.each([
    ['a FIFO', (path: string) => execFileSync('mkfifo', [path]), 'it is not a regular file'],
    ['a directory', (path: string) => mkdirSync(path), 'it is not a regular file'],
    ['a link to a device', (path: string) => symlinkSync('/dev/zero', path), 'it is not a regular file'],
    ['a link to another user\'s file', (path: string) => symlinkSync(strangersFile(), path), /^it belongs to user \d+$/],
    ['a link to itself', (path: string) => symlinkSync(path, path), 'it cannot be read (ELOOP)'],
    ['a huge file', (path: string) => { writeFileSync(path, '{}'); truncateSync(path, FILE_MAX + 1); }, 'it is larger than 4 MiB'],
  ] as const)('%s', async (_, make, why) => {
    const home = privateDirectory();
    mkdirSync(join(home, '.codex'));
    make(join(home, '.codex/auth.json'));
    expect(await codexIn(home)).toEqual({ findings: [], skipped: [{ tool: 'codex', path: join(home, '.codex/auth.json'), why: typeof why === 'string' ? why : expect.stringMatching(why) as string }] });
  });

  it('a socket', async () => {
    const home = privateDirectory();
    mkdirSync(join(home, '.codex'));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(home, '.codex/auth.json'), resolve));
    expect((await codexIn(home)).skipped.map(({ why }) => why)).toEqual(['it is not a regular file']);
    await new Promise((resolve) => server.close(resolve));
  });

  it('an own file behind a link is, and it is said where it was found', async () => {
    const home = privateDirectory();
    const real = put(home, 'dotfiles/auth.json', '{"OPENAI_API_KEY":"sk-linkedEXAMPLE"}', 0o644);
    mkdirSync(join(home, '.codex'));
    symlinkSync(real, join(home, '.codex/auth.json'));
    chmodSync(real, 0o644);
    expect((await codexIn(home)).findings).toMatchObject([{ path: join(home, '.codex/auth.json'), realPath: real, mode: 0o644 }]);
    expect((await run(['adopt'], { base: home })).stdout).toContain('Mode 0644, others of this machine may reach it; ');
  });
});

describe('what a file holds is only read', () => {
  it.each([
    ['JSON a million deep', 'json', '['.repeat(1_000_000)],
    ['TOML thousands deep', 'toml', `a = ${'['.repeat(50_000)}`],
    ['YAML thousands deep', 'yaml', Array.from({ length: 5_000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['YAML of dashes', 'yaml', `${'- '.repeat(20_000)}a: b`],
    ['a line of four million', 'yaml', `a: ${'x'.repeat(FILE_MAX)}`],
    ['quotes without an end', 'yaml', `a: "${'\\'.repeat(1_000_000)}`],
    ['keys without a colon', 'yaml', `${'a#'.repeat(300_000)}\n`],
    ['a million braces', 'sqlite', `SQLite format 3\0${'{"refresh_token"'.repeat(20_000)}`],
    ['words without an end', 'netrc', 'machine '.repeat(500_000)],
    ['lines without an end', 'urls', 'https://a:b@c\n'.repeat(300_000)],
  ] as const)('%s takes no time to speak of, and throws nothing', (_, format, text) => {
    expect(() => readFormat(format, Buffer.from(text))).not.toThrow();
  }, 10_000);

  it('whatever it is, nothing throws', () => {
    fc.assert(fc.property(fc.constantFrom(...FORMATS), fc.oneof(fc.uint8Array({ maxLength: 400 }), fc.string({ maxLength: 400 }).map((text) => Buffer.from(text)), fc.json().map((text) => Buffer.from(text))), (format, bytes) => {
      const value = readFormat(format, Buffer.from(bytes));
      for (const { places } of FINDERS) for (const { marks } of places) pick(value, marks);
    }), { numRuns: 400 });
  });

  it('names of Object\'s own are keys like others', () => {
    const marks = [{ kind: 'token' as const, at: '/*/token' }, { kind: 'token' as const, at: '/constructor/name' }];
    for (const [format, text] of [['json', '{"__proto__":{"token":"a"}}'], ['yaml', '__proto__:\n  token: a\n'], ['ini', '[__proto__]\ntoken = a\n']] as const) {
      expect(pick(readFormat(format, Buffer.from(text)), marks).map(({ secret }) => secret), format).toEqual(['a']);
    }
    expect(({} as Record<string, unknown>)['token']).toBeUndefined();
  });

  it('a directory of thousands of names is looked at so far only', async () => {
    const home = privateDirectory();
    mkdirSync(join(home, 'd'));
    for (let i = 0; i < 2_600; i += 1) writeFileSync(join(home, 'd', `${i}.json`), '');
    expect((await expandPath('~/d/*.json', { home, env: EMPTY })).length).toBe(500);
  });

  it('[AL-04] escapes and marks that turn the text reach no terminal, from labels and from names', async () => {
    const evil = '\u001b]0;owned\u0007\u202e\u200bx';
    const home = privateDirectory();
    put(home, `.config/gcloud/legacy_credentials/${evil}/adc.json`, JSON.stringify({ refresh_token: '1//EXAMPLE', client_id: evil }));
    put(home, '.pulumi/credentials.json', JSON.stringify({ accessTokens: { [`https://a${evil}`]: 'pul-EXAMPLE' } }));
    for (const argv of [['adopt'], ['adopt', '--json']]) {
      const { stdout, stderr } = await run(argv, { base: home });
      expect(`${stdout}${stderr}`).toContain('owned');
      expect(`${stdout}${stderr}`).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e]/);
    }
  });
});

describe('a label that gives the secret away is withheld', () => {
  const finder = (content: unknown): { finder: Finder; home: string } => {
    const home = privateDirectory();
    put(home, 'f.json', JSON.stringify(content));
    return {
      home,
      finder: { tool: 'x', name: 'X', fix: null, advice: 'none', sources: [], places: [{ path: '~/f.json', format: 'json', marks: [{ kind: 'token', at: '/token', issuer: '/issuer', client: '/client', account: '/account' }] }] },
    };
  };

  it.each([
    ['it is the secret', { token: 'abcdefgh', account: 'abcdefgh' }, 'account', WITHHELD],
    ['it holds the secret', { token: 'abcdefgh', issuer: 'https://x/abcdefgh' }, 'issuer', WITHHELD],
    ['it is a part of it', { token: 'ada:secretEXAMPLE', account: 'secretEXAMPLE' }, 'account', WITHHELD],
    ['it has the shape of one', { token: 'abcdefgh', account: 'ghp_somethingelseEXAMPLE' }, 'account', WITHHELD],
    ['it is long and random', { token: 'abcdefgh', account: '0123456789abcdef0123456789abcdef01' }, 'account', WITHHELD],
    ['a client that is the secret', { token: 'abcdefgh', client: 'abcdefgh' }, 'client', WITHHELD],
    ['a name in a URL is cut out', { token: 'abcdefgh', issuer: 'https://me:pw@x.example.com/' }, 'issuer', 'https://x.example.com/'],
    ['a client is public, however random', { token: 'abcdefgh', client: '0123456789abcdef0123456789abcdef01' }, 'client', '0123456789abcdef0123456789abcdef01'],
    ['a name that begins like one is none', { token: 'abcdefgh', account: 'cio@example.com' }, 'account', 'cio@example.com'],
    ['a host that begins like one is none', { token: 'abcdefgh', issuer: 'glass-house.example.com' }, 'issuer', 'glass-house.example.com'],
    ['a name is none', { token: 'abcdefgh', account: 'ada@example.com' }, 'account', 'ada@example.com'],
  ] as const)('%s', async (_, content, label, shown) => {
    const { finder: x, home } = finder(content);
    const { findings } = await find([x], { uid: OWN, home }, EMPTY);
    expect(findings[0]?.[label]).toBe(shown);
    expect(inspect(findings)).not.toContain('abcdefgh');
  });
});

describe('paths', () => {
  const home = '/home/ada';

  it.each([
    ['~/a', {}, ['/home/ada/a']],
    ['${X:-~/a}/b', {}, ['/home/ada/a/b']],
    ['${X:-~/a}/b', { X: '/x' }, ['/x/b']],
    ['${X:-~/a}/b', { X: 'relative' }, ['/home/ada/a/b']],
    ['${X:-~/a}/b', { X: '' }, ['/home/ada/a/b']],
    ['${X:-${Y:-~/y}/a}/b', { Y: '/y' }, ['/y/a/b']],
    ['${X:-~/a}', { X: '/one:/two' }, ['/one', '/two']],
  ] as const)('%s with %j', (path, env, filled) => {
    expect(fillIn(path, { home, env })).toEqual(filled);
  });
});

describe('the YAML of tools', () => {
  it.each([
    ['a: 1\nb:\n  c: two # said\n', { a: '1', b: { c: 'two' } }],
    ['a:\n- b: 1\n  c: 2\n- d\n', { a: [{ b: '1', c: '2' }, 'd'] }],
    ['a:\n  - b: 1\n    c:\n      d: 2\ne: 3\n', { a: [{ b: '1', c: { d: '2' } }], e: '3' }],
    ['"a b": \'it\'\'s\'\n', { 'a b': 'it\'s' }],
    ['a: |\n  - x: y\n  z: 1\nb: 2\n', { a: '|', b: '2' }],
    ['---\n# said\nhttps://x.example.com:8080: y\n', { 'https://x.example.com:8080': 'y' }],
    ['a:\n', { a: '' }],
    ['', ''],
  ])('%j', (text, value) => {
    expect(JSON.parse(JSON.stringify(readYaml(text)))).toEqual(value);
  });
});

function strangersFile(): string {
  if (OWN !== 0) return '/etc/hostname';
  const path = put(privateDirectory(), 'theirs', '{"OPENAI_API_KEY":"sk-strangerEXAMPLE"}', 0o644);
  chownSync(path, 65_534, 65_534);
  return path;
}

describe('readOwnFile', () => {
  it('tells an absent file from one that cannot be read', async () => {
    const home = privateDirectory();
    const file = put(home, 'a', 'x');
    expect((await readOwnFile(join(home, 'b'), OWN)).kind).toBe('absent');
    expect((await readOwnFile(join(file, 'b'), OWN)).kind).toBe('absent');
    expect((await readOwnFile(file, OWN + 1)).kind).toBe('skipped');
  });
});
