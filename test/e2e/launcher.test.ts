/**
 * The conformance of everything that prints a token: command lines and answers of the daemon, each played to the
 * launcher, the Node entry and the whole CLI, which all have to say the same and end with the same status.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { data, frame, lineStandIn, TOKEN } from './line-stand-in.ts';
import type { LineStandIn, Script, Seen } from './line-stand-in.ts';
import { buildPrograms, HANDED_OVER, launcherRoom, runProgram } from './token-programs.ts';
import type { Ended, Program } from './token-programs.ts';

const room = launcherRoom();
let programs: readonly (readonly [Program, LineStandIn])[] = [];
beforeAll(async () => {
  programs = await Promise.all(buildPrograms(room).map(async (program) => [program, await lineStandIn()] as const));
}, 60_000);
afterAll(async () => {
  await Promise.all(programs.map(async ([, daemon]) => daemon.close()));
  room.remove();
});

type Told = { readonly program: Program; readonly ended: Ended; readonly seen: Seen };

/** Each program with a daemon of its own. */
async function tellAll(args: readonly string[], script: Script = {}, env: Readonly<Record<string, string>> = {}): Promise<readonly Told[]> {
  return Promise.all(programs.map(async ([program, daemon]) => {
    daemon.play(script);
    daemon.seen();
    const ended = await runProgram([...program.argv, ...args], { ...daemon.env, ...env });
    return { program, ended, seen: daemon.seen() };
  }));
}

/** All end as the whole CLI did, or say that they would run it with these arguments. @returns how it did */
function same(told: readonly Told[], args: readonly string[] = ['token', 'work']): Ended {
  const [whole] = told;
  if (whole?.program.handsOver !== null) throw new Error('the whole CLI did not run');
  for (const { program: { name, handsOver }, ended } of told) {
    if (handsOver === 'says' && ended.stdout.startsWith(HANDED_OVER)) {
      const words = [`${room.path}/launcher/../client/main.js`, ...args].map((word) => `<${word}>`).join('');
      expect({ name, ...ended }).toEqual({ name, exit: 0, stdout: `${HANDED_OVER}${words}`, stderr: '' });
    } else {
      expect({ name, ...ended }).toEqual({ name, ...whole.ended });
    }
  }
  return whole.ended;
}

describe('a plain command line is answered without the whole CLI', () => {
  it.each<readonly [readonly string[], object, string]>([
    [[], {}, `${TOKEN}\n`],
    [['--format', 'raw'], {}, `${TOKEN}\n`],
    [['--format=header'], {}, `Authorization: Bearer ${TOKEN}\n`],
    [['--format', 'env'], {}, `export VALETKEY_TOKEN='${TOKEN}'\nexport VALETKEY_TOKEN_EXPIRES_AT=1790000000\n`],
    [['--format', 'json'], {}, `${JSON.stringify(data, null, 2)}\n`],
    [['--json'], {}, `${JSON.stringify(data, null, 2)}\n`],
    [['--json', '--format', 'json', '-q'], {}, `${JSON.stringify(data, null, 2)}\n`],
    [['--quiet', '--no-interactive'], {}, `${TOKEN}\n`],
    [['--scope', 'a', '--scope', 'b  c', '--scope=d=e'], { scopes: ['a', 'b', 'c', 'd=e'] }, `${TOKEN}\n`],
    [['--resource', 'HTTPS://api.example.com/?x=[1]'], { resource: 'HTTPS://api.example.com/?x=[1]' }, `${TOKEN}\n`],
    [['--min-ttl', '0090'], { min_ttl_s: 90 }, `${TOKEN}\n`],
    [['--min-ttl=0'], { min_ttl_s: 0 }, `${TOKEN}\n`],
    [['--min-ttl', '86400', '--scope', 'x', '--resource=urn:x'], { scopes: ['x'], resource: 'urn:x', min_ttl_s: 86_400 }, `${TOKEN}\n`],
  ])('token work %j', async (flags, wanted, stdout) => {
    const told = await tellAll(['token', 'work', ...flags]);
    expect(same(told)).toEqual({ exit: 0, stdout, stderr: '' });
    const asked = { profile: 'work', interaction: 'never', ...wanted };
    for (const { program: { name, handsOver }, seen } of told) {
      const expected = handsOver === null ? { lines: [], http: [asked] } : { lines: [{ type: 'token', id: 1, protocol: 1, data: asked }], http: [] };
      expect({ name, ...seen }).toEqual({ name, ...expected });
    }
  });
});

