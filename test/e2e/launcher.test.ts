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
type Pair = readonly [Program, LineStandIn];
let programs: readonly Pair[] = [];
/** The same programs, with daemons that are slow: who waits for these holds up nobody else. */
let patient: readonly (readonly Pair[])[] = [];
beforeAll(async () => {
  const built = buildPrograms(room);
  const pairs = () => Promise.all(built.map(async (program) => [program, await lineStandIn()] as const));
  programs = await pairs();
  patient = await Promise.all([pairs(), pairs(), pairs()]);
}, 60_000);
afterAll(async () => {
  await Promise.all([programs, ...patient].flat().map(async ([, daemon]) => daemon.close()));
  room.remove();
});

type Told = { readonly program: Program; readonly ended: Ended; readonly seen: Seen };

/** Each program with a daemon of its own. */
async function tellAll(args: readonly string[], script: Script = {}, env: Readonly<Record<string, string>> = {}, pairs = programs): Promise<readonly Told[]> {
  return Promise.all(pairs.map(async ([program, daemon]) => {
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
      const words = [`${room.path}/client/main.js`, ...args].map((word) => `<${word}>`).join('');
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
});

describe('one command asks once', () => {
  /** In the other dialect the stand-in would say it, too: whoever asks again is seen by that alone. */
  const once = async (args: readonly string[], script: Script, pairs = programs): Promise<Ended> => {
    const told = await tellAll(args, script, {}, pairs);
    for (const { program: { name, handsOver }, seen } of told) {
      expect({ name, lines: seen.lines.length, http: seen.http.length }).toEqual({ name, lines: handsOver === null ? 0 : 1, http: handsOver === null ? 1 : 0 });
    }
    return same(told, args);
  };
  const away = {
    type: 'urn:valetkey:error:issuer_unreachable', title: 'The issuer cannot be reached', status: 503, detail: 'it does not answer', code: 'issuer_unreachable', retryable: true, hint: 'Run: valetkey doctor',
    request_id: 'r-1', retry_after_s: 7, since: 1_790_000_000,
  };

  it.each<readonly [string, Readonly<Record<string, unknown>> & { readonly status: number }, number]>([
    ['nobody has signed in', problem, 3], ['the issuer is away', away, 6], ['its words hold what is no ASCII, and more', { ...away, detail: 'Zürich \u202e\n\u001b[2J' }, 6],
    ['a newer daemon has a code of its own', { ...problem, code: 'too_new', extra: { a: [1] } }, 1], ['a deadline', { ...problem, status: 504, code: 'deadline_exceeded', reason: undefined }, 11],
  ])('where the answer is a problem: %s', async (_, body, exit) => {
    const script = { line: `${frame(body, { status: body.status })}\n`, http: { status: body.status, body } };
    for (const flags of [[], ['--json'], ['--no-interactive', '-q']]) expect(await once(['token', 'work', ...flags], script)).toMatchObject({ exit, stdout: '' });
  });

  it.each<readonly [string, object]>([
    ['scopes beyond the request', { granted_beyond: ['admin'] }], ['what JSON escapes', { access_token: 'a"b' }], ['a line break in the token', { access_token: 'a\nb' }],
    ['a reply as large as a frame may be', { access_token: 'x'.repeat(64 * 1024 - frame({ ...data, access_token: '', scope: 'ü' }).length - 2), scope: 'ü' }],
  ])('where the answer is a token that only the whole CLI prints: %s', async (_, changes) => {
    const body = { ...data, ...changes };
    await once(['token', 'work'], { line: `${frame(body)}\n`, http: { status: 200, body } });
  });

  it.concurrent('where the answer takes longer than five seconds: the whole CLI goes on waiting', async () => {
    const args = ['token', 'work'];
    const [problem, token] = await Promise.all([
      once(args, { line: `${frame(away, { status: 503 })}\n`, afterMs: 5_500, http: { status: 503, body: away } }, patient[0]),
      once(args, { line: `${frame()}\n`, afterMs: 5_500 }, patient[1]),
    ]);
    expect(problem).toMatchObject({ exit: 6, stdout: '' });
    expect(token).toEqual(good);
  }, 30_000);

  it.concurrent('and again only where nothing came of it: the daemon ended in the middle', async () => {
    const told = await tellAll(['token', 'work'], { line: null, ends: true, afterMs: 5_500 }, {}, patient[2]);
    expect(same(told)).toEqual(good);
    for (const { program: { name, handsOver }, seen } of told) {
      expect({ name, lines: seen.lines.length, http: seen.http.length }).toEqual({ name, lines: handsOver === null ? 0 : 1, http: handsOver === 'says' ? 0 : 1 });
    }
  }, 30_000);

  it.each(['$$:3', '$$:4', '$$:99', '$$:0', '1:3', '$$', '3', ''])('and believes no answer that somebody else left in the environment: %s', async (value) => {
    for (const [{ name, argv, handsOver }, daemon] of programs) {
      daemon.play({});
      // A pipe with a good line, and the name of this process. The whole CLI takes that from a launcher, which takes it from nobody.
      const forged = frame({ ...data, access_token: 'handed-EXAMPLE' });
      const words = `VALETKEY_ANSWER=${value} exec ${argv.join(' ')} token work 3<<'X' 4</dev/null\n${forged}\nX\n`;
      const stdout = handsOver === null && value === '$$:3' ? 'handed-EXAMPLE\n' : good.stdout;
      expect({ name, ...await runProgram(['/bin/sh', '-c', words], daemon.env) }).toEqual({ name, ...good, stdout });
    }
  });

  it('and the launcher replaces such an answer by its own', async () => {
    const found = programs.find(([{ name }]) => name === 'the launcher');
    if (found === undefined) return; // without a C compiler, as was said
    const [{ argv }, daemon] = found;
    for (const [args, script, exit] of [['token work', { line: `${frame(away, { status: 503 })}\n` }, 6], ['token work --force', {}, 0]] as const) {
      daemon.play(script);
      const words = `VALETKEY_ANSWER=$$:3 exec ${argv.join(' ')} ${args} 3<<'X'\n${frame({ ...data, access_token: 'handed-EXAMPLE' })}\nX\n`;
      const ended = await runProgram(['/bin/sh', '-c', words], daemon.env);
      expect({ exit: ended.exit, stdout: ended.stdout }).toEqual({ exit, stdout: exit === 0 ? good.stdout : '' });
    }
  });
});
