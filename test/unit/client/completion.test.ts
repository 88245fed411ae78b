/** What is offered at Tab by real shells, held against the verbs and flags as commander has them. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { NAME_KINDS } from '../../../client/completion/names.ts';
import { PRESETS } from '../../../client/completion/words.ts';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import { PRESETS as KNOWN_PRESETS } from '../../../daemon/config/presets/index.ts';
import { verbsOf, wholeProgram } from '../../support/program.ts';
import { offersOf, shellObstacle, SHELLS, typedIntoBash } from '../../support/shells.ts';
import type { Shell } from '../../support/shells.ts';
import { noApprovals, profile, run } from './fake-world.ts';

const NAMES = { profiles: 'home\nwork\n', workloads: 'backup\n', questions: 'Q-1\n', consents: 'C_2\n' };
const linesOf = (text: string): readonly string[] => text.trim().split('\n');

/** Whose names an argument or a flag's value is: said here once more, and not read off the scripts. */
function namesFor(verb: string, called: string): readonly string[] {
  if (called === 'PROFILE' && verb.startsWith('workload ')) return linesOf(NAMES.workloads);
  if (called === 'ID' && verb === 'approve') return linesOf(NAMES.questions);
  return called === 'PROFILE' || (called === 'NAME' && verb !== 'profile add') ? linesOf(NAMES.profiles) : [];
}

type Case = { readonly line: string; readonly expected: readonly string[] };

const withGlobals = (command: Command): Command[] => [command, ...(command.parent === null ? [] : withGlobals(command.parent))];

function casesOf(program: Command): readonly Case[] {
  return verbsOf(program).flatMap(({ words, command }) => {
    const typed = ['valetkey', ...words].join(' ');
    const [first] = command.registeredArguments;
    const below = [...command.commands.map((sub) => sub.name()), ...(words.length === 0 ? ['help'] : []), ...(first?.argChoices ?? []), ...namesFor(words.join(' '), first?.name() ?? '')];
    const flags = [...withGlobals(command).flatMap(({ options }) => options).filter(({ hidden }) => !hidden).map(({ long }) => long ?? ''), '--help'];
    return [
      ...(['FILE', 'PATH', 'COMMAND'].includes(first?.name() ?? '') ? [] : [{ line: `${typed} `, expected: below }]),
      { line: `${typed} -`, expected: flags },
      ...command.options.filter(({ argChoices }) => argChoices !== undefined).map(({ long, argChoices }) => ({ line: `${typed} ${long} `, expected: argChoices ?? [] })),
    ];
  });
}

let cases: readonly Case[] = [];
beforeAll(async () => { cases = casesOf(await wholeProgram()); });
const scriptFor = async (shell: Shell): Promise<string> => (await run(['completion', shell])).stdout;
const sorted = (words: readonly string[]): readonly string[] => words.toSorted();

for (const shell of SHELLS) {
  const obstacle = shellObstacle(shell);
  if (obstacle !== null) console.warn(`completion is not tested in ${shell}: ${obstacle}`);
}

describe.each(SHELLS.map((shell) => ({ shell })))('$shell', ({ shell }) => {
  const absent = shellObstacle(shell) !== null;

  it.skipIf(absent)('offers every verb, every flag and every value of a flag, and no other', async () => {
    expect(cases.length).toBeGreaterThan(80);
    const { offered, stderr } = offersOf(shell, { script: await scriptFor(shell), lines: cases.map(({ line }) => line), names: NAMES });
    expect(cases.map(({ line }, i) => [line, offered[i]])).toEqual(cases.map(({ line, expected }) => [line, sorted(expected)]));
    expect(stderr).toBe('');
  }, 60_000);

  const attached = (flag: string, words: readonly string[]): readonly string[] => sorted(shell === 'fish' ? words.map((word) => `${flag}=${word}`) : words);
  const FINE: readonly (readonly [line: string, offered: readonly string[], why: string])[] = [
    ['valetkey tok', ['token'], 'what begins so'],
    ['valetkey --json profile ', ['add', 'default', 'remove', 'show'], 'after a flag of the program'],
    ['valetkey token --scope profile ', ['home', 'work'], 'the value of a flag is no verb'],
    ['valetkey token --reason "a b" wo', ['work'], 'a quoted value is one word'],
    ['valetkey token work ', [], 'there is one profile'],
    ['valetkey token --format=h', attached('--format', ['header']), 'a value behind ='],
    ['valetkey profile add x --issuer https://login.example.com:80/a --tier ', ['high', 'low', 'normal', 'privileged'], 'a value with colons'],
    ['valetkey profile add ', [], 'a new name is nobody\'s'],
    ['valetkey profile add x --preset g', ['github', 'gitlab', 'google'], 'the presets'],
    ['valetkey approvals revoke ', ['C_2'], 'consents'],
    ['valetkey approvals pin ', ['change', 'remove', 'set'], 'what is done with the PIN'],
    ['valetkey approve --profile ', ['home', 'work'], 'a profile as the value of a flag'],
    ['valetkey policy explain --agent ', [], 'a name of another kind'],
    ['valetkey token -- --', [], 'after -- there are no flags'],
    ['valetkey help pro', ['profile', 'profiles'], 'help for a verb'],
    ['valetkey help profile ', ['add', 'default', 'remove', 'show'], 'help for a verb below'],
    ['valetkey nothing ', [], 'what is no verb has nothing below it'],
    ['valetkey policy test tab', ['table.toml'], 'files'],
  ];

  it.skipIf(absent)('knows where it is on the line', async () => {
    const { offered } = offersOf(shell, { script: await scriptFor(shell), lines: FINE.map(([line]) => line), names: NAMES, files: ['table.toml'] });
    expect(FINE.map(([line, , why], i) => [line, why, offered[i]])).toEqual(FINE.map(([line, expected, why]) => [line, why, expected]));
  }, 60_000);

  it.skipIf(absent)('runs and offers nothing of a name that is more than a word', async () => {
    const hostile = ['$(touch stray)', '`touch stray`', ';touch stray', 'a b', '*', '"', '\'', '\\', '-rf', '${IFS}', '>stray', 'x\u001b[31m', 'touch\tstray', '$\'\\x41\'', '!!', '~', 'a[$(touch stray)]'];
    const lines = ['valetkey token ', 'valetkey token a', 'valetkey approve --profile ', 'valetkey approve --profile=', 'valetkey approvals revoke '];
    const all = `${hostile.join('\n')}\nwork\n`;
    const { offered, strays, calls, stderr } = offersOf(shell, { script: await scriptFor(shell), lines, names: { profiles: all, consents: all } });
    expect({ offered, strays, stderr }).toEqual({ offered: [['work'], [], ['work'], attached('--profile', ['work']), ['work']], strays: [], stderr: '' });
    expect(calls).toContain('completion --names profiles');
  }, 60_000);

  it.skipIf(absent)('says nothing where valetkey fails', async () => {
    const { offered, stderr } = offersOf(shell, { script: await scriptFor(shell), lines: ['valetkey token ', 'valetkey token -'] });
    expect(offered[0]).toEqual([]);
    expect(offered[1]).toContain('--min-ttl');
    expect(stderr).toBe('');
  }, 60_000);
});