/** The command line, and the exit status of the whole CLI. */
const UNUSUAL: readonly (readonly [string, number])[] = [
  ['', 2], ['--version', 0], ['help token', 0], ['nope', 2], ['token', 0], ['-q token work', 0], ['token work --force', 0], ['token work --why', 0],
  ['token WORK', 2], ['token work work', 2], ['token work --format xml', 2], ['token work --format', 2], ['token work --format=', 2], ['token work --json --format raw', 2],
  ['token work --min-ttl 86401', 2], ['token work --min-ttl -1', 2], ['token work --min-ttl 000000090', 2], ['token work --scope a"b', 2], ['token work --scope=', 2],
  ['token work --resource /x', 2], ['token work --resource https://x/#y', 2], ['token work --scope --json', 2], ['token -- work', 0], ['token work --nope', 2],
  ['token work --format raw --format header', 0], ['token work --interactive', 0], [`token ${'w'.repeat(65)}`, 2],
];
const ODD_WORDS: readonly (readonly string[])[] = [
  ['token', 'work', '--scope', ' '], ['token', ''], ['token', 'wörk'], ['token', 'work', '--scope', 'ä'], ['token', 'work', ...Array.from({ length: 65 }, (_, i) => ['--scope', `s${i}`]).flat()],
];

describe('a command line that is not plain is the whole CLI\'s, from its first byte to its exit status', () => {
  it.each(UNUSUAL)('valetkey %s', async (line, exit) => {
    const args = line === '' ? [] : line.split(' ');
    const told = await tellAll(args, {}, { VALETKEY_PROFILE: 'work' });
    expect(same(told, args).exit).toBe(exit);
    expect(told.map(({ seen }) => seen.lines)).toEqual(told.map(() => []));
  });

  it.each(ODD_WORDS.map((words) => [words]))('also %j', async (args) => {
    const told = await tellAll(args);
    same(told, args);
    expect(told.map(({ seen }) => seen.lines)).toEqual(told.map(() => []));
  });
});

const problem = { type: 'urn:valetkey:error:login_required', title: 'A person has to sign in', status: 401, detail: 'nobody has signed in', code: 'login_required', retryable: false, hint: 'Run: valetkey login work', reason: 'never_signed_in' };
/** In a line that must not be taken: the token that would then be printed. */
const bad = { ...data, access_token: 'wrong-EXAMPLE' };
const { source: _source, ...lacking } = bad;
const good = { exit: 0, stdout: `${TOKEN}\n`, stderr: '' };

