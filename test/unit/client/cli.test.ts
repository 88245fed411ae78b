import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { cleanText, toTerminalJson } from '../../../client/clean-text.ts';
import type { CommandContext } from '../../../client/command.ts';
import { createTerminal } from '../../../client/terminal.ts';
import { clock, duration, remaining } from '../../../client/time-words.ts';
import { typeKey } from '../../../client/tty.ts';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import { VERBS } from '../../../client/verbs.ts';
import { run } from './fake-world.ts';

async function declared(): Promise<Command> {
  const program = new Command('valetkey');
  for (const verb of VERBS) (await verb.load()).declare(program.command(verb.name), {} as CommandContext);
  return program;
}

function all(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(all)];
}

describe('the command line', () => {
  it('has examples in the help of every verb', async () => {
    for (const command of all(await declared()).filter((one) => one.parent !== null)) {
      const words = [command.parent?.parent === null ? '' : command.parent?.name() ?? '', command.name()].filter((word) => word !== '');
      const { stdout, exit } = await run([...words, '--help']);
      expect({ words, exit, examples: stdout.includes('Examples:\n  $ ') }).toEqual({ words, exit: 0, examples: true });
      expect(stdout).toContain('--json');
    }
  });

  it('[AZ-11] has no verb, flag or argument that takes an authorization code or a redirect URL', async () => {
    const words = all(await declared()).flatMap((command) => [command.name(), ...command.options.map(({ flags }) => flags), ...command.registeredArguments.map((argument) => argument.name())]);
    expect(words).toContain('--client-id <ID>');
    expect(words.filter((word) => /code|callback|paste|response|redirect-ur|oob/i.test(word))).toEqual([]);
    for (const flag of ['--code', '--redirect-url', '--callback-url', '--auth-code']) {
      expect(await run(['login', 'work', flag, 'x'])).toMatchObject({ exit: 2, calls: [] });
    }
    const root = resolve(import.meta.dirname, '../../..');
    const sources = ['client', 'shared', 'daemon'].flatMap((folder) => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).map((name) => join(root, folder, name)));
    expect(sources.length).toBeGreaterThan(50);
    expect(sources.filter((file) => /ietf:wg:oauth:2\.0:oob/.test(readFileSync(file, 'utf8')))).toEqual([]);
  });

  it.each([[['nope']], [['token', 'a', 'b']], [['token', '--nope']], [['login', '--scope']]])('%j is a usage error, in words and in JSON', async (argv) => {
    const words = await run(argv);
    expect(words).toMatchObject({ exit: 2, stdout: '' });
    expect(words.stderr).toMatch(/^error: .*\(bad_request\)\n/);
    const json = await run([...argv, '--json']);
    // An argument may swallow the flag; it is an error all the same.
    expect(JSON.parse(json.stderr)).toMatchObject({ code: 'bad_request' });
    expect(json.exit).toBe(2);
  });

  it('shows help and version on standard output', async () => {
    expect(await run(['--version'])).toMatchObject({ exit: 0, stdout: '0.1.0\n', stderr: '' });
    expect(await run(['help', 'token'])).toMatchObject({ exit: 0, stderr: '' });
    expect((await run(['help', 'token'])).stdout).toContain('--min-ttl');
  });

  it.each([[[], 'Usage: valetkey [options]'], [['profile'], 'Usage: valetkey profile [options]']])('%j lacks a verb: the help is on standard error, with the status of an error', async (argv, usage) => {
    const words = await run(argv);
    expect(words).toMatchObject({ exit: 2, stdout: '' });
    expect(words.stderr).toContain(usage);
    expect(words.stderr).not.toContain('error:');
    const json = await run([...argv, '--json']);
    expect(JSON.parse(json.stderr)).toMatchObject({ code: 'bad_request', detail: 'no verb was named' });
    expect(json).toMatchObject({ exit: 2, stdout: '' });
  });

  it('help shows the verb that is named, however deep', async () => {
    for (const [words, usage] of [[['profile', 'add'], 'Usage: valetkey profile add [options] <NAME>'], [['daemon', 'start'], 'Usage: valetkey daemon start'], [[], 'Usage: valetkey [options]']] as const) {
      const { exit, stdout, stderr } = await run(['help', ...words]);
      expect({ exit, stderr, usage: stdout.split('\n')[0] }).toEqual({ exit: 0, stderr: '', usage: expect.stringContaining(usage) as string });
    }
  });

  it.each([[['nonsense'], 'there is no verb nonsense', 'Run: valetkey help'], [['profile', 'nonsense'], 'there is no verb profile nonsense', 'Run: valetkey help profile']])('help %j says that there is no such verb', async (words, detail, hint) => {
    const { exit, stdout, stderr } = await run(['help', ...words, '--json']);
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' });
    expect(JSON.parse(stderr)).toMatchObject({ code: 'bad_request', detail, hint });
  });

  it.each([
    [['profile', 'add', 'work', '--issuer', 'https://x'], '--client-id', 'profile add'],
    [['profile', 'add', 'work', '--client-id', 'c'], '--preset or --issuer', 'profile add'],
    [['profile', 'add', 'Work', '--issuer', 'https://x', '--client-id', 'c'], 'NAME is not a profile name', 'profile add'],
    [['profile', 'add', 'work', '--issuer', 'https://x', '--client-id', 'c', '--redirect-port', '80'], '--redirect-port takes a port from 1024 to 65535', 'profile add'],
    [['profile', 'add', 'work', '--issuer', 'https://x', '--client-id', 'c', '--resource', 'api'], '--resource takes an absolute URI', 'profile add'],
    [['profile', 'add', 'work', '--issuer', 'https://x', '--client-id', 'c', '--redirect-path', 'cb'], '--redirect-path takes a path', 'profile add'],
    [['profile', 'add', 'work', '--issuer', 'https://x', '--client-id', 'c', '--default-expires-in', '90000'], '--default-expires-in takes seconds from 0 to 86400', 'profile add'],
    [['profile', 'remove', '../x'], 'NAME is not a profile name', 'profile remove'],
    [['profile', 'default', 'A'], 'NAME is not a profile name', 'profile default'],
    [['grants', 'A'], 'PROFILE is not a profile name', 'grants'],
    [['token', 'work', '--min-ttl', '86401'], '--min-ttl takes seconds from 0 to 86400', 'token'],
    [['token', 'work', '--resource', '/x'], '--resource takes an absolute URI', 'token'],
    [['token', 'work', '--format', 'xml'], 'Allowed choices are raw, json, header, env', 'token'],
    [['token', 'work', '--scope', ''], '--scope is empty', 'token'],
    [['login', 'work', '--scope', ''], '--scope is empty', 'login'],
    [['token', 'A'], 'the argument is not a profile name', 'token'],
  ])('%j is refused in the words of the command line, before the daemon is asked', async (argv, words, verb) => {
    const { exit, calls, stderr } = await run([...argv, '--json']);
    expect({ exit, calls }).toEqual({ exit: 2, calls: [] });
    expect(JSON.parse(stderr)).toMatchObject({ code: 'bad_request', detail: expect.stringContaining(words) as string, hint: `Run: valetkey help ${verb}` });
  });

  it('reports what was not foreseen as internal, without a stack', async () => {
    const { exit, stderr } = await run(['status'], { api: { status: () => { throw new Error('boom'); } } });
    expect(exit).toBe(1);
    expect(stderr).toContain('boom');
    expect(stderr).not.toContain(' at ');
  });
});