const noTerminal = spawnSync('script', ['--version']).error !== undefined;
if (noTerminal) console.warn('completion is not tested by keys: a terminal needs script (Debian package bsdutils)');
it.skipIf(noTerminal)('bash puts in at a terminal what is missing, also behind =', async () => {
  expect(typedIntoBash(await scriptFor('bash'), 'valetkey tok\tw\t--min-t\t5 --format=he\t')).toEqual(['completion --names profiles', 'token work --min-ttl 5 --format=header']);
}, 60_000);

describe('the names that are offered', () => {
  const api = {
    profiles: () => ({ profiles: [profile, { ...profile, name: 'a b' }, { ...profile, name: '$(x)' }] }),
    approvals: () => ({ ...noApprovals, pending: [{ id: 'Q-1' }, { id: 'x;y' }], active: [{ id: 'C_2' }] }) as unknown as typeof noApprovals,
  };
  const unreachable = () => { throw ValetkeyError.local('daemon_unreachable', 'nobody listens'); };

  it.each([['profiles', 'work\n'], ['questions', 'Q-1\n'], ['consents', 'C_2\n']])('are the daemon\'s %s, as far as they are shaped like one; it is not started', async (kind, printed) => {
    expect(await run(['completion', '--names', kind], { api })).toMatchObject({ exit: 0, stdout: printed, stderr: '', mayStart: [false] });
  });

  it('are those of the configuration where no daemon answers, and none where there is none or a bad one', async () => {
    const base = mkdtempSync(join(tmpdir(), 'valetkey-names-'));
    mkdirSync(join(base, 'c/valetkey'), { recursive: true });
    const failing = { profiles: unreachable, workloads: unreachable, approvals: unreachable };
    const printed = async () => Promise.all(NAME_KINDS.map(async (kind) => {
      const { exit, stdout, stderr } = await run(['completion', '--names', kind], { api: failing, base });
      expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
      return stdout;
    }));
    expect(await printed()).toEqual(['', '', '', '']);
    writeFileSync(join(base, 'c/valetkey/config.toml'), '[profiles.work]\n[profiles."$(touch x)"]\n[profiles.home]\n[workloads.backup]\n');
    expect(await printed()).toEqual(['work\nhome\n', 'backup\n', '', '']);
    writeFileSync(join(base, 'c/valetkey/config.toml'), 'profiles = [');
    expect(await printed()).toEqual(['', '', '', '']);
    rmSync(base, { recursive: true });
  });

  it('are words of their own in JSON', async () => {
    expect(JSON.parse((await run(['completion', '--names', 'profiles', '--json'], { api })).stdout)).toEqual({ names: ['work'] });
  });
});

it('the presets are those that the daemon knows', () => {
  expect(sorted(PRESETS)).toEqual(sorted([...KNOWN_PRESETS.keys()]));
});

it('a shell has to be named, and be one of them', async () => {
  expect(await run(['completion'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('name a shell: bash, zsh, fish') as string });
  expect((await run(['completion', 'tcsh'])).exit).toBe(2);
});
