/** The whole command line as it is declared: every verb with its flags. Nothing of it can be run. */
import type { Command } from 'commander';
import { buildProgram } from '../../client/cli.ts';
import type { CommandContext } from '../../client/command.ts';

export async function wholeProgram(): Promise<Command> {
  return buildProgram({ stdout: { write: () => undefined, columns: 80 } }, {} as CommandContext, () => undefined, () => true);
}

/** Every verb with those before it; the program itself has none. */
export function verbsOf(program: Command): readonly { readonly words: readonly string[]; readonly command: Command }[] {
  const walk = (command: Command, words: readonly string[]): readonly { readonly words: readonly string[]; readonly command: Command }[] =>
    [{ words, command }, ...command.commands.flatMap((sub) => walk(sub, [...words, sub.name()]))];
  return walk(program, []);
}
