/** What a terminal of 80 columns, and one of 40, shows of help, facts and errors. */
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../../client/cli.ts';
import { fold, foldFact } from '../../../client/fold.ts';
import { createTerminal } from '../../../client/terminal.ts';
import { ValetkeyError } from '../../../client/valetkey-error.ts';

const LONG = 'Sign-ins are kept in memory and end with the daemon: the keychain does not take a new key: it is locked.';

function screen(columns: number | undefined): { readonly terminal: ReturnType<typeof createTerminal>; lines(): readonly string[] } {
  let text = '';
  const stream = { isTTY: true, write: (more: string) => { text += more; }, ...(columns === undefined ? {} : { columns }) };
  return { terminal: createTerminal({ stdout: stream, stderr: stream, env: { NO_COLOR: '1' }, json: false, quiet: false }), lines: () => text.trimEnd().split('\n') };
}

describe('at a terminal', () => {
  it.each([80, 60, 40])('of %i columns no help has a line that is cut in a word', async (columns) => {
    const program = await buildProgram({ stdout: { write: () => undefined, columns } }, {} as never, () => undefined, () => true);
    const every = [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)];
    // What is pasted or looked up stays whole: usage, a flag with its value, an example. All else is words, and folded.
    const prose = every.flatMap((verb) => verb.helpInformation().replace(/^Usage:.*/m, '').split('\n')).filter((line) => !/^ {2}(-|\w+ [<[])/.test(line) || line.length > 2 * columns);
    expect(prose.length).toBeGreaterThan(200);
    expect(prose.filter((line) => line.length > columns)).toEqual([]);
  });

  it.each([80, 40])('of %i columns facts and errors are folded between words, and what they say is whole', (columns) => {
    const { terminal, lines } = screen(columns);
    terminal.facts([['Vault', LONG], ['DBUS_SESSION_BUS_ADDRESS', LONG]]);
    terminal.note(LONG);
    terminal.warn(LONG);
    terminal.fail(ValetkeyError.local('bad_request', LONG, { hint: LONG }));
    expect(lines().filter((line) => line.length > columns && !line.startsWith('error: '))).toEqual([]); // the title and its code are looked up
    expect(lines().join(' ').replaceAll(/ +/g, ' ').split('Sign-ins are kept in memory and end with the daemon: the keychain does not take a new key: it is locked.')).toHaveLength(7);
  });

  it('a table that does not fit stands row below row, with each cell beside its name', () => {
    const rows = [['work', 'ada@example.com', 'none: valetkey login work'], ['home', '-', 'until 14:03']];
    const wide = screen(60);
    wide.terminal.table(['PROFILE', 'SIGNED IN AS', 'SIGN-IN'], rows);
    expect(wide.lines()).toEqual(['PROFILE  SIGNED IN AS     SIGN-IN', 'work     ada@example.com  none: valetkey login work', 'home     -                until 14:03']);
    const narrow = screen(44);
    narrow.terminal.table(['PROFILE', 'SIGNED IN AS', 'SIGN-IN'], rows);
    expect(narrow.lines()).toEqual(['work', '  SIGNED IN AS  ada@example.com', '  SIGN-IN       none: valetkey login work', 'home', '  SIGNED IN AS  -', '  SIGN-IN       until 14:03']);
  });

  it('of any width a command to run stays one line', () => {
    const { terminal, lines } = screen(40);
    const hint = 'Run: valetkey profile add work --issuer https://login.example.com --client-id cli';
    terminal.fail(ValetkeyError.local('bad_request', 'no', { hint }));
    expect(lines()).toContain(`  ${hint}`);
  });

  it('of no known width, and to a pipe, nothing is folded', () => {
    const { terminal, lines } = screen(undefined);
    terminal.facts([['Vault', LONG]]);
    expect(lines()).toEqual([`Vault  ${LONG}`]);
    expect(fold(LONG, 0, null)).toBe(LONG);
    expect(foldFact('Vault', LONG, 5, null)).toEqual({ gap: '  ', value: LONG });
  });
});
