/** The real Assertions port: files and commands on this machine, and what may come of them. */
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ASSERTION_KINDS } from '../../daemon/config/assertion-kinds.ts';
import type { BrokerError } from '../../daemon/core/errors.ts';
import type { AssertionSource, Federated } from '../../daemon/core/workload.ts';
import { createAssertions } from '../../daemon/federation/assertions.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { someWorkload } from '../support/builders.ts';

const ISSUER = 'https://login.example.com';
const clock = createClock();
const uid = process.getuid?.() ?? 0;
let dir: string;
let count = 0;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'vk-assertion-'));
});
afterAll(async () => rm(dir, { recursive: true, force: true }));

const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
function jwt(claims: object = {}, header: object = {}): string {
  const now = Math.floor(Date.now() / 1000);
  return `${b64({ alg: 'RS256', kid: 'k1', ...header })}.${b64({ iss: 'https://cluster.example', sub: 'system:serviceaccount:prod:backup', aud: [ISSUER], iat: now, exp: now + 600, ...claims })}.c2lnbmF0dXJlLUVYQU1QTEU`;
}
async function file(text: string, mode = 0o600): Promise<string> {
  const path = join(dir, `token-${(count += 1)}`);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}
const federated = (source: AssertionSource, from = 'jwt', over: Partial<Federated> = {}): Federated => {
  const kind = ASSERTION_KINDS.get(from);
  if (kind === undefined) throw new Error('no such kind');
  return { kind: 'federated', from, ...kind, subject: null, audience: ISSUER, source, ...over };
};
const read = (auth: Federated, reader = uid) => createAssertions({ clock, home: dir, uid: reader }).read(someWorkload({ auth }), auth);
const refusal = (auth: Federated, reader = uid): Promise<BrokerError> => read(auth, reader).then(() => { throw new Error('it was taken'); }, (cause: BrokerError) => cause);
const fromFile = async (text: string, from?: string, over?: Partial<Federated>) => federated({ kind: 'file', path: await file(text) }, from, over);
const fromProgram = (script: string) => federated({ kind: 'command', argv: [process.execPath, '-e', script] });

describe('[WL-03] an assertion', () => {
  it('is read anew each time, through the links that Kubernetes swaps', async () => {
    await mkdir(join(dir, '..2026'));
    await mkdir(join(dir, '..2027'));
    const [first, second] = [jwt({ jti: 'one' }), jwt({ jti: 'two' })];
    await writeFile(join(dir, '..2026', 'token'), `${first}\n`, { mode: 0o600 });
    await writeFile(join(dir, '..2027', 'token'), second, { mode: 0o644 });
    await symlink('..2026', join(dir, '..data'));
    await symlink('..data/token', join(dir, 'token'));
    const auth = federated({ kind: 'file', path: join(dir, 'token') }, 'kubernetes');
    expect((await read(auth)).equals(first)).toBe(true);
    await rm(join(dir, '..data'));
    await symlink('..2027', join(dir, '..data'));
    expect((await read(auth)).equals(second)).toBe(true);
  });

  it.each([
    ['another audience', { aud: ['https://elsewhere.example'] }, 'is for https://elsewhere.example, and has to be for https://login.example.com alone'],
    ['one more audience', { aud: [ISSUER, 'https://elsewhere.example'] }, 'alone'],
    ['a longer audience', { aud: `${ISSUER}/` }, 'alone'],
    ['no audience', { aud: undefined }, 'is for nobody'],
    ['an end that has passed', { exp: Math.floor(Date.now() / 1000) - 1 }, 'is over'],
    ['an end that comes at once', { exp: Math.floor(Date.now() / 1000) + 2 }, 'is over'],
    ['no end', { exp: undefined }, 'does not say when it ends'],
    ['a beginning to come', { nbf: Math.floor(Date.now() / 1000) + 3_600 }, 'does not hold yet'],
    ['no subject', { sub: undefined }, 'names no subject'],
  ])('with %s is refused, and not quoted', async (_, claims, why) => {
    const text = jwt(claims);
    const error = await refusal(await fromFile(text));
    expect(error).toMatchObject({ code: 'assertion_invalid', message: expect.stringContaining(why) });
    for (const part of text.split('.')) expect(error.message).not.toContain(part);
  });

  it.each([
    ['no signature', { alg: 'none' }], ['no signature, in capitals', { alg: 'NONE' }], ['a shared secret', { alg: 'HS256' }], ['no algorithm', { alg: undefined }],
  ])('with %s is refused', async (_, header) => {
    expect(await refusal(await fromFile(jwt({}, header)))).toMatchObject({ code: 'assertion_invalid' });
  });

  it.each(['', 'not a token', 'a.b', '{"token":"x"}', `${jwt()} ${jwt()}`, 'eyJ.eyJ.eyJ'])('that is no JWT is refused: %s', async (text) => {
    expect(await refusal(await fromFile(text))).toMatchObject({ code: 'assertion_invalid' });
  });

  it.each([
    ['kubernetes', { sub: 'alice' }, {}, 'system:serviceaccount:'], ['spiffe', { sub: 'prod/backup' }, {}, 'spiffe://'],
    ['github', { iss: 'https://github.com' }, {}, 'https://token.actions.githubusercontent.com'],
    ['jwt', {}, { issuer: 'https://another.example' }, 'https://another.example'], ['jwt', {}, { subject: 'system:serviceaccount:prod:other' }, 'prod:other'],
  ])('of %s that says %j is refused where the profile wants %j', async (from, claims, over, named) => {
    expect(await refusal(await fromFile(jwt(claims), from, over))).toMatchObject({ code: 'assertion_invalid', message: expect.stringContaining(named) });
  });

  it('of SPIFFE is sent as what it is', async () => {
    const auth = await fromFile(jwt({ sub: 'spiffe://example.com/backup' }), 'spiffe');
    expect(auth.type).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-spiffe');
    expect((await read(auth)).toString()).toBe('[secret]');
  });
});

