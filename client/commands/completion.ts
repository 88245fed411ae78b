/** Completion scripts, made from the verbs and flags as they are declared; names are asked for at Tab. */
import { Argument } from 'commander';
import type { Command } from 'commander';
import { choice, examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { bashScript } from '../completion/bash.ts';
import { fishScript } from '../completion/fish.ts';
import { NAME_KINDS, namesFor } from '../completion/names.ts';
import type { NameKind } from '../completion/names.ts';
import { placesOf } from '../completion/words.ts';
import type { Place } from '../completion/words.ts';
import { zshScript } from '../completion/zsh.ts';
import { ValetkeyError } from '../valetkey-error.ts';

const SCRIPTS: Readonly<Record<'bash' | 'zsh' | 'fish', (places: readonly Place[]) => string>> = { bash: bashScript, zsh: zshScript, fish: fishScript };

async function printNames(context: CommandContext, kind: NameKind): Promise<void> {
  const names = await namesFor(context, kind);
  if (context.terminal.json) context.terminal.document({ names });
  else context.terminal.raw(names.map((name) => `${name}\n`).join(''));
}

export const declare: Declare = (command, context) => {
  command
    .addArgument(new Argument('[SHELL]', 'for which shell').choices(Object.keys(SCRIPTS)))
    .addOption(choice('--names <KIND>', 'print the names that a script offers at Tab; starts no daemon', NAME_KINDS))
    .addHelpText('after', examples('source <(valetkey completion bash)', 'valetkey completion zsh > ~/.zfunc/_valetkey', 'valetkey completion fish | source'))
    .action(async (shell: keyof typeof SCRIPTS | undefined, { names }: { readonly names?: NameKind }, self: Command) => {
      if (names !== undefined) return printNames(context, names);
      if (shell === undefined) throw ValetkeyError.local('bad_request', `name a shell: ${Object.keys(SCRIPTS).join(', ')}`);
      context.terminal.raw(SCRIPTS[shell](self.parent === null ? [] : placesOf(self.parent)));
    });
};