describe('whatever the daemon answers, all say the same', () => {
  it.each<readonly [string, Script, Partial<Ended>]>([
    ['a problem', { line: `${frame(problem, { status: 401 })}\n`, http: { status: 401, body: problem } }, { exit: 3, stdout: '' }],
    ['a problem with status 200', { line: `${frame(problem)}\n`, http: { status: 401, body: problem } }, { exit: 3, stdout: '' }],
    ['half a line, and the end', { line: frame(bad).slice(0, -40), ends: true }, good],
    ['a whole line without its end', { line: frame(bad), ends: true }, good],
    ['a line of a mebibyte', { line: `${frame({ ...bad, access_token: 'x'.repeat(1 << 20) })}\n` }, good],
    ['a mebibyte without a line', { line: 'x'.repeat(1 << 20) }, good],
    ['NUL bytes', { line: Buffer.concat([Buffer.alloc(64), Buffer.from('\n')]) }, good],
    ['a NUL in the token', { line: `${frame(bad).replace('wrong', 'wro\0ng')}\n` }, good],
    ['the line byte by byte', { line: [...`${frame()}\n`] }, good],
    ['two lines', { line: `${frame()}\n${frame(bad)}\n` }, good],
    ['another id', { line: `${frame(bad, { id: 2 })}\n` }, good],
    ['no id', { line: `${frame(bad, { id: undefined })}\n` }, good],
    ['another type', { line: `${frame(bad, { type: 'status' })}\n` }, good],
    ['another protocol', { line: `${frame(bad, { protocol: 2 })}\n` }, good],
    ['a status that begins like a good one', { line: `${frame(bad, { status: 2001 })}\n` }, good],
    ['another profile', { line: `${frame({ ...bad, profile: 'other' })}\n` }, good],
    ['an array', { line: '[]\n' }, good],
    ['no JSON', { line: 'HTTP/1.1 400 Bad Request\r\n\r\n' }, good],
    ['an empty line', { line: '\n' }, good],
    ['JSON and more', { line: `${frame(bad)}x\n` }, good],
    ['a form feed as the end', { line: `${frame(bad)}\f`, ends: true }, good],
    ['spaces', { line: `${frame().replaceAll(',"', ', "')}\n` }, good],
    ['escapes in the token', { line: `${frame().replace(TOKEN, 'at\\u002dEXAMPLE')}\n` }, good],
    ['a member that is not there', { line: `${frame(lacking)}\n` }, good],
    ['a member twice', { line: `${frame().replace('"access_token"', '"access_token":"first","access_token"')}\n` }, good],
    ['a time that is no whole number', { line: `${frame({ ...bad, expires_at: 1.5 })}\n` }, good],
    ['a depth without end', { line: `{"type":${'['.repeat(60_000)}\n` }, good],
    ['the connection closed at once', { line: null, ends: true }, good],
    ['no answer in either dialect', { line: null, ends: true, http: null }, { exit: 9, stdout: '' }],
  ])('%s', async (_, script, expected) => {
    expect(same(await tellAll(['token', 'work'], script))).toMatchObject(expected);
  });

  it.each<readonly [string, object]>([
    ['no characters', { access_token: '' }], ['a line break', { access_token: 'a\nb' }], ['an escape sequence', { access_token: 'a\u001b[2J' }],
    ['DEL', { access_token: 'a\u007f' }], ['letters that are no ASCII', { access_token: 'ü' }],
  ])('a token of %s is refused', async (_, changes) => {
    const body = { ...data, ...changes };
    const args = ['token', 'work', '--format', 'header'];
    expect(same(await tellAll(args, { line: `${frame(body)}\n`, http: { status: 200, body } }), args)).toMatchObject({ exit: 7, stdout: '' });
  });

  it.each<readonly [string, readonly string[], object]>([
    ['a quote', ['env', 'raw', 'json'], { access_token: 'a\'b' }], ['what JSON escapes', ['raw', 'json'], { access_token: 'a"b\\c' }], ['another type', ['header'], { token_type: 'DPoP' }], ['a type in small letters', ['header', 'json'], { token_type: 'bearer' }],
    ['members that are new', ['raw', 'json'], { granted_to: { a: [1, 'x\\"', null, true] }, n: 0 }], ['a resource', ['raw', 'json'], { resource: 'https://x/' }], ['scopes beyond the request', ['raw'], { granted_beyond: ['admin'] }],
    ['marks that turn the reading direction', ['raw', 'json'], { scope: 'a \u202e' }], ['a time before 1970', ['env', 'json'], { expires_at: -5 }], ['a time of many digits', ['env', 'json'], { expires_at: 123_456_789_012_345 }],
  ])('%s: printed alike as %j', async (_, formats, changes) => {
    const body = { ...data, ...changes };
    for (const format of formats) {
      const args = ['token', 'work', '--format', format];
      expect(same(await tellAll(args, { line: `${frame(body)}\n`, http: { status: 200, body } }), args)).toMatchObject({ exit: 0, stdout: expect.stringMatching(/./) as string });
    }
  });

  it('members in another order are printed in that order', async () => {
    const body = Object.fromEntries(Object.entries(data).toReversed());
    const args = ['token', 'work', '--json'];
    expect(same(await tellAll(args, { line: `${frame(body)}\n`, http: { status: 200, body } }), args).stdout).toBe(`${JSON.stringify(body, null, 2)}\n`);
  });

  it('silence: they wait five seconds, then the whole CLI asks', async () => {
    const told = await tellAll(['token', 'work'], { line: null });
    expect(same(told)).toEqual(good);
    for (const { program: { name, handsOver }, seen } of told) expect({ name, lines: seen.lines.length }).toEqual({ name, lines: handsOver === null ? 0 : 1 });
  });
});