describe('[WL-03] a file', () => {
  it.each([[0o620, 'chmod go-w'], [0o602, 'chmod go-w'], [0o666, 'chmod go-w']])('that others may write is refused: %o', async (mode, hint) => {
    const auth = federated({ kind: 'file', path: await file(jwt(), mode) });
    expect(await refusal(auth)).toMatchObject({ code: 'assertion_unavailable', message: expect.stringContaining('can be written by others'), hint: expect.stringContaining(hint) });
  });

  it('of another user is refused, and one of root is not', async () => {
    const path = await file(jwt());
    const auth = federated({ kind: 'file', path });
    // Root's own file, where root runs the tests, is good for everybody; then it is given to somebody.
    if (uid === 0) expect((await read(auth, 1_000)).toString()).toBe('[secret]');
    const owner = uid === 0 ? 12_345 : uid;
    if (uid === 0) await chown(path, owner, owner);
    expect(await refusal(auth, owner + 1)).toMatchObject({ code: 'assertion_unavailable', message: expect.stringContaining(`belongs to the user with id ${owner}`) });
  });

  it.each([['that is not there', () => join(dir, 'nowhere')], ['that is a directory', () => dir], ['that never ends', () => '/dev/zero']])('%s is refused', async (_, path) => {
    expect(await refusal(federated({ kind: 'file', path: path() }))).toMatchObject({ code: 'assertion_unavailable' });
  });

  it('that is too large is refused', async () => {
    expect(await refusal(await fromFile('x'.repeat(20_000)))).toMatchObject({ code: 'assertion_unavailable', message: expect.stringContaining('larger') });
  });
});

describe('[WL-03] a command', () => {
  it('is run anew each time, without a shell, and with nothing of this environment', async () => {
    process.env['VK_SECRET'] = 'inherited-EXAMPLE';
    const seen = join(dir, 'seen');
    const text = jwt();
    const script = `require('fs').appendFileSync(${JSON.stringify(seen)}, JSON.stringify([process.argv.slice(1), Object.keys(process.env).sort(), process.cwd()]) + '\\n'); console.log(${JSON.stringify(text)})`;
    const auth = federated({ kind: 'command', argv: [process.execPath, '-e', script, '$HOME; rm -rf /', '*'] });
    expect((await read(auth)).equals(text)).toBe(true);
    await read(auth);
    const lines = (await import('node:fs')).readFileSync(seen, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as unknown);
    delete process.env['VK_SECRET'];
    const seenOnce = [['$HOME; rm -rf /', '*'], ['HOME', 'LC_ALL', 'PATH'], '/'];
    expect(lines).toEqual([seenOnce, seenOnce]);
  });

  it('that fails says so, and nothing of what it wrote', async () => {
    const error = await refusal(fromProgram(`console.log('half-a-token-EXAMPLE'); console.error('password-EXAMPLE'); process.exit(3)`));
    expect(error).toMatchObject({ code: 'assertion_unavailable', message: expect.stringContaining('ended with status 3') });
    expect(error.message).not.toContain('EXAMPLE');
    expect(await refusal(federated({ kind: 'command', argv: ['/nowhere/at-all'] }))).toMatchObject({ code: 'assertion_unavailable', message: expect.stringContaining('ENOENT') });
  });

  it('that writes without end is ended', async () => {
    expect(await refusal(fromProgram(`for (;;) require('fs').writeSync(1, 'x'.repeat(4096))`))).toMatchObject({ code: 'assertion_unavailable', message: expect.stringContaining('more than 16384 bytes') });
  });

  it('that is late is ended, with what it started', async () => {
    const pidFile = join(dir, 'late.pid');
    const script = `const { spawn } = require('child_process'); const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' }); require('fs').writeFileSync(${JSON.stringify(pidFile)}, String(child.pid)); setInterval(() => {}, 1000)`;
    let late: () => void = () => undefined;
    const waiting = createAssertions({
      clock: { ...clock, sleep: (_ms, signal) => new Promise((resolve, reject) => {
        late = resolve;
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }) }, home: dir, uid,
    }).read(someWorkload(), fromProgram(script)).catch((cause: unknown) => cause);
    const { existsSync, readFileSync } = await import('node:fs');
    await expect.poll(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '').toBe(true);
    const grandchild = Number(readFileSync(pidFile, 'utf8'));
    expect(() => process.kill(grandchild, 0)).not.toThrow();
    late();
    expect(await waiting).toMatchObject({ code: 'assertion_unavailable', message: expect.stringContaining('took longer than 10 s') });
    // Gone, or a zombie whose parent is init: either way it runs no more.
    await expect.poll(() => (existsSync(`/proc/${grandchild}/stat`) ? readFileSync(`/proc/${grandchild}/stat`, 'utf8').split(') ')[1]?.[0] : 'gone')).toMatch(/^(Z|gone)$/);
  });
});