describe('text at the terminal', () => {
  it.each([
    ['red \u001b[31mred', 'red  [31mred'], ['a\r\nb', 'a  b'], ['title \u001b]0;x\u0007y', 'title  ]0;x y'], ['c1 \u009b2Jx', 'c1  2Jx'],
    ['rtl \u202eabc\u2066', 'rtl  abc'], ['zero\u200bwidth\ufeff', 'zero width'], ['tag\u{e0041}', 'tag'], ['über 漢字 🔑', 'über 漢字 🔑'], ['lone \ud800x', 'lone  x'],
  ])('[AL-04] %j becomes %j', (text, clean) => {
    expect(cleanText(text)).toBe(clean);
    expect(JSON.parse(toTerminalJson({ text }))).toEqual({ text });
    // oxlint-disable-next-line no-control-regex -- that there are none is the point
    expect(toTerminalJson(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]/);
  });

  it('is cut where it is too long', () => {
    expect(cleanText('x'.repeat(1_000_000), 5)).toBe('xxxx…');
  });

  it('has colours on a terminal only, and heeds NO_COLOR and TERM=dumb', () => {
    const shown = (isTTY: boolean, env: Record<string, string>) => {
      let text = '';
      const stream = { isTTY, write: (part: string) => { text += part; } };
      createTerminal({ stdout: stream, stderr: stream, env, json: false, quiet: false }).fail(ValetkeyError.local('internal', 'x'));
      return text.includes('\u001b[');
    };
    expect([shown(true, {}), shown(false, {}), shown(true, { NO_COLOR: '1' }), shown(true, { TERM: 'dumb' })]).toEqual([true, false, false, false]);
  });

  it('shows a spinner on a terminal only, and wipes it away', () => {
    const frames = (isTTY: boolean, quiet: boolean) => {
      let text = '';
      const stream = { isTTY, columns: 40, write: (part: string) => { text += part; } };
      createTerminal({ stdout: stream, stderr: stream, env: {}, json: false, quiet }).waitFor(() => 'waiting\u001b[2J')();
      return text;
    };
    expect(frames(true, false)).toBe('\r\u001b[K⠋ waiting [2J\r\u001b[K');
    expect(frames(false, false) + frames(true, true)).toBe('');
  });

  it.each([[42, '42 s'], [90, '2 min'], [1_800, '30 min'], [7_200, '2 h'], [12_000, '3 h 20 min'], [400_000, '5 d'], [-3, '0 s']])('%d s is %s', (seconds, words) => {
    expect(duration(seconds)).toBe(words);
  });

  it('counts down', () => {
    expect([clock(245), clock(59.2), clock(-1), remaining(10, 4), remaining(4, 10)]).toEqual(['4:05', '1:00', '0:00', 'for 6 s', 'expired 6 s ago']);
  });
});

it.each([
  ['a', 'b', { kind: 'more', text: 'ab' }], ['a', '\r', { kind: 'done', text: 'a' }], ['ab', '\u007f', { kind: 'more', text: 'a' }], ['a🔑', '\b', { kind: 'more', text: 'a' }],
  ['ab', '\u0015', { kind: 'more', text: '' }], ['ab', '\u0003', { kind: 'interrupted', text: '' }], ['', '\u0004', { kind: 'ended', text: '' }], ['a', '\u0004', { kind: 'done', text: 'a' }],
  ['a', '\u001b', { kind: 'more', text: 'a' }], ['x'.repeat(1024), 'y', { kind: 'more', text: 'x'.repeat(1024) }],
])('typing %#: a hidden answer is edited', (text, key, expected) => {
  expect(typeKey(text, key)).toEqual(expected);
});
